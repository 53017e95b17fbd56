//! The words of a panic: std's message, which knows the place, and then Go's form.

use super::{died, headers, traced, whole};
use std::time::{Duration, Instant};
use tests::{in_order, scenario};

#[test]
fn a_panic_prints_std_s_message_and_then_go_s() {
    let ended = scenario!([], "panic_with", "str");
    died(&ended);
    in_order(
        &ended.stderr,
        &[
            "\nthread 'main' (",
            "panicked at tests/tests/it/last_words/scenario/mod.rs:",
            "\nboom\nnote: run with `RUST_BACKTRACE=1`",
            "\npanic: boom\n\ngoroutine 2 [running]:\n",
            "last_words/scenario/panics.rs:",
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
    let rows = [
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
    ];
    let jobs: Vec<_> = rows
        .iter()
        .flat_map(|row| [(*row, &[][..]), (*row, &[("SAFEPOINT_SEED", "1")])])
        .collect();
    tests::two_at_a_time(&jobs, |&(row, env)| {
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &["row_panics", row], env);
        assert_eq!(
            (row, ended.code, ended.signal),
            (row, Some(2), None),
            "{ended:#?}"
        );
        assert_eq!(ended.stdout, "", "{row}: {ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "panicked at tests/tests/it/last_words/scenario/rows.rs:",
                "\npanic: a bug in a row\nfatal error: panic on system stack\n",
            ],
        );
    });
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
        assert!(
            file.contains("tests/tests/it/last_words/scenario"),
            "{place}"
        );
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
            "last_words/scenario/panics.rs:",
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
fn a_panic_of_the_third_party_ends_the_program_too() {
    let ended = scenario!([], "third_party_panics");
    died(&ended);
    in_order(
        &ended.stderr,
        &["\nthread 'm1'", "\nboom\n", "\npanic: boom\n"],
    );
}
