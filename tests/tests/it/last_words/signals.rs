//! Deaths that come from elsewhere: the trace must be there, and the status the usual one.

use super::{traced, whole};
use tests::{Ended, in_order, long, scenario};

#[test]
fn a_signal_that_ends_the_process_leaves_the_trace_behind() {
    for signal in [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGABRT,
        libc::SIGTRAP,
        libc::SIGRTMIN() + 1,
    ] {
        for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
            let (ended, trace) = traced(env, &["killed", &signal.to_string()]);
            assert_eq!(ended.signal, Some(signal), "{ended:#?}");
            assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""), "{signal}");
            whole(&trace, "UserLog      before the signal\n");
        }
        // And without a trace.
        let ended = scenario!([], "killed", &signal.to_string());
        assert_eq!(ended.signal, Some(signal), "{ended:#?}");
    }
}

#[test]
fn it_may_come_in_the_middle_of_the_allocator() {
    let times = if long() { 200 } else { 10 };
    for i in 0..times {
        let us = (20_000 + 137 * i).to_string();
        let (ended, trace) = traced(&[], &["killed_in_the_allocator", &us]);
        assert_eq!(ended.signal, Some(libc::SIGTERM), "{ended:#?}");
        assert_eq!(ended.stderr, "");
        whole(&trace, "UserLog      before the signal\n");
    }
}

#[test]
fn exit_of_std_saves_the_trace_too() {
    let (ended, trace) = traced(&[], &["exit_of_std"]);
    assert_eq!((ended.code, &*ended.stderr), (Some(7), ""), "{ended:#?}");
    whole(&trace, "UserLog      the end\n");
}

#[test]
fn faults_save_the_trace() {
    for (words, code, signal, line) in [
        ("overflow_checked", Some(2), None, "GoStart      g2"),
        ("overflow_unchecked", Some(2), None, "GoStart      g2"),
        ("nil", Some(2), None, "GoStart      g2"),
        ("bus", Some(2), None, "GoStart      g2"),
        (
            "fault_of_a_std_thread",
            None,
            Some(libc::SIGSEGV),
            "UserLog      before the fault\n",
        ),
        (
            "overflow_of_a_std_thread",
            None,
            Some(libc::SIGABRT),
            "GoStart      g1",
        ),
    ] {
        let (ended, trace) = traced(&[], &[words]);
        assert_eq!((ended.code, ended.signal), (code, signal), "{ended:#?}");
        whole(&trace, line);
    }
}

/// Runs a scenario under a limit on the size of files, in blocks of 512 bytes.
fn with_file_limit(blocks: u32, env: &[(&str, &str)], words: &str) -> Ended {
    let mut shell = std::process::Command::new("sh");
    let exe = env!("CARGO_BIN_EXE_scenario");
    let script = format!("ulimit -f {blocks}; exec {exe} {words}");
    tests::run(shell.arg("-c").arg(script), env, tests::LIMIT)
}

#[test]
fn a_limit_on_files_ends_the_program_or_costs_the_trace() {
    let folder = tests::fresh_folder("safepoint-limit-").expect("a folder");
    let name = |file: &str| folder.join(file).display().to_string();
    let (trace, file) = (name("trace.txt"), name("file"));
    // The program's own file is too large: SIGXFSZ, and the trace is there.
    let words = format!("large_file {file} 1000000");
    let ended = with_file_limit(100, &[("SAFEPOINT_TRACE", &trace)], &words);
    assert_eq!(ended.signal, Some(libc::SIGXFSZ), "{ended:#?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    whole(&text, "UserLog      before the file\n");
    // The trace itself is too large: no signal, but a line and a status.
    let env = [("SAFEPOINT_TRACE", &*trace), ("SAFEPOINT_SEED", "1")];
    let ended = with_file_limit(1, &env, "hello");
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(74), "hello\n"),
        "{ended:#?}"
    );
    in_order(
        &ended.stderr,
        &[&trace, ": the trace is lost: File too large"],
    );
    let _ = std::fs::remove_dir_all(&folder);
}

// ---- A reader who does not read.
