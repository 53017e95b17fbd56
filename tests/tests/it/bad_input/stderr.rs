//! A stderr that is closed, full or gone.

use super::SEED;
use std::process::Command;
use tests::{Ended, LIMIT, run};

/// Runs a scenario with stderr as the shell makes it: `2>/dev/full`, `2>&-`.
fn with_stderr(redirection: &str, env: &[(&str, &str)], words: &str) -> Ended {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!(
        "exec {} {words} {redirection}",
        env!("CARGO_BIN_EXE_scenario")
    ));
    run(&mut shell, env, LIMIT)
}

#[test]
fn words_that_cannot_be_said_change_nothing() {
    for stderr in ["2>/dev/full", "2>&-"] {
        let ended = with_stderr(stderr, &[("GODEBUG", "gctrace=1")], "hello");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "hello\n"),
            "{stderr}"
        );
        let ended = with_stderr(stderr, &[("GOMAXPROCS", "0")], "hello");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{stderr}");
        let ended = with_stderr(stderr, &[], "panic_with str");
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{stderr}");
    }
}

/// As `prog | head -1`: the reader has seen enough, which is no fault of the program.
#[test]
fn a_reader_of_the_trace_may_go_away() {
    for env in [
        &[("SAFEPOINT_TRACE", "-")][..],
        &[("SAFEPOINT_TRACE", "-"), SEED],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = Command::new(env!("CARGO_BIN_EXE_scenario"))
            .arg("hello")
            .envs(env.iter().copied())
            .stderr(writer)
            .output()
            .expect("the program can be started");
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(ended.stdout, b"hello\n");
    }
}

/// `eprintln!` panics when stderr is gone, and takes a lock that a goroutine may hold. The lint
/// is clippy's; that it is denied where it must be is ours.
#[test]
fn no_crate_of_the_runtime_speaks_by_std() {
    let mut crates = 0;
    let folders = ["stage1-coop/lockstep/src".to_owned()].into_iter().chain(
        tests::root()
            .read_dir()
            .expect("the workspace")
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| name.starts_with("stage"))
            .map(|name| name + "/src"),
    );
    for folder in folders {
        let lib = tests::root().join(&folder).join("lib.rs");
        let text = std::fs::read_to_string(&lib).expect("a crate has a lib.rs");
        let deny = "#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]";
        assert!(text.contains(deny), "{folder}");
        crates += 1;
    }
    assert!(crates >= 5, "{crates}");
}
