//! SIGQUIT shows every goroutine, whatever it does, and ends the process.

use super::diagnostics;
use tests::{Ended, in_order, long, two_at_a_time};

/// The dump's form: header, goroutines, registers. Returns the headers of the goroutines.
#[track_caller]
fn dumped(ended: &Ended) -> Vec<String> {
    assert_eq!((ended.code, ended.signal), (Some(2), None), "{ended:#?}");
    let at = ended.stderr.find("SIGQUIT: quit\n").expect("the header");
    let mut lines = ended.stderr[at..].lines().skip(1);
    let place = lines.next().unwrap_or_default();
    let mut words = place.split(' ');
    let hex = |text: &str| u64::from_str_radix(text, 16).is_ok();
    let pc = words.next().and_then(|w| w.strip_prefix("PC=0x"));
    assert!(pc.is_some_and(hex), "{ended:#?}");
    let m = words.next().and_then(|w| w.strip_prefix("m="));
    assert!(m.is_some_and(|m| m.parse::<i32>().is_ok()), "{ended:#?}");
    let code = words.next().and_then(|w| w.strip_prefix("sigcode="));
    assert!(code.is_some_and(|c| c.parse::<i32>().is_ok()), "{ended:#?}");
    assert_eq!(lines.next(), Some(""), "{ended:#?}");
    let registers: Vec<&str> = ended
        .stderr
        .lines()
        .filter_map(|l| l.split_once("0x").filter(|(_, v)| hex(v)))
        .filter(|(name, _)| name.len() == 7)
        .map(|(name, _)| name.trim_end())
        .collect();
    assert_eq!(
        registers,
        [
            "rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp", "rsp", "r8", "r9", "r10", "r11",
            "r12", "r13", "r14", "r15", "rip", "rflags", "cs", "fs", "gs"
        ],
        "{ended:#?}"
    );
    let said = ended.stderr.matches("SIGQUIT: quit").count();
    assert_eq!(said, 1, "{ended:#?}");
    lines
        .filter(|l| l.starts_with("goroutine "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn sigquit_shows_everybody_while_everybody_sleeps() {
    let ended = diagnostics(&["quit", "idle"], &[]);
    assert_eq!(dumped(&ended), ["goroutine 1 [sleep]:"]);
    in_order(
        &ended.stderr,
        &[
            "goroutine 1 [sleep]:\n",
            "diagnostics/scenario.rs:",
            "\nrax    0x",
        ],
    );
}

#[test]
fn who_does_not_stop_has_no_stack_to_show() {
    let ended = diagnostics(&["quit", "deaf"], &[]);
    let headers = dumped(&ended);
    assert_eq!(headers.len(), 3, "{ended:#?}");
    assert_eq!(
        headers[1..],
        ["goroutine 2 [running]:", "goroutine 3 [running]:"]
    );
    let words = "\tgoroutine running on other thread; stack unavailable\ncreated by main in goroutine 1 as deaf\n";
    assert_eq!(ended.stderr.matches(words).count(), 2, "{ended:#?}");
}

#[test]
fn who_comes_to_a_check_stands_still_and_shows_its_stack() {
    let ended = diagnostics(&["quit", "obedient"], &[]);
    let headers = dumped(&ended);
    assert_eq!(headers.len(), 4, "{ended:#?}");
    assert!(
        headers[1..].iter().all(|h| h.ends_with(" [runnable]:")),
        "{ended:#?}"
    );
    assert!(
        ended.stderr.matches("obedient(...)").count() >= 2,
        "{ended:#?}"
    );
    assert!(!ended.stderr.contains("stack unavailable"), "{ended:#?}");
}

#[test]
fn who_is_in_a_system_call_shows_where_it_went_in() {
    let ended = diagnostics(&["quit", "call"], &[]);
    assert_eq!(
        dumped(&ended),
        ["goroutine 1 [sleep]:", "goroutine 2 [syscall]:"]
    );
    in_order(
        &ended.stderr,
        &[
            "goroutine 2 [syscall]:\n",
            "in_the_kernel(...)",
            "\ncreated by main in goroutine 1 as caller\n",
        ],
    );
}

#[test]
fn sigquit_may_come_at_any_moment() {
    let times = if long() { 100 } else { 3 };
    let moments = [
        "calls",
        "allocator",
        "unwinding",
        "twice",
        "idle",
        "obedient",
    ];
    let jobs: Vec<_> = (0..times)
        .flat_map(|i| moments.map(|when| (when, (50 + 7 * i).to_string())))
        .collect();
    two_at_a_time(&jobs, |(when, ms)| {
        let headers = dumped(&diagnostics(&["quit", when, ms], &[]));
        assert!(headers[0].starts_with("goroutine 1 ["), "{headers:?}");
    });
}

#[test]
fn a_crowd_is_shown_to_the_last() {
    assert_eq!(dumped(&diagnostics(&["quit", "crowd"], &[])).len(), 5_001);
}

#[test]
fn somebody_who_holds_stderr_does_not_keep_it_from_us() {
    let ended = diagnostics(&["quit", "stderr"], &[]);
    assert_eq!(
        dumped(&ended),
        ["goroutine 1 [sleep]:", "goroutine 2 [syscall]:"]
    );
}

#[test]
fn a_dump_that_cannot_go_on_ends_all_the_same() {
    let ended = diagnostics(&["quit", "lock"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(&ended.stderr, &["SIGQUIT: quit\nPC=0x"]);
    // Sysmon has come to the dump, or it needed the lock before.
    let words = [
        "\nruntime: the list of goroutines is held by a thread that stands still\n",
        "\nruntime: the dump does not go on: what it needs is held by a thread that stands still\n",
    ];
    assert!(words.iter().any(|w| ended.stderr.contains(w)), "{ended:#?}");
}

#[test]
fn a_panic_and_sigquit_at_once_end_with_one_of_them() {
    for ms in ["100", "140", "150", "160"] {
        let ended = diagnostics(&["quit", "panicking", ms], &[]);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let words = ["SIGQUIT: quit\n", "\npanic: at the same moment\n"];
        assert!(words.iter().any(|w| ended.stderr.contains(w)), "{ended:#?}");
    }
}

#[test]
fn in_lockstep_too() {
    for when in ["idle", "deaf", "obedient", "call"] {
        let ended = diagnostics(&["quit", when], &[("SAFEPOINT_SEED", "1")]);
        // A virtual sleep of 30 s is over at once; then there was nobody to ask.
        if !(ended.code == Some(0) && ["idle", "call"].contains(&when)) {
            assert!(!dumped(&ended).is_empty(), "{ended:#?}");
        }
    }
}

#[test]
fn gotraceback_says_how_much() {
    let ended = diagnostics(&["quit", "call"], &[("GOTRACEBACK", "none")]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 3, "{ended:#?}");
    let ended = diagnostics(&["quit", "call"], &[("GOTRACEBACK", "crash")]);
    assert_eq!(ended.signal, Some(libc::SIGABRT), "{ended:#?}");
}

#[test]
fn outside_a_run_sigquit_is_the_system_s() {
    for when in ["before", "after"] {
        let ended = diagnostics(&["quit_outside", when], &[]);
        assert_eq!(ended.signal, Some(libc::SIGQUIT), "{ended:#?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
    }
    let ended = diagnostics(&["quit_own"], &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "heard\n"),
        "{ended:#?}"
    );
}

#[test]
fn between_two_runs_sigquit_is_not_lost() {
    let times = if long() { 500 } else { 20 };
    for i in 0..times {
        let us = (3_000 + 37 * i).to_string();
        let ended = diagnostics(&["quit_between", &us], &[]);
        let by_signal = ended.signal == Some(libc::SIGQUIT);
        assert!(by_signal || ended.code == Some(2), "{ended:#?}");
    }
}

#[test]
fn a_storm_of_signals_changes_nothing() {
    for signal in ["URG", "USR1"] {
        let ended = diagnostics(&["storm", signal], &[]);
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "28 true\n"),
            "{ended:#?}"
        );
        assert_eq!(ended.stderr, "", "{ended:#?}");
    }
}
