//! Nothing can run any more: that is found, by whichever M is the last, and never too early.

use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::time::Duration;
use tests::{in_order, scenario};

/// Virtual time has an end, too, and a sleep beyond it is no sum that overflows.
#[test]
fn a_sleep_for_ever_is_one_in_lockstep_too() {
    for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(env, "sleeps_for_ever");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "main returns\n"),
            "{ended:#?}"
        );
        in_order(
            &ended.stderr,
            &[
                "main has returned, but goroutine 2 (for ever) is in a system call that does not return",
            ],
        );
    }
}

/// A timer that was called off, a deadline that was taken away, a goroutine that does not wait
/// any more: none of them is a reason to go on, even if a thread sleeps for it already.
#[test]
fn nothing_that_was_called_off_hides_a_deadlock() {
    for what in ["after", "ticker", "timer", "deadline", "closed", "reader"] {
        for (procs, env) in [
            ("1", vec![]),
            ("2", vec![]),
            ("2", vec![("SAFEPOINT_SEED", "1")]),
        ] {
            let ended = scenario!(env, "asleep_with_leftovers", what, procs);
            assert_eq!(ended.code, Some(2), "{what} {procs} {env:?}: {ended:#?}");
            let words = "fatal error: all goroutines are asleep - deadlock!\n";
            assert!(
                ended.stderr.contains(words),
                "{what} {procs} {env:?}: {ended:#?}"
            );
        }
    }
}

#[test]
fn a_deadlock_is_told_and_ends_the_process() {
    for procs in ["1", "2", "8"] {
        let ended = scenario!([], "all_asleep", procs);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n",
                "goroutine 2 [chan receive]:\n",
                "created by main in goroutine 1 as sleeper\n",
            ],
        );
        assert!(ended.stderr.starts_with("fatal error: "), "{ended:#?}");
    }
    for name in [
        "asleep_after_a_call",
        "asleep_and_locked",
        "asleep_beside_a_third_party",
    ] {
        let ended = scenario!([], name);
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        let words = "fatal error: all goroutines are asleep - deadlock!\n";
        assert!(ended.stderr.starts_with(words), "{name}: {ended:#?}");
    }
}

#[test]
fn when_main_has_gone_and_nobody_is_left_that_is_told() {
    let ended = scenario!([], "main_goexits_last");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n"
    );
}

/// `checkdead` is asked whenever somebody goes to sleep or ends. Each of these moments, when
/// it is the last one.
#[test]
fn whoever_is_the_last_one_finds_that_nobody_is_left() {
    for (name, last) in [
        ("found_by_mput", "mput"),
        ("found_by_stoplockedm", "stoplockedm"),
        ("found_by_mexit", "mexit"),
        ("found_by_incidlelocked", "incidlelocked"),
    ] {
        let ended = scenario!([], name);
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        let words = format!("{last} looks\nfatal error: all goroutines are asleep - deadlock!\n");
        assert!(ended.stderr.contains(&words), "{name}: {ended:#?}");
    }
}

/// All Ms but one are asleep most of the time, and that one is in a call, locked, or about
/// to be woken by a timer. None of that is the end.
#[test]
fn nobody_is_declared_dead_too_early() {
    for procs in [1, 2, 4] {
        on(procs, || {
            for round in 0..40 {
                let (c, answer) = (Chan::new(0), Chan::new(0));
                let (c2, answer2) = (c.clone(), answer.clone());
                go("locked", move || {
                    lock_os_thread();
                    while c2.recv().is_some() {
                        answer2.send(());
                    }
                });
                for k in 0..10 {
                    match (round + k) % 4 {
                        0 => nanosleep(Duration::from_micros(150)),
                        1 => sleep(Duration::from_micros(150)),
                        2 => drop(after(Duration::from_micros(100)).recv()),
                        _ => syscall_block(|| ()),
                    }
                    c.send(());
                    answer.recv();
                }
                c.close();
            }
        });
    }
}
