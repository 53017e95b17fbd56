//! The last words of a misuse, and of a deadlock.

use tests::{in_order, scenario};

#[test]
fn a_foreign_thread_is_refused_and_breaks_nothing() {
    for what in ["send", "close", "done", "lock"] {
        let ended = scenario!([], "foreign_thread", what);
        assert_eq!(ended.code, Some(0), "{what}: {ended:#?}");
        assert_eq!(ended.stdout, "the waiter goes on\n", "{what}: {ended:#?}");
    }
}

/// The form of Go's last words: std's message, which names the place, and then Go's.
fn dies_of(words: &str, message: &str) {
    let ended = scenario!([], words);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    in_order(
        &ended.stderr,
        &[
            "\nthread '",
            "panicked at tests/tests/it/chan/scenario.rs:",
            &format!("\n{message}\n"),
            &format!("\npanic: {message}\n\ngoroutine 2 [running]:\n"),
            "created by main in goroutine 1 as culprit\n",
        ],
    );
    assert!(
        ended.stderr.ends_with("in goroutine 1 as culprit\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_send_on_a_closed_channel_ends_the_program() {
    dies_of("send_on_closed", "send on closed channel");
    dies_of("try_send_on_closed", "send on closed channel");
    dies_of("select_send_on_closed", "send on closed channel");
}

#[test]
fn a_sender_that_waits_when_the_channel_is_closed_ends_the_program() {
    let ended = scenario!([], "parked_sender_and_close");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "the value that was not sent is dropped\n");
    in_order(
        &ended.stderr,
        &["\npanic: send on closed channel\n\ngoroutine 2 [running]:\n"],
    );
}

#[test]
fn a_second_close_ends_the_program() {
    dies_of("close_of_closed", "close of closed channel");
}

#[test]
fn a_done_too_many_ends_the_program() {
    dies_of("negative_wait_group", "sync: negative WaitGroup counter");
}

#[test]
fn a_dump_says_what_each_goroutine_waits_for() {
    let ended = scenario!([], "blocked_for_ever");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    in_order(
        &ended.stderr,
        &[
            "fatal error: look at them\n\ngoroutine 1 [running]:\n",
            "\n\ngoroutine 2 [chan receive]:\n",
            "\n\ngoroutine 3 [chan send]:\n",
            "\n\ngoroutine 4 [select]:\n",
            "\n\ngoroutine 5 [select (no cases)]:\n",
            "\n\ngoroutine 6 [sync.WaitGroup.Wait]:\n",
            "\n\ngoroutine 7 [sync.Mutex.Lock]:\n",
            "created by main in goroutine 1 as locks\n",
        ],
    );
}
