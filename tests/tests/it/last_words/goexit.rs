//! `goexit` ends a goroutine and not the program, and cannot be caught.

use super::died;
use tests::{in_order, scenario};

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
