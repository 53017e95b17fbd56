//! The switches: the variables of the environment that the runtime reads, and those of the tests.
//! Their lists are the only ones: every variable that a source names is in them, each is read
//! somewhere, and whatever cleans an environment knows them all.

use super::lexer;
use stage1_coop::rt::life::{self, Switch};
use std::collections::BTreeSet;
use std::path::Path;
use tests::root;

/// Those of the tests alone.
const OF_TESTS: &[Switch] = &[
    Switch {
        name: "SAFEPOINT_LONG",
        values: &[("`1`", "tests only: the long proofs too")],
    },
    Switch {
        name: "SAFEPOINT_SOAK",
        values: &[(
            "a number",
            "tests only: so many seconds of different schedules in `soak`",
        )],
    },
    Switch {
        name: "SAFEPOINT_GO",
        values: &[(
            "`required`",
            "tests only: `gotrace` fails where there is no Go",
        )],
    },
];

/// All of them: the runtime's, and those of the tests.
fn all() -> impl Iterator<Item = &'static Switch> {
    life::SWITCHES.iter().chain(OF_TESTS)
}

/// The table of README. The keys of `GODEBUG` are those of the last stage.
pub(crate) fn markdown() -> String {
    let mut out = String::from("| variable | value | what it does |\n|---|---|---|\n");
    for switch in all() {
        let mut name = format!("`{}`", switch.name);
        let mut row = |value: &str, does: &str| {
            out.push_str(&format!("| {name} | {value} | {does} |\n"));
            name.clear();
        };
        for (value, does) in switch.values {
            row(value, does);
        }
        if switch.name == "GODEBUG" {
            for key in (stage2_sysmon::STAGE.godebug)() {
                let (value, does) = key.doc.split_once(": ").expect("VALUE: what it does");
                let from_1 = (stage1_coop::STAGE.godebug)();
                let of_1 = from_1.iter().any(|k| k.name == key.name);
                let from = if of_1 { "" } else { "from stage 2 on: " };
                row(&format!("`{}={value}`", key.name), &format!("{from}{does}"));
            }
        }
    }
    // An empty first cell has one space, not two.
    out.replace("|  |", "| |")
}

/// Variables by which our programs talk to their own children. They are no switches.
const INTERNAL: &[&str] = &["SAFEPOINT_TRACE_OF", "SAFEPOINT_TRACE_OF_RESULTS"];

fn names() -> BTreeSet<&'static str> {
    all().map(|switch| switch.name).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below a folder that ends so.
fn files(folder: &Path, ends: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("its entries").path();
        if path.is_dir() {
            files(&path, ends, found);
        } else if path.to_string_lossy().ends_with(ends) {
            found.push(text(&path));
        }
    }
}

#[test]
fn every_variable_that_is_read_is_in_the_list() {
    let mut rust = Vec::new();
    for folder in [
        "stage1-coop",
        "stage2-sysmon",
        "tests/src",
        "tests/kit",
        "tests/tests",
    ] {
        files(&root().join(folder), ".rs", &mut rust);
    }
    let known = names();
    let mut named = BTreeSet::new();
    for string in rust.iter().flat_map(|text| lexer::read(text).strings) {
        let ours = string.strip_prefix("SAFEPOINT_").is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
        if ours && !INTERNAL.contains(&string.as_str()) {
            assert!(known.contains(string.as_str()), "{string} is in no list");
        }
        named.insert(string);
    }
    for name in known {
        assert!(named.contains(name), "{name} is read nowhere");
    }
}

#[test]
fn an_environment_is_cleaned_of_all_of_them() {
    let ci = text(&root().join(".ci/run"));
    let unset = ci.lines().filter_map(|line| line.strip_prefix("unset "));
    let unset: BTreeSet<&str> = unset.flat_map(str::split_whitespace).collect();
    assert_eq!(unset, names(), ".ci/run unsets what is in the lists");
    // These two know ours by `SAFEPOINT_`, and Go's by name.
    for file in ["book/server/run/drive.rs", "tests/measure/src/pair.rs"] {
        let strings = lexer::read(&text(&root().join(file))).strings;
        let knows = |name: &str| strings.iter().any(|s| s == name);
        for name in names().into_iter().filter(|n| !n.starts_with("SAFEPOINT_")) {
            assert!(knows(name), "{file} leaves {name} in the environment");
        }
        assert!(knows("SAFEPOINT_"), "{file} leaves ours in the environment");
    }
}

#[test]
fn the_book_names_none_that_does_not_exist() {
    let mut pages = Vec::new();
    files(&root().join("book/chapters"), ".md", &mut pages);
    for word in pages
        .iter()
        .flat_map(|page| page.split(|c: char| !c.is_ascii_uppercase() && c != '_'))
    {
        let ours = word.starts_with("SAFEPOINT_");
        assert!(!ours || names().contains(word), "the book names {word}");
    }
}
