//! What holds for the text of all sources: no function is too long, in the comments of the
//! runtime machines are not persons, and the spelling is American.
//!
//! The first two have a list of exceptions. It may only become shorter: an entry that is not
//! needed any more is a failure too.

use super::lexer::{functions, read};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tests::root;

/// Lines that a function may have.
const LINES: usize = 70;

/// Functions that are longer: the end of the file's path, and the name.
const TOO_LONG: &[(&str, &str)] = &[
    ("chan/scenario.rs", "foreign_thread"),
    ("check/switch.rs", "preserved"),
    ("it/stress.rs", "live"),
];

/// Words for people. *Whose* is missing: it is the only possessive that things have, too.
const PERSONS: &[&str] = &[
    "who",
    "whoever",
    "whom",
    "nobody",
    "somebody",
    "everybody",
    "anybody",
    "someone",
    "anyone",
    "everyone",
    "he",
    "him",
    "himself",
    "his",
    "she",
    "her",
];

/// How many of a thousand words may be words for people, in a folder: in comments of Rust, and
/// in the exercises' `toml` files, which are texts.
const PER_THOUSAND: f64 = 2.0;
const FOLDERS: &[&str] = &[
    "stage1-coop",
    "stage2-sysmon",
    "stage3-signals",
    "stage4-gc-safepoints",
    "exercises",
    "book/server",
    "book/programs",
    "book/mechanisms",
    "book/tests",
];

/// Comments that speak of people: part of one, with as many words as make it unmistakable.
const OF_PEOPLE: &[&str] = &["A hint for whoever sits at a keyboard."];

/// Beginnings of British words, each in two parts, so that this file does not hold them.
const BRITISH: &[(&str, &str)] = &[
    ("behavi", "our"),
    ("col", "our"),
    ("neighb", "our"),
    ("fav", "our"),
    ("licen", "ce"),
    ("optimi", "se"),
    ("optimi", "sa"),
    ("recogni", "s"),
    ("initiali", "s"),
    ("synchroni", "s"),
    ("organi", "s"),
    ("misspel", "t"),
    ("gr", "ey"),
    ("cent", "re"),
    ("toward", "s"),
];

/// All Rust files below a folder of the workspace, by path.
pub fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder, &["rs"])
}

/// All files below a folder of the workspace that end so, by path.
fn files(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("its entries").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What was built, what git does not see, and what a learner wrote.
            if name == "target" || name.starts_with('.') || path.ends_with("exercises/work") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|e| ends.iter().any(|end| e == *end))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Is the function that begins at this line (from 1) a test? Those may be longer: a test is
/// one list of cases, told from top to bottom.
fn is_test(code: &str, line: usize) -> bool {
    let above: Vec<&str> = code.lines().take(line - 1).collect();
    let attributes = above.iter().rev().map(|l| l.trim());
    attributes
        .take_while(|l| l.is_empty() || l.starts_with("#["))
        .any(|l| l.ends_with("test]"))
}

#[test]
fn functions_fit_on_a_screen() {
    let mut problems = Vec::new();
    let mut excused = BTreeSet::new();
    for path in rust_files("") {
        let source = read(&text(&path));
        for (name, line, lines) in functions(&source.code) {
            if lines <= LINES || is_test(&source.code, line) {
                continue;
            }
            match TOO_LONG
                .iter()
                .find(|(file, f)| path.ends_with(file) && *f == name)
            {
                Some(entry) => {
                    excused.insert(entry);
                }
                None => problems.push(format!(
                    "{}:{line}: {name} has {lines} lines",
                    path.display()
                )),
            }
        }
    }
    for entry in TOO_LONG.iter().filter(|entry| !excused.contains(entry)) {
        problems.push(format!(
            "{entry:?} is short now, or gone: take it out of the list"
        ));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Words for people in this line of a comment.
fn persons(comment: &str) -> usize {
    words(comment)
        .filter(|word| PERSONS.contains(&word.to_lowercase().as_str()))
        .count()
        + comment.to_lowercase().matches("no one").count()
}

fn words(comment: &str) -> impl Iterator<Item = &str> {
    comment
        .split(|c: char| !c.is_alphabetic() && c != '\'' && c != '_')
        .filter(|word| !word.is_empty())
}

/// The lines that are meant to be read by people, with their numbers: comments of Rust, and
/// everything in another file but addresses of pages.
fn prose(path: &Path) -> Vec<(usize, String)> {
    let text = text(path);
    if path.extension().is_some_and(|end| end == "rs") {
        return read(&text).comments;
    }
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.contains(".html") && !line.contains(".md"))
        .map(|(at, line)| (at + 1, line.to_owned()))
        .collect()
}

#[test]
fn machines_are_not_persons() {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for folder in FOLDERS {
        let (mut all, mut found) = (0, Vec::new());
        for path in files(folder, &["rs", "toml"]) {
            for (line, comment) in prose(&path) {
                all += words(&comment).count();
                let of_people = OF_PEOPLE.iter().find(|part| comment.contains(**part));
                used.extend(of_people);
                if of_people.is_none() && persons(&comment) > 0 {
                    let place = format!("{}:{line}:{comment}", path.display());
                    found.extend(vec![place; persons(&comment)]);
                }
            }
        }
        let rate = found.len() as f64 * 1_000.0 / all as f64;
        println!(
            "{folder}: {} of {all} words, {rate:.1} of a thousand",
            found.len()
        );
        assert!(
            rate < PER_THOUSAND,
            "{folder}: {rate:.1} of a thousand words in comments are for people, of whom a \
             scheduler has none. Say an M, a P, a goroutine, sysmon, a thief, the waker: {found:#?}"
        );
    }
    for part in OF_PEOPLE {
        assert!(used.contains(part), "no comment says `{part}` any more");
    }
}

#[test]
fn the_spelling_is_american() {
    let mut problems = Vec::new();
    for path in files("", &["rs", "md", "toml", "css", "js", "svg"]) {
        for (at, line) in text(&path).lines().enumerate() {
            let found = words(line).find(|word| {
                let word = word.to_lowercase();
                let british = |(a, b): &(&str, &str)| word.strip_prefix(a)?.strip_prefix(b);
                BRITISH.iter().any(|parts| british(parts).is_some())
            });
            if let Some(word) = found {
                problems.push(format!("{}:{}: {word}", path.display(), at + 1));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}
