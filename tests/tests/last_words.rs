//! How a program ends: the words of a panic, of a broken invariant, of a stack that
//! overflows and of memory that is not there; and the quiet ends, after which everything is
//! as it was. Each in a child process, whose stderr and status are compared.
//!
//! Rows 2, 6, 8, 16, 28, 29 and 31 of the list of mechanisms. The forms are Go's, except
//! that std's panic message stays in front: it is the one that knows the place.

use std::time::{Duration, Instant};
use tests::{Ended, in_order, long, scenario};

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

#[test]
fn a_panic_prints_std_s_message_and_then_go_s() {
    let ended = scenario!([], "panic_with", "str");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\nthread 'main' (",
            "panicked at tests/bin/scenario/last_words.rs:",
            "\nboom\nnote: run with `RUST_BACKTRACE=1`",
            "\npanic: boom\n\ngoroutine 2 [running]:\n",
            "last_words.rs:",
            "\ncreated by main in goroutine 1 as culprit\n",
        ],
    );
    assert!(ended.stderr.starts_with("\nthread"), "{ended:#?}");
    assert!(
        ended.stderr.ends_with("goroutine 1 as culprit\n"),
        "{ended:#?}"
    );
    assert_eq!(headers(&ended.stderr), ["goroutine 2 [running]:"]);
}

/// On an M's own stack a panic is a broken invariant, whichever row or assertion it came
/// from and whichever M it hits: M0, another one, sysmon, or one that was made for a function.
#[test]
fn a_panic_on_g0_ends_the_process_as_a_throw() {
    for row in [
        "poll_on_m0",
        "poll",
        "stealwork",
        "runqgrab",
        "before_stopm",
        "m_idle",
        "handoffp",
        "preempted",
        "newstack",
        "schedule_slow",
        "minit",
        "minit_on_m0",
        "unminit",
        "sysmon_delay",
        "sysmon_tick",
        "retake",
        "systemstack",
        "mstartfn",
    ] {
        for seed in [None, Some("1")] {
            let seed: Vec<_> = seed.map(|n| ("SAFEPOINT_SEED", n)).into_iter().collect();
            let ended = scenario!(seed, "row_panics", row);
            assert_eq!(
                (row, ended.code, ended.signal),
                (row, Some(2), None),
                "{ended:#?}"
            );
            assert_eq!(ended.stdout, "", "{row}: {ended:#?}");
            in_order(
                &ended.stderr,
                &[
                    "panicked at tests/bin/scenario/last_words.rs:",
                    "\npanic: a bug in a row\nfatal error: panic on system stack\n",
                ],
            );
        }
    }
}

#[test]
fn a_dump_shows_the_program_s_own_frames_as_go_does() {
    let ended = scenario!([], "panic_with", "str");
    died(&ended);
    let (_, dump) = ended.stderr.split_once("[running]:\n").expect("a dump");
    // Pairs of lines: the function, and its place; with the distance from its start unless
    // it was inlined.
    let lines: Vec<&str> = dump.lines().collect();
    let (last, frames) = lines.split_last().expect("a dump has lines");
    assert_eq!(*last, "created by main in goroutine 1 as culprit");
    assert!(frames[0].contains("thrower("), "innermost first: {dump}");
    for pair in frames.chunks(2) {
        let [function, place] = pair else {
            panic!("{dump}");
        };
        assert!(function.ends_with(')'), "{function}");
        let (file, offset) = place.split_once(" +0x").unwrap_or((place, "0"));
        assert!(file.starts_with('\t') && file.contains(".rs:"), "{place}");
        let offset = usize::from_str_radix(offset, 16).expect(place);
        assert!(offset < 1 << 20, "no function is so long: {place}");
        // Frames of the runtime and of std say nothing about the program.
        assert!(file.contains("tests/bin/scenario/"), "{place}");
    }
    let all = scenario!([("GOTRACEBACK", "system")], "panic_with", "str");
    assert!(
        all.stderr.contains("stage1-coop/src/sched/newproc.rs"),
        "{all:#?}"
    );
}

#[test]
fn a_panic_in_main_is_one_of_goroutine_1() {
    let ended = scenario!([], "panic_in_main");
    died(&ended);
    in_order(
        &ended.stderr,
        &["\npanic: boom\n\ngoroutine 1 [running]:\n"],
    );
    assert!(
        !ended.stderr.contains("created by"),
        "nobody made it: {ended:#?}"
    );
}

#[test]
fn std_s_backtrace_is_kept() {
    for level in ["1", "full"] {
        let ended = scenario!([("RUST_BACKTRACE", level)], "panic_with", "str");
        died(&ended);
        in_order(
            &ended.stderr,
            &[
                "boom\nstack backtrace:\n",
                "thrower",
                "panic: boom\n\ngoroutine 2 [running]:\n",
            ],
        );
    }
}

#[test]
fn every_kind_of_payload_has_its_text() {
    for (kind, text) in [
        ("str", "boom"),
        ("string", "boom 7"),
        ("number", "(a value that is no text)"),
        (
            "index",
            "index out of bounds: the len is 3 but the index is 7",
        ),
    ] {
        let ended = scenario!([], "panic_with", kind);
        died(&ended);
        in_order(
            &ended.stderr,
            &[&format!("\npanic: {text}\n\ngoroutine 2 [running]:\n")],
        );
    }
}

#[test]
fn the_lines_of_a_message_are_indented() {
    let ended = scenario!([("GOTRACEBACK", "none")], "panic_with", "lines");
    died(&ended);
    // No line of it can pass for a part of the dump.
    let text = "\npanic: one\n\ttwo\n\t\n\tgoroutine 1 [running]:\n";
    assert!(ended.stderr.ends_with(text), "{ended:#?}");
}

#[test]
fn a_long_message_is_printed_whole() {
    let ended = scenario!([("GOTRACEBACK", "none")], "panic_with", "long");
    died(&ended);
    let text = format!("\npanic: {}\n", "x".repeat(100_000));
    assert!(
        ended.stderr.ends_with(&text),
        "{} bytes",
        ended.stderr.len()
    );
}

#[test]
fn gotraceback_says_how_much_is_printed() {
    for (level, goroutines) in [
        ("none", &[][..]),
        ("0", &[]),
        ("single", &["goroutine 1 [running]:"]),
        (
            "all",
            &[
                "goroutine 1 [running]:",
                "goroutine 2 [running]:",
                "goroutine 3 [chan receive]:",
                "goroutine 4 [runnable]:",
            ],
        ),
    ] {
        let ended = scenario!([("GOTRACEBACK", level)], "panic_beside_others");
        died(&ended);
        assert_eq!(headers(&ended.stderr), goroutines, "{level}: {ended:#?}");
        if level == "none" {
            assert!(ended.stderr.ends_with("\npanic: boom\n"), "{ended:#?}");
        }
        if level == "all" {
            in_order(
                &ended.stderr,
                &[
                    "goroutine 2 [running]:\n\tgoroutine running on other thread; stack unavailable\ncreated by main in goroutine 1 as spinner\n",
                    "goroutine 3 [chan receive]:\n",
                    "created by main in goroutine 1 as waiter\n",
                    "goroutine 4 [runnable]:\ncreated by main in goroutine 1 as runnable\n",
                ],
            );
        }
    }
    let one = scenario!([("GOTRACEBACK", "1")], "panic_beside_others");
    assert_eq!(headers(&one.stderr).len(), 4, "1 is all: {one:#?}");
    let system = scenario!([("GOTRACEBACK", "system")], "panic_beside_others");
    in_order(&system.stderr, &["goroutine 3 [chan receive]:\n", "gopark"]);
    let crash = scenario!([("GOTRACEBACK", "crash")], "panic_beside_others");
    assert_eq!((crash.code, crash.signal), (None, Some(libc::SIGABRT)));
    assert_eq!(headers(&crash.stderr).len(), 4, "{crash:#?}");
}

#[test]
fn of_two_panics_one_speaks() {
    for _ in 0..5 {
        let begin = Instant::now();
        let ended = scenario!([], "two_panics");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        // std's message of the other one may come between the words, but not within them.
        assert_eq!(ended.stderr.matches("panic: ").count(), 1, "{ended:#?}");
        assert_eq!(ended.stderr.matches(" [running]").count(), 1, "{ended:#?}");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_panic_at_the_end_of_the_stack_has_room_for_its_words() {
    for level in ["0", "1", "full"] {
        let ended = scenario!([("RUST_BACKTRACE", level)], "panic_deep_down");
        died(&ended);
        in_order(
            &ended.stderr,
            &["\nboom\n", "\npanic: boom\n\ngoroutine 2 [running]:\n"],
        );
        assert!(
            ended
                .stderr
                .ends_with("created by main in goroutine 1 as culprit\n")
        );
    }
}

#[test]
fn a_panic_in_a_destructor_while_panicking_ends_as_a_panic() {
    let (ended, trace) = traced(&[], &["panic_while_panicking"]);
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\nboom\n",
            "\nand again\n",
            "\nin goroutine 2 (culprit)\npanic: boom\n\tpanic: and again\n\ngoroutine 2 [running]:\n",
            "last_words.rs:",
            "created by main in goroutine 1 as culprit\n",
        ],
    );
    whole(&trace, "GoStart      g2");
}

#[test]
fn a_panic_that_must_not_unwind_ends_as_a_panic() {
    let (ended, trace) = traced(&[], &["panic_in_a_function_that_lets_none_through"]);
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\nboom\n",
            "\npanic: boom\n\ngoroutine 2 [running]:\n",
            "lets_none_through(...)\n",
        ],
    );
    whole(&trace, "GoStart      g2");
}

#[test]
fn an_abort_says_whose_it_is() {
    let (ended, trace) = traced(&[], &["abort_on_a_goroutine"]);
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "SIGABRT: abort\n\ngoroutine 2 [running]:\nculprit(...)\n"
    );
    whole(&trace, "GoStart      g2");
}

#[test]
fn a_goroutine_that_blocks_while_it_unwinds_stays_on_its_thread() {
    let ended = scenario!([], "blocked_while_unwinding", "caught");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "caught: true, panicking: false\nwrong: 0\n");
    let ended = scenario!([], "blocked_while_unwinding", "uncaught");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(&ended.stderr, &["\nboom\n", "\npanic: boom\n\ngoroutine "]);
}

#[test]
fn a_goroutine_is_tied_to_its_thread_only_while_it_unwinds() {
    let ended = scenario!([], "unwound_and_ended");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "main on another thread: 0, next ones locked: 0\n"
    );
    let ended = scenario!([], "goexit_through_a_yield");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "main on another thread: 0\n");
}

#[test]
fn the_others_go_on_when_main_calls_goexit() {
    let ended = scenario!([], "main_goexits");
    assert_eq!(ended.code, Some(7), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "what main held is dropped\nthe heir goes on\n"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_panic_of_the_third_party_ends_the_program_too() {
    let ended = scenario!([], "third_party_panics");
    died(&ended);
    in_order(
        &ended.stderr,
        &["\nthread 'm1'", "\nboom\n", "\npanic: boom\n"],
    );
}

#[test]
fn a_broken_invariant_dumps_all_goroutines() {
    let ended = scenario!([], "throw_from_main");
    died(&ended);
    assert!(
        ended
            .stderr
            .starts_with("fatal error: something is broken\n\ngoroutine 1 [running]:\n"),
        "{ended:#?}"
    );
    in_order(
        &ended.stderr,
        &[
            "last_words.rs:",
            "\n\ngoroutine 2 [chan receive]:\n",
            "created by main in goroutine 1 as waiter\n",
        ],
    );
    let none = scenario!([("GOTRACEBACK", "none")], "throw_from_main");
    died(&none);
    assert_eq!(none.stderr, "fatal error: something is broken\n");
    let crash = scenario!([("GOTRACEBACK", "crash")], "throw_from_main");
    assert_eq!(crash.signal, Some(libc::SIGABRT), "{crash:#?}");
}

#[test]
fn a_goroutine_stopped_at_its_check_shows_every_frame() {
    let ended = scenario!([], "throw_beside_a_preempted_one");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\n\ngoroutine 2 [runnable]:\n",
            "innermost(...)\n",
            "the_one_between(...)\n",
            "outermost(...)\n",
            "created by main in goroutine 1 as hog\n",
        ],
    );
}

#[test]
fn a_broken_invariant_deep_down_has_room_for_its_words() {
    let ended = scenario!([], "throw_deep_down");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "fatal error: something is broken\n\ngoroutine 2 [running]:\n",
            "\n\ngoroutine 1 [chan receive]:\n",
        ],
    );
}

#[test]
fn a_foreign_thread_may_throw_in_either_world() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &["throw_from_a_foreign_thread"], env);
        died(&ended);
        assert!(
            ended
                .stderr
                .starts_with("fatal error: something is broken\n")
        );
        in_order(
            &ended.stderr,
            &["\ngoroutine 1 [", "\ngoroutine 2 [chan receive]:\n"],
        );
    }
}

#[test]
fn the_scheduler_throws_what_go_s_throws() {
    for (name, text) in [
        ("throw_row", "newstack: not today"),
        (
            "illegal_state",
            "casgstatus: goroutine 1 is running (0x2), expected waiting to become runnable",
        ),
        ("holding_locks", "schedule: holding locks"),
        ("stack_growth_after_fork", "stack growth after fork"),
        ("split_at_bad_time", "runtime: stack split at bad time"),
        ("morestack_on_g0", "morestack on g0"),
    ] {
        let ended = scenario!([], name);
        died(&ended);
        let line = format!("fatal error: {text}\n");
        assert!(ended.stderr.starts_with(&line), "{ended:#?}");
        assert_eq!(ended.stderr.matches("fatal error").count(), 1);
    }
}

/// `sp=0x... stack=[0x..., 0x...]`, and the rest of the text.
fn stack_line(text: &str) -> (usize, usize, usize, &str) {
    let head = "runtime: goroutine stack exceeds 221184-byte limit\nruntime: sp=0x";
    let rest = text.strip_prefix(head).expect(text);
    let (numbers, rest) = rest.split_once("]\n").expect(text);
    let mut n = numbers
        .split(" stack=[0x")
        .flat_map(|part| part.split(", 0x"))
        .map(|n| usize::from_str_radix(n, 16).expect(text));
    let mut next = || n.next().expect(text);
    (next(), next(), next(), rest)
}

#[test]
fn a_stack_that_cannot_grow_prints_go_s_message() {
    let ended = scenario!([], "overflow_checked");
    died(&ended);
    let (sp, lo, hi, rest) = stack_line(&ended.stderr);
    assert_eq!(hi - lo, 221_184);
    assert!(sp <= lo + 928, "{sp:#x} {lo:#x}");
    in_order(
        rest,
        &[
            "fatal error: stack overflow\n\ngoroutine 2 [running]:\n",
            "dive(...)\n\t",
            "last_words.rs:",
            " frames elided...\n",
            "created by main in goroutine 1 as culprit\n",
        ],
    );
    let none = scenario!([("GOTRACEBACK", "none")], "overflow_checked");
    died(&none);
    assert_eq!(stack_line(&none.stderr).3, "fatal error: stack overflow\n");
}

#[test]
fn the_guard_page_stops_code_without_checks() {
    let ended = scenario!([], "overflow_unchecked");
    died(&ended);
    let (sp, lo, hi, rest) = stack_line(&ended.stderr);
    assert!(sp < lo && hi - sp < 256 << 10, "{sp:#x} {lo:#x} {hi:#x}");
    in_order(
        rest,
        &[
            "fatal error: stack overflow\n\ngoroutine 2 [running]:\nculprit(...)\n",
            "\tin code without a stack check, at pc=0x",
            "; the guard page stopped it\n",
        ],
    );
}

#[test]
fn memory_that_is_not_there_ends_the_program() {
    for (name, signal, addr) in [
        (
            "nil",
            "SIGSEGV: segmentation violation code=0x1",
            "addr=0x0 ",
        ),
        ("bus", "SIGBUS: bus error code=0x2", "addr=0x"),
    ] {
        let ended = scenario!([], name);
        died(&ended);
        in_order(
            &ended.stderr,
            &[
                "fatal error: unexpected signal\n[signal ",
                signal,
                addr,
                "pc=0x",
                "]\n\ngoroutine 2 [running]:\nculprit(...)\n",
            ],
        );
    }
}

/// Off a goroutine, a fault is the program's: its own handler is called, of either kind.
#[test]
fn a_handler_without_siginfo_is_called() {
    let ended = scenario!([], "own_handler");
    assert_eq!(
        (ended.code, &*ended.stdout, &*ended.stderr),
        (Some(libc::SIGSEGV), "my own handler\n", ""),
        "{ended:#?}"
    );
}

/// The handlers of lockstep wait for their turn, with system calls that may fail.
#[test]
fn a_handler_keeps_errno() {
    for way in ["spin", "watchdog"] {
        let ended = scenario!([("SAFEPOINT_SEED", "1")], "errno_in_lockstep", way);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "errno 77\n"),
            "{way}: {ended:#?}"
        );
    }
}

#[test]
fn a_std_thread_s_overflow_is_still_std_s_affair() {
    let ended = scenario!([], "overflow_of_a_std_thread");
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{ended:#?}");
    in_order(
        &ended.stderr,
        &["\nthread 'falls'", "has overflowed its stack\n"],
    );
}

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

/// Runs a scenario with a full pipe as stderr that nobody reads; returns its status.
fn unheard(env: &[(&str, &str)], words: &[&str]) -> Option<i32> {
    use std::os::fd::AsRawFd;
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: calls about a descriptor that is ours, with a buffer that is ours.
    let filled = unsafe {
        libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096);
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        while libc::write(writer.as_raw_fd(), [0_u8; 512].as_ptr().cast(), 512) > 0 {}
        libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, 0)
    };
    assert_eq!(filled, 0);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(words)
        .envs(env.iter().copied())
        .stdout(std::process::Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the program can be started");
    let deadline = Instant::now() + tests::LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    panic!("{words:?} does not end");
}

#[test]
fn nobody_waits_for_ever_for_a_reader_of_last_words() {
    for words in [
        &["throw_from_main"][..],
        &["nil"],
        &["overflow_checked"],
        &["quit", "crowd"],
        &["quit", "idle"],
    ] {
        assert_eq!(unheard(&[], words), Some(2), "{words:?}");
    }
    // std's own message of a panic waits, as in any Rust program; ours do not.
    let seed = [("SAFEPOINT_SEED", "1")];
    assert_eq!(unheard(&seed, &["deadlock"]), Some(2));
}

#[test]
fn nobody_waits_for_ever_for_a_reader_of_the_trace() {
    let folder = tests::fresh_folder("safepoint-fifo-").expect("a folder");
    let fifo = folder.join("trace.txt");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|s| s.success()));
    // Somebody has opened it, and does not read.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a pipe can be opened");
    let env = [("SAFEPOINT_TRACE", &*fifo.display().to_string())];
    let ended = scenario!(env, "long_trace", "10000");
    drop(reader);
    let _ = std::fs::remove_dir_all(&folder);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(&ended.stderr, &["\npanic: boom\n", "does not go on"]);
}

#[test]
fn a_lock_that_nobody_gives_back_costs_the_list_only() {
    let ended = scenario!([], "throw_beside_a_held_lock");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "fatal error: something is broken\n\ngoroutine 1 [running]:\n",
            "\nruntime: the list of goroutines is held by a thread that stands still\n",
        ],
    );
}

#[test]
fn a_dump_needs_no_frame_pointers() {
    let ended = scenario!([], "parked_without_frame_pointers");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\n\ngoroutine 2 [chan receive]:\n",
            "parks(...)\n",
            "calls_it(...)\n",
            "created by main in goroutine 1 as waiter\n",
        ],
    );
}

// ---- goexit.

#[test]
fn a_goroutine_that_calls_goexit_ends_whoever_catches_it() {
    for (how, words) in [
        ("ignored", ""),
        ("tested", ""),
        ("looked at", "an error: false\n"),
        ("thrown on", ""),
        ("twice", ""),
        ("kept", "the other one goes on\nfor a while\n"),
    ] {
        let ended = scenario!([], "goexit_is_caught", how);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        assert_eq!(
            ended.stdout,
            format!("{words}dropped\nmain goes on\n"),
            "{how}"
        );
    }
}

#[test]
fn main_s_return_is_none_after_goexit() {
    let ended = scenario!([], "main_goexits_and_returns");
    assert_eq!((ended.code, &*ended.stderr), (Some(7), ""), "{ended:#?}");
    assert_eq!(ended.stdout, "main returns\nthe heir goes on\n");
}

#[test]
fn goexit_while_unwinding_has_words() {
    let ended = scenario!([], "goexit_in_a_destructor");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\npanic: boom\n\tpanic: goexit: in a destructor while the goroutine unwinds\n",
            "\ngoroutine 2 [running]:\n",
        ],
    );
}
