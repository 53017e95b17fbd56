//! A stack that overflows, memory that is not there, and what becomes of the handlers that
//! were installed before.

use super::died;
use tests::{in_order, scenario};

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
            "last_words/scenario/mod.rs:",
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
