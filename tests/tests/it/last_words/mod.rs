//! How a program ends: the words of a panic, of a broken invariant, of a stack that
//! overflows and of memory that is not there; and the quiet ends, after which everything is
//! as it was. Each in a child process, whose stderr and status are compared.
//!
//! Rows 2, 6, 8, 16, 28, 29 and 31 of the list of mechanisms. The forms are Go's, except
//! that std's panic message stays in front: it is the one that knows the place.
mod faults;
mod goexit;
mod panics;
mod readers;
mod runs;
mod signals;
mod throws;

use tests::{Ended, in_order};

/// What a test expects of a program that died: status 2, and nothing on stdout.
#[track_caller]
fn died(ended: &Ended) {
    assert_eq!((ended.code, ended.signal), (Some(2), None), "{ended:#?}");
    assert_eq!(ended.stdout, "", "{ended:#?}");
}

/// Runs a scenario with a trace, which is returned too.
fn traced(env: &[(&str, &str)], words: &[&str]) -> (Ended, String) {
    let folder = tests::fresh_folder("safepoint-death-").expect("a folder");
    let file = folder.join("trace.txt");
    let name = file.display().to_string();
    let mut env = env.to_vec();
    env.push(("SAFEPOINT_TRACE", &name));
    let ended = tests::scenario_of(env!("CARGO_BIN_EXE_scenario"), words, &env);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&folder);
    (ended, text)
}

/// A trace from its head to its totals, with this line in it.
#[track_caller]
fn whole(trace: &str, line: &str) {
    in_order(trace, &["# safepoint trace v1", line, "# preempt: "]);
}

/// The lines of `text` that name goroutines.
fn headers(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|l| l.starts_with("goroutine "))
        .collect()
}
