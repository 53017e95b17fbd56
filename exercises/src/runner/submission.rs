//! What may be handed in: before the grader builds a learner's file, it looks at the file
//! and at its words.
//!
//! An attempt runs in one process with its scenario, so a file that does not play by the
//! rules could write its own result. Everything that could is reached by some name, and
//! no macro can put a name together from pieces; so a list of names is enough to keep an
//! honest course honest. It is no sandbox: whoever grades strangers runs it in a container.

use super::places::Places;
use crate::attempt::{Exercise, Kind};
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
            "STAGE", "ROWS", "rows", "stage", "EXERCISE", "attempt", "runner", "emit", "Runtime",
            "tests",
        ],
    ),
];

/// Names of the stage's own pieces, which are what an exercise is about.
const OWN_PIECES: &[(&str, &[&str])] = &[
    ("guard-check", &["STACK_PREEMPT"]),
    ("every-61st", &["GLOBAL_EVERY"]),
    (
        "steal-half",
        &["grab", "steal_with", "runqsteal", "stealwork"],
    ),
    ("exit-syscall", &["exitsyscall", "exitsyscall0"]),
    ("inject-list", &["injectglist_split"]),
    ("check-dead", &["checkdead"]),
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
    let words = words(text);
    let own: &[&str] = OWN_PIECES
        .iter()
        .find(|(name, _)| *name == exercise.name)
        .map_or(&[], |(_, own)| own);
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
            (None, _) if own.contains(&word) || (exercise.row == Some(word) && before != "fn") => {
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

/// The words and signs of a Rust text, each with its line; without comments, strings and
/// characters.
fn words(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let word = |b: u8| b == b'_' || b.is_ascii_alphanumeric() || b >= 0x80;
    let (mut found, mut line, mut i) = (Vec::new(), 1, 0);
    while i < bytes.len() {
        let from = i;
        match at(i) {
            b'/' if at(i + 1) == b'/' => i = ends(bytes, i, b"\n"),
            b'/' if at(i + 1) == b'*' => {
                let mut depth = 0;
                while i < bytes.len() {
                    match (at(i), at(i + 1)) {
                        (b'/', b'*') => (depth, i) = (depth + 1, i + 2),
                        (b'*', b'/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            b'"' => i = string(bytes, i + 1),
            b'\'' => {
                // A character, or a lifetime.
                let next = text[i + 1..].chars().next().map_or(1, char::len_utf8);
                if at(i + 1) == b'\\' {
                    i = ends(bytes, i + 3, b"'");
                } else if at(i + 1 + next) == b'\'' {
                    i += next + 2;
                } else {
                    i += 1;
                }
            }
            b if word(b) => {
                while word(at(i)) {
                    i += 1;
                }
                let hashes = bytes[i..].iter().take_while(|&&b| b == b'#').count();
                match (&text[from..i], at(i), at(i + hashes)) {
                    ("b" | "c", b'"', _) => i = string(bytes, i + 1),
                    ("b", b'\'', _) => {}
                    ("r" | "br" | "cr", _, b'"') => {
                        let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
                        i = ends(bytes, i + hashes + 1, &end);
                    }
                    // A raw identifier: the word behind it counts.
                    ("r", b'#', _) => {}
                    (found_word, ..) => found.push((line, found_word)),
                }
            }
            b if b.is_ascii_whitespace() => i += 1,
            _ => {
                i += 1;
                found.push((line, &text[from..i]));
            }
        }
        i = i.min(bytes.len());
        line += bytes[from..i].iter().filter(|&&b| b == b'\n').count();
    }
    found
}

/// Behind the next `end`, from `i` on.
fn ends(bytes: &[u8], i: usize, end: &[u8]) -> usize {
    let rest = bytes.get(i..).unwrap_or(&[]);
    rest.windows(end.len())
        .position(|w| w == end)
        .map_or(bytes.len(), |at| i + at + end.len())
}

/// Behind the string whose text begins at `i`.
fn string(bytes: &[u8], mut i: usize) -> usize {
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner;

    fn refused(name: &str, text: &str) -> String {
        let exercise = runner::find(name).expect("an exercise");
        inspect(exercise, text).expect_err(text)
    }

    #[test]
    fn words_are_found_and_what_is_no_word_is_not() {
        let text =
            "let a = 'b'; // c\n/* d /* e */ */ f::<'g>(\"h\\\"\", r#\"i\"j\"#, b'k', '\\'', r#l)";
        let found: Vec<&str> = words(text).iter().map(|w| w.1).collect();
        let letters: Vec<&str> = found
            .into_iter()
            .filter(|w| w.chars().all(char::is_alphanumeric))
            .collect();
        assert_eq!(letters, ["let", "a", "f", "g", "l"]);
        assert_eq!(words("a\n\"\n\"\nb"), [(1, "a"), (4, "b")]);
        for broken in [
            "\"", "'", "/*", "r#\"", "b'", "'\\", "\"\\", "ä'ö", "r#", "'é",
        ] {
            words(broken);
        }
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
            "pub(crate) use stage1_coop::rt::releasem_slow;",
            "use stage1_coop::rt::releasem_slow as theirs;",
            "pub fn releasem_slow(gp: &'static G) { (stage1_coop::STAGE.releasem_slow)(gp) }",
            "fn f() { stage1_coop::rt::emit(&KINDS[0], [0; 3], 0) }",
        ] {
            refused("sticky-flag", text);
        }
        assert_eq!(
            refused("steal-half", "\n victim.runq.grab(&pp.runq, t, || last)"),
            "line 2: `grab`: that is the stage's own piece; write yours"
        );
        assert!(
            refused("guard-check", "const R: usize = rt::STACK_PREEMPT;").contains("own piece")
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
                "up/starters/guard_check.rs",
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
