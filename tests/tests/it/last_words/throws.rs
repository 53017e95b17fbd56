//! A broken invariant: the words, and a dump of all goroutines.

use super::died;
use tests::{in_order, scenario};

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
            "last_words/scenario/throws.rs:",
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

/// On a goroutine's stack, too, a broken invariant under a lock of the runtime ends the process:
/// no `catch_unwind` gets it, no hook, and the lock is not released.
#[test]
fn a_panic_under_a_lock_of_the_runtime_is_a_throw() {
    for (how, text, place) in [
        ("asserts", "negative nmspinning", "gmp/searchers.rs:"),
        (
            "indexes",
            "index out of bounds: the len is",
            "last_words/scenario/throws.rs:",
        ),
    ] {
        for env in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
            let exe = tests::program!("scenario");
            let ended = tests::scenario_of(exe, &["panic_under_the_lock", how], env);
            died(&ended);
            assert!(
                ended.stderr.starts_with(&format!("panic: {text}")),
                "{ended:#?}"
            );
            in_order(
                &ended.stderr,
                &[
                    "\n\tat ",
                    place,
                    "\nfatal error: panic holding locks\n\ngoroutine 1 [running]:\n",
                ],
            );
        }
    }
}

#[test]
fn a_panic_ends_a_section_of_acquirem() {
    let ended = scenario!([], "panic_in_a_section");
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "it goes on\n"));
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
