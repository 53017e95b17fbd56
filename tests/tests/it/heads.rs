//! The head of every file of the runtime says which tests hold it, and it says the truth as far as
//! a program can tell: what it names exists.

use super::sources::{rust_files, text};
use std::path::{Path, PathBuf};
use tests::root;

/// What runs in a program. Later stages come to this list with their first file of code.
const RUNTIME: &[&str] = &[
    "stage1-coop/src",
    "stage1-coop/lockstep/src",
    "stage1-coop/macros/src",
    "stage1-coop/trace/src",
    "stage2-sysmon/src",
    "stage3-signals/src",
];

/// The file of a module of this program, `netpoll::closing` for example.
fn file_of(module: &str) -> Option<PathBuf> {
    let path = root()
        .join("tests/tests/it")
        .join(module.replace("::", "/"));
    let files = [path.with_extension("rs"), path.join("mod.rs")];
    files.into_iter().find(|file| file.is_file())
}

/// Whether `module::name` is a test of this program.
pub fn is_test(name: &str) -> bool {
    let Some((module, name)) = name.rsplit_once("::") else {
        return false;
    };
    let Some(file) = file_of(module) else {
        return false;
    };
    let text = text(&file);
    let place = text.find(&format!("fn {name}("));
    place.is_some_and(|at| text[..at].trim_end().ends_with(']'))
}

/// What is wrong with the head of this file.
fn problem(path: &Path) -> Option<String> {
    let text = text(path);
    let head: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let head = head.join("\n");
    let Some((_, rest)) = head.split_once("Tests:") else {
        return Some("its head has no `Tests:`".to_owned());
    };
    let said = rest.split("\n\n").next().unwrap_or_default();
    let names: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let below = said.trim_start().starts_with("below");
    if below && !text.contains("#[cfg(test)]") {
        return Some("it says that its tests are below, and there are none".to_owned());
    }
    if names.is_empty() && !below {
        return Some("it names no test".to_owned());
    }
    let exists = |name: &&&str| match name.ends_with(".rs") {
        true => root().join(name).is_file(),
        false => file_of(name).is_some() || is_test(name),
    };
    let missing = names.iter().find(|name| !exists(name))?;
    Some(format!("there is no test, module or file `{missing}`"))
}

#[test]
fn every_file_of_the_runtime_says_which_tests_hold_it() {
    let files = RUNTIME.iter().flat_map(|folder| rust_files(folder));
    let problems: Vec<String> = files
        .filter_map(|path| problem(&path).map(|what| format!("{}: {what}", path.display())))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}
