//! Each hazard of stopping a goroutine anywhere is real where its guard is taken away, and gone
//! with the guard. The program is `program.rs`, in an optimized build: without optimization most of
//! what is dangerous is a call, and not the goroutine's own code.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tests::{Ended, LIMIT, long, root, run};

/// How often a hazard is tried before it counts as gone: chance decides.
const TRIES: usize = 5;

/// The program in release; `None` in a short run.
fn program() -> Option<&'static Path> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if !long() {
        println!("skipped: builds a program in release; set SAFEPOINT_LONG=1");
        return None;
    }
    let built = BUILT.get_or_init(|| {
        // The folder of the test that compares the traces of all profiles.
        let target = root().join("target/opt/release");
        let mut cargo = tests::cargo();
        cargo
            .args([
                "build",
                "-q",
                "--release",
                "-p",
                "tests",
                "--bin",
                "hazards",
            ])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(root());
        assert!(cargo.status().expect("cargo can be started").success());
        target.join("release/hazards")
    });
    Some(built)
}

fn hazard(program: &Path, name: &str, guard: &str) -> Ended {
    run(Command::new(program).args([name, guard]), &[], LIMIT)
}

/// A number of the last line: `NAME=N`.
fn count(ended: &Ended, name: &str) -> u64 {
    let words = ended.stdout.split_whitespace();
    let mut found = words.filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let value = found.next_back().and_then(|n| n.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {ended:#?}"))
}

/// With the guard nothing is wrong, although goroutines were stopped, or would have been but for
/// this veto, again and again.
#[track_caller]
fn gone(program: &Path, name: &str, what: &str) {
    let ended = hazard(program, name, "with");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(count(&ended, "wrong"), 0, "{ended:#?}");
    assert!(count(&ended, "done") > 100, "{ended:#?}");
    assert!(count(&ended, what) > 100, "{ended:#?}");
}

/// Without it something is, sooner or later: a wrong count, or a dead process.
#[track_caller]
fn real(program: &Path, name: &str) -> Ended {
    let mut tries = (0..TRIES).map(|_| hazard(program, name, "without"));
    let wrong = |e: &Ended| e.timed_out || e.code != Some(0) || count(e, "wrong") > 0;
    let found = tries.find(wrong);
    found.unwrap_or_else(|| panic!("{name} has done no harm in {TRIES} runs"))
}

#[test]
fn a_list_in_a_variable_of_the_thread() {
    let Some(program) = program() else { return };
    gone(program, "ref-cell", "thread");
    real(program, "ref-cell");
}

#[test]
fn the_count_of_panics() {
    let Some(program) = program() else { return };
    gone(program, "panics", "thread");
    real(program, "panics");
}

#[test]
fn the_number_of_an_error() {
    let Some(program) = program() else { return };
    gone(program, "errno", "thread");
    real(program, "errno");
}

/// No guard of the runtime's helps: the way out is another lock.
#[test]
fn a_lock_of_std_s() {
    let Some(program) = program() else { return };
    gone(program, "std-mutex", "stopped");
    let ended = real(program, "std-mutex");
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.stdout.starts_with("nothing moves"), "{ended:#?}");
}

/// The map cannot know it: the way out is `acquirem`.
#[test]
fn an_address_that_a_call_has_returned() {
    let Some(program) = program() else { return };
    gone(program, "address", "locks");
    real(program, "address");
}

#[test]
fn an_allocator_that_is_copied_into_the_goroutine_s_code() {
    let Some(program) = program() else { return };
    gone(program, "allocator", "mallocing");
    real(program, "allocator");
}
