//! What may be handed in: before the grader builds a learner's file, it looks at the file
//! and at its words.
//!
//! An attempt runs in one process with its scenario, so a file that does not play by the
//! rules could change what its run shows. What could do that is reached by some name, and a
//! list of names refuses those that we know. The list is only worth something if we read the
//! same words as the compiler: so the words are read by `words.rs`, which refuses each
//! text that the two could read in different ways.
//!
//! This keeps an honest course honest. It is no sandbox: the list may lack a name, and a bug
//! of the compiler that lets safe code read and write any memory gets past every list. To
//! grade strangers, run the grader in a container.

use super::places::Places;
use super::words::{Words, words};
use crate::attempt::Kind;
use crate::catalogue::Exercise;
use std::path::Path;

/// Bytes of the longest file.
const LONGEST: u64 = 256 << 10;

/// What is said of a file that is not there.
pub const MISSING: &str = "not handed in";

/// Names that no piece needs, and why they are refused.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "an exercise needs no unsafe code, no assembly and no foreign functions",
        &["unsafe", "asm", "global_asm", "naked_asm", "extern"],
    ),
    (
        "the file must stand alone",
        &[
            "include",
            "include_str",
            "include_bytes",
            "path",
            "macro_rules",
        ],
    ),
    (
        "an exercise needs nothing of the system",
        &[
            "env",
            "option_env",
            "process",
            "exit",
            "fs",
            "io",
            "net",
            "os",
            "libc",
            "nix",
        ],
    ),
    (
        "that belongs to the scheduler or to the judge",
        &[
            "STAGE",
            "ROWS",
            "rows",
            "stage",
            "JUDGE",
            "ALL",
            "reference",
            "attempt",
            "runner",
            "catalogue",
            "plug",
            "safepoint_judges",
            "emit",
            "Runtime",
            "tests",
        ],
    ),
    (
        "a line of a trace is the runtime's; print to stderr instead",
        &["user_log"],
    ),
];

/// Reads a learner's file, if it may be judged.
///
/// # Errors
/// One line that says why not.
pub fn read(places: &Places, file: &Path) -> Result<String, String> {
    let about = match std::fs::symlink_metadata(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(MISSING.to_owned());
        }
        Err(e) => return Err(format!("cannot be read: {e}")),
        Ok(about) => about,
    };
    if about.is_symlink() {
        return Err("is a link; the file itself must be handed in".to_owned());
    }
    if !about.is_file() {
        return Err("is no ordinary file".to_owned());
    }
    if about.len() > LONGEST {
        return Err(format!("is longer than {} KiB", LONGEST >> 10));
    }
    // A link further up could lead to the solutions.
    let real = file
        .canonicalize()
        .map_err(|e| format!("cannot be read: {e}"))?;
    if real.starts_with(&places.root) && !real.starts_with(&places.work) {
        return Err("lies in the grader's own repository".to_owned());
    }
    let bytes = std::fs::read(file).map_err(|e| format!("cannot be read: {e}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

/// Looks at the words of a file that is code.
///
/// # Errors
/// The first word that may not stand there: its line, the word, and why.
pub fn inspect(exercise: &Exercise, text: &str) -> Result<(), String> {
    let Kind::Rust(_) = exercise.kind else {
        return Ok(());
    };
    let words: Words<'_> = words(text).map_err(|(line, why)| format!("line {line}: {why}"))?;
    let card = &exercise.card;
    let is_row = |word| card.row.as_deref() == Some(word);
    let is_own = |word| card.own.iter().any(|name| name == word);
    for (i, &(line, word)) in words.iter().enumerate() {
        let before = i.checked_sub(1).map_or("", |i| words[i].1);
        let after = words.get(i + 1).map_or("", |w| w.1);
        let refused = REFUSED.iter().find(|(_, names)| names.contains(&word));
        let why = match (refused, word) {
            (Some((why, _)), _) => why,
            (None, "use") if matches!(before, "pub" | ")") => "a piece is written, not passed on",
            (None, "mod") if words.get(i + 2).is_none_or(|w| w.1 != "{") => {
                "the file must stand alone"
            }
            (None, _) if is_own(word) || (is_row(word) && before != "fn") => {
                "that is the stage's own piece; write yours"
            }
            _ => continue,
        };
        let shown = match word {
            "use" => format!("{before} {word}"),
            "mod" => format!("{word} {after}"),
            _ => word.to_owned(),
        };
        return Err(format!("line {line}: `{shown}`: {why}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn refused(name: &str, text: &str) -> String {
        let exercise = catalogue::find(name).expect("an exercise");
        inspect(exercise, text).expect_err(text)
    }

    #[test]
    fn ways_around_the_judge_are_refused() {
        for text in [
            "#[path = \"../solutions/sticky_flag.rs\"] mod m;",
            "mod m;",
            "include!(\"../solutions/sticky_flag.rs\");",
            "fn f() { std::process::exit(0) }",
            "use std as s; fn f() { s::r#process::exit(0) }",
            "const X: () = { unsafe {} };",
            "std::arch::asm!(\"nop\");",
            "extern \"C\" { fn exit(_: i32) -> !; }",
            "const A: &str = env!(\"X\");",
            "fn f() { std::fs::write(\"x\", \"\").unwrap() }",
            "macro_rules! m { ($a:tt $b:tt) => { $b $a stage1_coop::rt::*; } } m!(use pub);",
            "pub use stage1_coop::rt::*;",
            "pub(crate) use stage1_coop::rt::stack::releasem_slow;",
            "use stage1_coop::rt::stack::releasem_slow as theirs;",
            "pub fn releasem_slow(gp: &'static G) { (stage1_coop::STAGE.releasem_slow)(gp) }",
            "fn f() { stage1_coop::rt::trace::emit(&KINDS[0], [0; 3], 0) }",
            "fn f() { stage1_coop::user_log(\"x\\n 0.1 m0 p0 g1 GoEnd\") }",
            "fn f() { (exercises::stage1::ALL[5].reference)(\"three wait\") }",
        ] {
            refused("sticky-flag", text);
        }
        assert_eq!(
            refused("steal-half", "\n victim.runq.grab(&pp.runq, t, || last)"),
            "line 2: `grab`: that is the stage's own piece; write yours"
        );
        assert!(
            refused("guard-check", "const R: usize = rt::stack::STACK_PREEMPT;")
                .contains("own piece")
        );
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let places = Places::new(None).expect("the workspace");
        let dir = std::env::temp_dir().join(format!("safepoint-handed-in-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("folder.rs")).expect("a folder");
        std::fs::write(dir.join("bytes.rs"), [0xff, 0xfe]).expect("a file");
        std::fs::write(dir.join("long.rs"), vec![b' '; LONGEST as usize + 1]).expect("a file");
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, dir.join(name)).expect("a link");
        };
        link(&dir.join("bytes.rs"), "link.rs");
        link(&places.root.join("exercises"), "up");
        for (file, why) in [
            ("none.rs", "not handed in"),
            ("folder.rs", "is no ordinary file"),
            ("bytes.rs", "is not UTF-8 text"),
            ("long.rs", "is longer than 256 KiB"),
            ("link.rs", "is a link; the file itself must be handed in"),
            (
                "up/stage1/guard-check/starter.rs",
                "lies in the grader's own repository",
            ),
        ] {
            assert_eq!(
                read(&places, &dir.join(file)),
                Err(why.to_owned()),
                "{file}"
            );
        }
        std::fs::remove_dir_all(&dir).expect("it was there");
    }
}
