//! The quiet ends: after a run everything is as it was, and the next may begin.

use super::died;
use std::time::{Duration, Instant};
use tests::{in_order, long, scenario};

#[test]
fn handlers_masks_and_signal_stacks_are_put_back() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let ended = tests::scenario_of(tests::program!("scenario"), &["handlers"], env);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let expected: String = (0..3)
            .map(|n| format!("{n}: changed inside: true\n{n}: as before\n"))
            .collect();
        assert_eq!(ended.stdout, expected, "{env:?}");
    }
}

/// What a thread of the program's own may find: everything of the old run, or of the new one.
#[test]
fn a_run_opens_its_gate_when_its_lists_are_complete() {
    let ended = scenario!([], "runs_watched");
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "0 bad\n"),
        "{ended:#?}"
    );
}

#[test]
fn run_can_be_called_again_and_again() {
    // One arena for all threads, or malloc's own would look like a leak.
    let arena = ("MALLOC_ARENA_MAX", "1");
    for env in [&[arena][..], &[arena, ("SAFEPOINT_SEED", "1")]] {
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &["runs", "200"], env);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let number = |name: &str| -> usize {
            let line = ended.stdout.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
        };
        in_order(&ended.stdout, &["sum right: true\n"]);
        // The main thread and the watcher.
        assert_eq!(number("threads left: "), 2, "{env:?} {ended:#?}");
        // Gs, Ms and Ps live for ever, as Go's: some KiB a run.
        assert!(number("resident KiB a run: ") < 64, "{env:?} {ended:#?}");
        // A goroutine that never finished keeps its stack, so the arena of stacks may take its
        // next two steps of 16 MiB meanwhile. A thread's stack a run would be 1,024.
        assert!(
            number("address space KiB a run: ") < 64 + (32 << 10) / 200,
            "{env:?} {ended:#?}"
        );
    }
}

#[test]
fn two_runs_at_once_wait_for_each_other() {
    let ended = scenario!([], "runs_at_once");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "threads that ended well: 2, runs at once: 1\n"
    );
}

#[test]
fn a_run_inside_a_run_is_refused() {
    for name in ["nested", "nested_in_third_party"] {
        let ended = scenario!([], name);
        died(&ended);
        in_order(
            &ended.stderr,
            &["\npanic: Runtime::run: called on a thread of a run that is not over\n"],
        );
    }
}

#[test]
fn when_main_returns_the_others_are_not_waited_for() {
    for what in ["parked", "runnable", "hogs"] {
        let ended = scenario!([], "main_returns", what);
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        assert_eq!(ended.stdout, "main returns\nrun returns\n", "{what}");
        assert_eq!(ended.stderr, "", "{what}");
    }
}

#[test]
fn what_cannot_be_stopped_ends_with_the_process_and_one_line() {
    for (what, who) in [
        ("loop", "goroutine 2 (endless)"),
        ("stubborn_third_party", "a thread without a processor"),
    ] {
        let begin = Instant::now();
        let ended = scenario!([], "main_returns", what);
        assert!(begin.elapsed() < Duration::from_secs(15), "{what}");
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        assert_eq!(ended.stdout, "main returns\n", "{what}");
        assert_eq!(ended.stderr.lines().count(), 1, "{what}: {ended:#?}");
        in_order(&ended.stderr, &["runtime: main has returned, but", who]);
    }
}

#[test]
fn main_may_return_at_any_moment() {
    let rounds = if long() { "100000" } else { "2000" };
    let ended = scenario!([], "main_returns_at_random", rounds);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, "", "a request to leave was lost");
    assert_eq!(ended.stdout, format!("{rounds} runs have ended\n"));
}

#[test]
fn exit_saves_the_trace() {
    let trace = std::env::temp_dir().join(format!("safepoint-exit-{}.txt", std::process::id()));
    let name = trace.display().to_string();
    let ended = scenario!([("SAFEPOINT_TRACE", &name)], "exits");
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    let _ = std::fs::remove_file(&trace);
    assert_eq!(ended.code, Some(7), "{ended:#?}");
    assert_eq!(ended.stderr, "");
    in_order(
        &text,
        &[
            "# safepoint trace v1",
            "GoCreate",
            "UserLog      the end\n",
            "# preempt: ",
        ],
    );
}

// ---- Deaths that come from elsewhere: the trace must be there, and the status the usual one.
