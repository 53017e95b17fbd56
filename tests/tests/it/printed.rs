//! Parts of the documents that are printed from data, and may not be edited by hand. If one
//! has changed,
//!
//! ```console
//! $ INSTA_UPDATE=always cargo test -p tests --test it printed::
//! ```
//!
//! prints it anew. A part stands between two comments, `<!-- printed: NAME -->` and
//! `<!-- end -->`.

use tests::root;

/// The part `name` of `file` must be `text`.
fn printed(file: &str, name: &str, text: &str) {
    let path = root().join(file);
    let old = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let (begin, end) = (format!("<!-- printed: {name} -->\n"), "<!-- end -->");
    let from = old.find(&begin).map(|at| at + begin.len());
    let part = from.and_then(|at| old[at..].find(end).map(|len| at..at + len));
    let part = part.unwrap_or_else(|| panic!("{file} has no part `{name}`"));
    let text = format!("\n{}\n\n", text.trim());
    if old[part.clone()] == text {
        return;
    }
    if std::env::var("INSTA_UPDATE").is_ok_and(|v| v == "always") {
        let new = format!("{}{text}{}", &old[..part.start], &old[part.end..]);
        std::fs::write(&path, new).unwrap_or_else(|e| panic!("{file}: {e}"));
        return;
    }
    let differs = text.lines().zip(old[part].lines().chain([""; 2]));
    let differs = differs.filter(|(new, old)| new != old).take(3);
    panic!(
        "{file}: `{name}` is not what is printed now. INSTA_UPDATE=always prints it anew. \
         The first lines that differ (new, old): {:#?}",
        differs.collect::<Vec<_>>()
    );
}

#[test]
fn switches_are_printed_from_their_lists() {
    printed("README.md", "switches", &super::switches::markdown());
}

/// The snapshot is the table of the code: `traces.rs` holds it.
#[test]
fn the_stage_table_is_the_recorded_one() {
    let snapshot = "tests/snapshots/stage_table__stage2-sysmon.snap";
    let text = std::fs::read_to_string(root().join(snapshot)).expect(snapshot);
    let table = text.splitn(3, "---\n").nth(2).expect("a snapshot's head");
    printed("ARCHITECTURE.md", "stage table", table);
}

#[test]
fn mechanisms_are_printed_from_their_data() {
    let data = std::fs::read_to_string(root().join(::mechanisms::FILE)).expect(::mechanisms::FILE);
    let all = ::mechanisms::parse(&data).unwrap_or_else(|e| panic!("{e}"));
    printed("MECHANISMS.md", "mechanisms", &::mechanisms::markdown(&all));
}
