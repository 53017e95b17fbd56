//! A process that is shared with the program: its signal mask and handlers, before the run, in it
//! and afterwards; its limits; and threads that end.

use std::os::unix::process::CommandExt;
use std::process::Command;
use tests::{Ended, LIMIT, program, run, scenario};

/// The lines of a scenario that ended well and said nothing on stderr.
#[track_caller]
fn lines(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    ended.stdout.lines().collect()
}

#[test]
fn the_handler_has_go_s_flags_and_mask() {
    let ended = scenario!([], "in_place");
    assert_eq!(lines(&ended), ["flags true, not masked 0"]);
}

/// What the parent has told it to do with the signal makes no difference, and is as it was
/// afterwards.
#[test]
fn what_the_process_was_given_is_noted_overcome_and_put_back() {
    for (blocks, ignores) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut command = Command::new(program!("scenario"));
        command.arg("given");
        // SAFETY: between fork and exec: only async-signal-safe calls.
        unsafe {
            command.pre_exec(move || {
                if ignores {
                    libc::signal(libc::SIGURG, libc::SIG_IGN);
                }
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, libc::SIGURG);
                let how = if blocks {
                    libc::SIG_BLOCK
                } else {
                    libc::SIG_UNBLOCK
                };
                libc::pthread_sigmask(how, &set, std::ptr::null_mut());
                Ok(())
            });
        }
        let ended = run(&mut command, &[], LIMIT);
        let (bit, handler) = (u8::from(blocks), u8::from(ignores));
        assert_eq!(
            lines(&ended),
            [
                format!("given: blocked {bit}, handler {handler}"),
                format!("before: blocked {blocks}, handler {handler}"),
                "in the run: blocked false, yielded true".to_owned(),
                format!("after: blocked {blocks}, handler {handler}"),
            ]
        );
    }
}

#[test]
fn a_program_that_blocks_every_signal_blocks_them_again_afterwards() {
    let ended = scenario!([], "blocked");
    let once = [
        "in the run: blocked false, yielded true",
        "after: blocked true",
    ];
    assert_eq!(lines(&ended), [once, once].concat());
}

#[test]
fn a_program_s_own_handler_sees_every_signal() {
    let ended = scenario!([], "chained_to_the_program");
    assert_eq!(lines(&ended), ["yielded true, all seen true", "back true"]);
}

#[test]
fn a_handler_that_is_replaced_during_the_run_is_told_once() {
    let ended = scenario!([], "replaced");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "SIGURG has another handler since the run began: goroutines that check nothing are not \
         preempted any more (install it before the run, and both are called)\n"
    );
    assert_eq!(ended.stdout, "program's true\nas before true\n");
}

#[test]
fn without_timers_one_line_says_so_and_sysmon_asks_again() {
    let ended = scenario!([], "no_timers");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.stdout, "yielded true\n", "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "no timer to repeat a refused preemption (Resource temporarily unavailable (os error 11)): \
         sysmon repeats it, later\n"
    );
}

#[test]
fn threads_may_end_with_a_signal_on_its_way_to_them() {
    let ended = scenario!([], "threads_that_end");
    assert_eq!(lines(&ended), ["yielded true"]);
}

#[test]
fn asyncpreemptoff_in_the_environment_lets_a_loop_without_checks_run_on() {
    for (value, limit, turn) in [("0", "20000", true), ("1", "300", false)] {
        let off = format!("asyncpreemptoff={value}");
        let ended = scenario!([("GODEBUG", off.as_str())], "switched_off", limit);
        assert_eq!(lines(&ended), [format!("patient had a turn: {turn}")]);
    }
}

#[test]
fn runs_of_all_stages_follow_each_other() {
    let ended = scenario!([], "runs_of_stages");
    let once = [
        "stage3-signals true false",
        "stage2-sysmon false false",
        "stage1-coop false false",
    ];
    assert_eq!(lines(&ended), once.repeat(5));
}
