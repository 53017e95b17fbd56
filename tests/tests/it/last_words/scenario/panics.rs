//! Panics of a goroutine, of two, deep down, beside others.

use super::{DEEP, culprit, dive, thrower};
use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    panic_with,
    panic_in_main,
    panic_beside_others,
    two_panics,
    panic_deep_down,
    panic_while_panicking,
    panic_in_a_function_that_lets_none_through,
    third_party_panics,
);

fn panic_with(arguments: &[String]) {
    let kind = arguments[0].clone();
    culprit(move || {
        thrower(&kind);
        println!("goes on");
    });
}

fn panic_in_main(_: &[String]) {
    run(2, || thrower("str"));
}

/// One goroutine runs on another thread, one waits, one could run; and one panics.
fn panic_beside_others(_: &[String]) {
    static RUNS: AtomicBool = AtomicBool::new(false);
    run(2, || {
        go("spinner", || {
            RUNS.store(true, SeqCst);
            loop {
                black_box(());
            }
        });
        while !RUNS.load(SeqCst) {
            gosched();
        }
        go("waiter", forever);
        gosched();
        go("runnable", || {});
        thrower("str");
    });
}

/// Two at the same moment, on two threads: one of them speaks.
fn two_panics(_: &[String]) {
    static READY: AtomicUsize = AtomicUsize::new(0);
    fn both() {
        READY.fetch_add(1, SeqCst);
        while READY.load(SeqCst) < 2 {
            std::thread::yield_now();
        }
        thrower("str");
    }
    run(2, || {
        go("other", both);
        both();
    });
}

fn panic_deep_down(_: &[String]) {
    culprit(|| dive(DEEP, || thrower("str")));
}

fn panic_while_panicking(_: &[String]) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("and again");
        }
    }
    culprit(|| {
        let _bomb = Bomb;
        thrower("str");
    });
}

extern "C" fn lets_none_through() {
    thrower("str");
}

fn panic_in_a_function_that_lets_none_through(_: &[String]) {
    culprit(|| {
        let _ = catch_unwind(|| lets_none_through());
    });
}

fn third_party_panics(_: &[String]) {
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .third_party(|_| thrower("str"));
    start(runtime, || {
        std::thread::sleep(Duration::from_millis(200));
        forever();
    });
}
