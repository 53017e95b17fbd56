//! Programs that lockstep cannot run to their end, and traces that a compiler decides.

use super::{Folder, SEED, refused};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Ended, in_order, long, scenario};

#[test]
fn lockstep_refuses_to_run_under_a_tracer() {
    let free = scenario!([], "traced");
    if free.stdout.starts_with("nobody may trace here") {
        println!("skipped: {}", free.stdout.trim());
        return;
    }
    assert_eq!(
        (free.code, &*free.stdout),
        (Some(0), "hello\n"),
        "{free:#?}"
    );
    let folder = Folder::new("traced");
    let trace = folder.file("old.txt");
    std::fs::write(&trace, "an earlier trace\n").expect("a file can be written");
    let env = [("SAFEPOINT_SEED", "1"), ("SAFEPOINT_TRACE", &*trace)];
    refused(
        &scenario!(env, "traced"),
        &["lockstep needs the int3 instruction, which scenario takes for itself"],
    );
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    assert_eq!(text, "an earlier trace\n", "nothing is half-done");
}

/// What lockstep says when it cannot go on: one line, after what the program has printed.
#[track_caller]
fn lockstep_ends(ended: &Ended, stdout: &str, words: &str) {
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stdout, stdout, "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    in_order(&ended.stderr, &["lockstep: ", words]);
}

#[test]
fn lockstep_says_when_nothing_can_happen_any_more() {
    for procs in ["1", "2", "4"] {
        let ended = scenario!([SEED, ("GOMAXPROCS", procs)], "deadlock");
        lockstep_ends(
            &ended,
            "nobody will wake us\n",
            "every thread sleeps and no timer is set",
        );
    }
    // The trace is saved all the same.
    let ended = scenario!([SEED, ("SAFEPOINT_TRACE", "-")], "deadlock");
    in_order(
        &ended.stderr,
        &[
            "# safepoint trace v1",
            "GoBlock      chan receive",
            "\nlockstep: every thread sleeps",
        ],
    );
}

#[test]
fn lockstep_says_when_a_loop_never_ends_and_nobody_is_left() {
    // It may be a loop that only takes long. So a line is all there is, and the run goes on.
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
    command
        .arg("endless")
        .envs([SEED, ("GOMAXPROCS", "1")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the scenario can be started");
    let mut line = String::new();
    let stderr = child.stderr.take().expect("stderr is piped");
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("lockstep: a loop without a check has taken 2 s"),
        "{line}"
    );
    assert!(child.try_wait().expect("a child").is_none(), "it was ended");
    let _ = child.kill();
    let _ = child.wait();
}

/// A loop without a check while nobody else can run: however long it takes, nothing depends
/// on it.
#[test]
fn lockstep_lets_a_program_compute() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-"), ("GOMAXPROCS", "1")];
    let ended = scenario!(env, "computes", "200");
    assert_eq!(portable(&ended), "yes");
    assert_eq!(ended.stdout, "computed\n");
    if !long() {
        println!("skipped: a hog of 15 s; set SAFEPOINT_LONG=1");
        return;
    }
    // Each turn is short for the watchdog, and the clock is slow: a check is a microsecond.
    let ended = scenario!(env, "hog", "15000");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "computed\n");
}

#[test]
fn lockstep_says_when_a_thread_blocks_outside_the_runtime() {
    if !long() {
        println!("skipped: waits 10 s for each number of Ps; set SAFEPOINT_LONG=1");
        return;
    }
    // On one P there is one thread, and nobody who could notice.
    for procs in ["2", "4"] {
        let begin = Instant::now();
        let ended = scenario!([SEED], "std_lock", procs);
        lockstep_ends(
            &ended,
            "",
            "the thread that holds the baton has not come back",
        );
        assert!(begin.elapsed() < Duration::from_secs(35), "{procs}");
    }
}

/// The first line of a trace: who, on how many, and whether another build gives the same.
fn portable(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let head = ended.stderr.lines().next().unwrap_or_default();
    head.split_once(" portable=").map_or("", |(_, p)| p)
}

#[test]
fn a_trace_says_when_a_loop_s_length_decides_it() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-")];
    let ended = scenario!(env, "long_loop", "0");
    assert_eq!(portable(&ended), "yes");
    // Two of the watchdog's periods of 20 ms decide. The kernel looks at a thread's clock only
    // at its own ticks, and under load at few of them.
    let ended = scenario!(env, "long_loop", "200");
    assert_eq!(portable(&ended), "no (a loop without a check ran long)");
    in_order(&ended.stderr, &["UserLog      the loop has ended"]);
}

#[test]
fn a_trace_says_when_the_compiler_s_frames_decide_it() {
    let env = [SEED, ("SAFEPOINT_TRACE", "-")];
    let ended = scenario!(env, "frames", "compiled");
    let compilers = "no (the compiler's frames decide when a stack grows)";
    assert_eq!(portable(&ended), compilers);
    in_order(&ended.stderr, &["StackGrow    16K"]);
    // Here it just did not grow. With larger frames it would have.
    let ended = scenario!(env, "frames", "small");
    assert!(!ended.stderr.contains("StackGrow"), "{ended:#?}");
    assert_eq!(portable(&ended), compilers);
    // A few calls stay away from the end of the stack in every build.
    let ended = scenario!(env, "frames", "few");
    assert_eq!(portable(&ended), "yes");
    let ended = scenario!(env, "frames", "ruled");
    assert_eq!(portable(&ended), "yes");
    in_order(&ended.stderr, &["StackGrow    16K"]);
}
