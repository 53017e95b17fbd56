//! Too many threads, and a run whose end is held up.

use super::diagnostics;
use tests::in_order;

#[test]
fn more_threads_than_allowed_are_go_s_last_words() {
    for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
        let ended = diagnostics(&["threads_limit", "10", "40"], env);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(
            ended.stderr.starts_with(
                "runtime: program exceeds 10-thread limit\nfatal error: thread exhaustion\n"
            ),
            "{ended:#?}"
        );
        in_order(
            &ended.stderr,
            &["goroutine 1 [", "goroutine 2 [", "goroutine 3 ["],
        );
        let ended = diagnostics(&["threads_limit", "1", "0"], env);
        assert_eq!(ended.code, Some(2), "sysmon is a thread, too: {ended:#?}");
    }
    let ended = diagnostics(&["threads_limit", "43", "40"], &[]);
    assert_eq!(ended.stdout, "enough threads\n", "{ended:#?}");
}

#[test]
fn a_limit_of_the_system_s_is_told_as_go_does() {
    let ended = diagnostics(&["user_limit"], &[]);
    if let Some(why) = ended.stdout.strip_prefix("skipped: ") {
        println!("skipped: {}", why.trim());
        return;
    }
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(
        &ended.stderr,
        &[
            "runtime: failed to create new OS thread (have ",
            " already; errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal error: newosproc\n",
        ],
    );
}

#[test]
fn the_end_of_a_run_says_who_holds_it_up_and_how() {
    for (how, words) in [
        ("call", "is in a system call that does not return"),
        ("block", "is in a system call that does not return"),
        ("loop", "never comes to a check"),
    ] {
        let ended = diagnostics(&["long_call_at_the_end", how], &[]);
        assert_eq!((ended.code, &*ended.stdout), (Some(0), ""), "{ended:#?}");
        assert_eq!(
            ended.stderr,
            format!(
                "runtime: main has returned, but goroutine 2 (stays) {words}; the process ends with it\n"
            )
        );
    }
}

#[test]
fn who_waits_for_a_stranger_waits_in_a_call() {
    let ended = diagnostics(&["stranger", "right"], &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "Some(42)\n"),
        "{ended:#?}"
    );
    let ended = diagnostics(&["stranger", "wrong"], &[]);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let words =
        "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n";
    assert!(ended.stderr.starts_with(words), "{ended:#?}");
}

#[test]
fn a_fatal_error_ends_the_process_whatever_the_others_do() {
    for how in ["throw", "call", "panic"] {
        for (who, shown) in [
            ("calls", "in_the_kernel(...)"),
            (
                "deaf",
                "\tgoroutine running on other thread; stack unavailable\n",
            ),
        ] {
            let ended = diagnostics(&["dies_beside", how, who], &[("GOTRACEBACK", "all")]);
            assert_eq!(ended.code, Some(2), "{how} {who}: {ended:#?}");
            assert_eq!(
                ended.stderr.matches(shown).count(),
                2,
                "{how} {who}: {ended:#?}"
            );
        }
    }
}
