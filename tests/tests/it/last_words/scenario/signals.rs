//! Deaths that come from elsewhere: a signal, the allocator, the disk, std.

use super::{culprit, load, thrower};
use crate::{forever, run};
use stage1_coop::*;
use std::hint::black_box;
use std::time::Duration;

crate::scenarios!(
    abort_on_a_goroutine,
    killed,
    killed_in_the_allocator,
    exit_of_std,
    fault_of_a_std_thread,
    large_file,
    long_trace,
);

fn abort_on_a_goroutine(_: &[String]) {
    culprit(|| std::process::abort());
}

/// `killed SIGNAL`: while everybody sleeps, and one goroutine has left a word.
fn killed(arguments: &[String]) {
    let signal = arguments[0].parse().unwrap_or(libc::SIGKILL);
    // A shell's job in the background ignores SIGINT, and so would we.
    // SAFETY: the default action of a signal is always a valid one.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    run(2, move || {
        user_log("before the signal");
        go("bystander", forever);
        gosched();
        // SAFETY: kill and getpid take numbers.
        std::thread::spawn(move || unsafe { libc::kill(libc::getpid(), signal) });
        loop {
            std::thread::sleep(Duration::from_millis(1));
            gosched();
        }
    });
}

/// `killed_in_the_allocator US`: nearly every moment is inside it.
fn killed_in_the_allocator(arguments: &[String]) {
    let us = arguments[0].parse().unwrap_or(0);
    run(2, move || {
        for _ in 0..2 {
            go("allocator", || {
                let mut all = Vec::new();
                loop {
                    all.push(vec![0_u8; spin(10) as usize % 512 + 1]);
                    if all.len() > 1_000 {
                        all.clear();
                    }
                }
            });
        }
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(us));
            // SAFETY: kill and getpid take numbers.
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        });
        user_log("before the signal");
        forever();
    });
}

/// Not our `exit`, but std's.
fn exit_of_std(_: &[String]) {
    run(2, || {
        go("exits", || {
            user_log("the end");
            std::process::exit(7);
        });
        forever();
    });
}

fn fault_of_a_std_thread(_: &[String]) {
    run(1, || {
        user_log("before the fault");
        let _ = std::thread::spawn(|| black_box(load(0))).join();
    });
}

/// `large_file FILE BYTES`: the limit on files is its end.
fn large_file(arguments: &[String]) {
    let (name, bytes) = (arguments[0].clone(), arguments[1].parse().unwrap_or(0));
    run(1, move || {
        user_log("before the file");
        let result = std::fs::write(&name, vec![0_u8; bytes]);
        println!("not ended: {result:?}");
    });
}

/// `long_trace EVENTS`: and then a panic.
fn long_trace(arguments: &[String]) {
    let events: usize = arguments[0].parse().unwrap_or(0);
    run(1, move || {
        for _ in 0..events {
            user_log("one of many");
        }
        thrower("str");
    });
}
