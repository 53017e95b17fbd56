//! Each rule stops a build, with chapter and line. Each test writes a small book.

mod blocks;

use std::fs;
use std::path::Path;

use crate::build;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

const SAMPLE: &str = include_str!("../../tests/samples/stage1-coop__two_hogs__p1__seed1.snap");
const SOURCE: &str = "//! Two hogs share a P.\n//! Try: --slow\n\n// ANCHOR: main\nfn main() {\n    // ANCHOR: inner\n    third_party(1);\n    // ANCHOR_END: inner\n}\n// ANCHOR_END: main\n// ANCHOR: empty\n\n// ANCHOR_END: empty\n";

struct Case {
    dir: Scratch,
}

impl Case {
    /// A workspace with one example, one recorded run and a book of one page.
    fn page(text: &str) -> Case {
        let case = Case {
            dir: Scratch::new().unwrap(),
        };
        case.file("book/book.toml", "[book]\ntitle = \"t\"\nsrc = \"chapters\"\n[build]\ncreate-missing = false\nuse-default-preprocessors = false\n");
        case.file(
            "book/chapters/SUMMARY.md",
            "# Summary\n\n- [Page](page.md)\n- [Other](sub/other.md)\n",
        );
        case.file(
            "book/chapters/sub/other.md",
            "# The other page\n\n## Twice\n\n## Twice\n",
        );
        case.file("book/chapters/page.md", text);
        case.file("stage1-coop/Cargo.toml", "");
        case.file("stage1-coop/examples/two_hogs.rs", SOURCE);
        case.file(
            "tests/snapshots/stage1-coop__two_hogs__p1__seed1.snap",
            SAMPLE,
        );
        case.file(
            "tests/snapshots/legend.snap",
            "---\nsource: x\n---\n| event | means |\n|---|---|\n| `A` | b |\n",
        );
        case.file("tests/snapshots/empty.snap", "---\nsource: x\n---\n\n");
        case
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The page's HTML, or the error.
    fn build(&self, strict: bool) -> Result<String, String> {
        let out = self.dir.path().join("out");
        let ws = Workspace::at(self.dir.path());
        build::render(&ws, &out, strict).map_err(|error| format!("{error:#}"))?;
        Ok(fs::read_to_string(out.join("page.html")).unwrap())
    }
}

/// A strict build of this page fails and says this.
fn fails(text: &str, says: &str) {
    let error = Case::page(text).build(true).expect_err(text);
    assert!(
        error.contains(says),
        "{text}\nshould say: {says}\nsays: {error}"
    );
}

fn html(text: &str) -> String {
    Case::page(text)
        .build(true)
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
}

#[test]
fn includes() {
    let rust = |spec: &str| format!("# T\n\n```rust\n{{{{#include {spec}}}}}\n```\n");
    let base = "../../stage1-coop/examples/two_hogs.rs";
    let page = html(&rust(&format!("{base}:inner")));
    assert!(
        page.contains(">third_party(1);"),
        "without its indentation: {page}"
    );
    assert!(!page.contains("ANCHOR"));
    fails(
        &rust("../../stage1-coop/examples/none.rs"),
        "page.md:4: there is no file stage1-coop/examples/none.rs",
    );
    fails(
        &rust(&format!("{base}:nothing")),
        "page.md:4: there is no anchor `nothing`",
    );
    fails(&rust(&format!("{base}:empty")), "expands to nothing");
    fails(&rust(&format!("{base}:90:99")), "has no lines 90:99");
    fails(&rust("../../../secret.rs"), "outside the repository");
}

#[test]
fn fences() {
    fails(
        "# T\n\n```rust\nfn main() {}\n```\n",
        "page.md:3: a rust fence must be exactly one",
    );
    fails(
        "# T\n\ntext\n\n```\nx\n```\n",
        "page.md:5: this fence has no language",
    );
    fails(
        "# T\n\n```text\n{{#trace stage1-coop/two_hogs}}\n```\n",
        "page.md:4: only include and count",
    );
}

#[test]
fn directives() {
    fails(
        "a {{#count stage1-coop/two_hogs",
        "page.md:1: `{{#` without `}}`",
    );
    fails(
        "# T\n\n{{#playground x.rs}}\n",
        "page.md:3: `{{#playground` is no directive",
    );
    fails(
        "{{#example stage1-coop/three_hogs}}",
        "page.md:1: there is no example stage1-coop/three_hogs; there are: stage1-coop/two_hogs",
    );
    fails("{{#example stage9/two_hogs}}", "there is no example");
    fails(
        "{{#strip stage1-coop/two_hogs procs=4}}",
        "stage1-coop__two_hogs__p4__seed1.snap is not there",
    );
    fails(
        "# T\n\n{{#trace stage1-coop/two_hogs events=20:21}}\n",
        "page.md:3: the recorded run has no events 20 to 21: it has 20",
    );
    fails(
        "# T\n\n{{#trace stage1-coop/two_hogs events=2 GoStart}}\n",
        "page.md:3: these events are called GoCreate in the recorded run",
    );
    fails("{{#snapshot none}}", "none.snap is not there");
    fails("{{#snapshot empty}}", "empty.snap is empty");
    fails(
        "text {{#trace stage1-coop/two_hogs}} text",
        "only count can stand inside a line",
    );
}

#[test]
fn some_lines_of_a_trace() {
    let page = html(
        "# T\n\n{{#trace stage1-coop/two_hogs events=1:2}}\n\n{{#trace stage1-coop/two_hogs events=2 GoCreate}}\n\n{{#trace stage1-coop/two_hogs totals}}\n",
    );
    let fences: Vec<&str> = page.split("language-text\">").skip(1).collect();
    assert_eq!(fences.len(), 3, "{page}");
    assert!(fences[0].starts_with("#    time  M   P   G    event\n"));
    let line = fences[1].split("</code>").next().unwrap().trim_end();
    assert!(line.starts_with("0.0"), "without indentation: {line}");
    assert!(line.ends_with("GoCreate     g1 main"), "{line}");
    assert!(fences[2].starts_with("# preempt: "), "{}", fences[2]);
}

#[test]
fn all_problems_are_told_at_once() {
    let error = Case::page("{{#snapshot none}}\n\n```\n```\n")
        .build(true)
        .unwrap_err();
    let lines = error
        .lines()
        .filter(|line| line.contains("book/chapters/page.md:"))
        .count();
    assert_eq!(lines, 2, "{error}");
}

#[test]
fn links() {
    let text =
        "# Top\n\n[a](sub/other.md) [b](#top) [c](sub/other.md#twice-1) [d](https://go.dev/)\n";
    html(text);
    fails("# T\n\n[x](gone.md)\n", "page.md:3: `gone.md` is no page");
    fails(
        "# T\n\n[x](#nowhere)\n",
        "page.md:3: there is no heading `#nowhere` in page.md",
    );
    fails("[x](sub/other.md#twice-2)", "no heading `#twice-2`");
    fails("[x](/page.html)", "write it relative");
    fails("![x](gone.png)", "is no page");
    fails("<a href=\"gone.html\">x</a>", "is no page");
}

#[test]
fn a_page_that_no_list_names() {
    let case = Case::page("# T\n");
    case.file("book/chapters/sub/lost.md", "# Lost\n");
    let error = case.build(true).unwrap_err();
    assert!(
        error.contains(&format!(
            "{}: is not in SUMMARY.md",
            Path::new("sub/lost.md").display()
        )),
        "{error}"
    );
}

#[test]
fn an_example_is_shown_with_its_recorded_run() {
    let page = html(
        "# T\n\n{{#example stage1-coop/two_hogs procs=1}}\n\nHeard {{#count stage1-coop/two_hogs procs=1 GoPreempt coop}} times; \\{{#count}} stays.\n",
    );
    assert!(page.contains("id=\"example-stage1-coop-two_hogs\""));
    assert!(page.contains("data-flag=\"true\""), "it has a third party");
    assert!(page.contains("data-tries=\"[&quot;--slow&quot;]\""));
    assert!(page.contains("cargo run -p stage1-coop --example two_hogs"));
    assert!(page.contains("third_party(1);"), "the listing");
    assert!(page.contains("hog a is done"), "the output");
    assert!(
        page.contains("<svg") && page.contains("</svg>"),
        "the picture"
    );
    assert!(page.contains("GoPreempt    coop"), "the whole trace");
    assert!(page.contains("Heard 2 times"), "the count");
    assert!(page.contains("{{#count}} stays"), "the escaped one");
    let page = html(
        "{{#example stage1-coop/two_hogs nolisting}}\n\n{{#example stage1-coop/two_hogs}}\n\n{{#snapshot legend}}\n",
    );
    assert_eq!(
        page.matches("id=\"example-").count(),
        1,
        "an id stands once"
    );
    assert_eq!(
        page.matches("third_party(1);").count(),
        1,
        "one without listing"
    );
    assert!(page.contains("<table>"), "the generated table");
}

#[test]
fn what_is_not_recorded_is_a_red_box_while_writing() {
    let text = "# T\n\n{{#example stage1-coop/two_hogs procs=1,4}}\n\n{{#count stage1-coop/two_hogs procs=4 Preempt}}\n";
    let page = Case::page(text).build(false).unwrap();
    assert!(page.contains("stage1-coop__two_hogs__p4__seed1.snap is not there"));
    assert!(page.contains("class=\"sp-missing\">?<"));
    // A name that does not exist is a mistake in every mode.
    assert!(
        Case::page("{{#example stage1-coop/no}}")
            .build(false)
            .is_err()
    );
}
