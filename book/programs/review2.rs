//! The five programs behind the questions of the book's review of stage 2: `review2 NAME`.
//!
//! As in `review.rs`: the book describes each in words and asks which events come in which
//! order; the answers are these runs in lockstep. Answer there before you read on here.

use stage2_sysmon::*;
use std::time::Duration;

fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    match name.as_str() {
        "slices" => run(1, slices),
        "back" => run(1, back),
        "alone" => run(2, alone),
        "alarm" => run(1, alarm),
        "last" => run(1, last),
        _ => {
            eprintln!("usage: review2 slices | back | alone | alarm | last");
            std::process::exit(64);
        }
    }
}

fn run(procs: usize, main: fn()) {
    let runtime = Runtime::new(&STAGE).procs(procs);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe { runtime.run(main) };
}

/// About 100 us, and one guard check in front of it.
#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

fn hog(tenths_of_a_ms: u32) {
    for _ in 0..tenths_of_a_ms {
        work(100_000);
    }
}

fn nap(ms: u64) {
    nanosleep(Duration::from_millis(ms));
}

/// Makes these goroutines, in this order, and waits for all.
fn both(jobs: [(&'static str, fn()); 2]) {
    let done = WaitGroup::new();
    for (name, job) in jobs {
        done.add(1);
        let done = done.clone();
        go(name, move || {
            job();
            done.done();
        });
    }
    done.wait();
}

/// Two hogs, and only sysmon to ask them.
fn slices() {
    both([("ann", || hog(150)), ("bob", || hog(150))]);
}

/// A hog, and a goroutine that is in a call for 3 ms.
fn back() {
    both([("hog", || hog(200)), ("caller", || nap(3))]);
}

/// Two calls, a short one and a long one, beside an idle P.
fn alone() {
    let done = WaitGroup::new();
    done.add(1);
    let d = done.clone();
    go("caller", move || {
        nap(5);
        nap(15);
        d.done();
    });
    done.wait();
}

/// A hog, and a goroutine that sleeps for 5 ms.
fn alarm() {
    both([
        ("sleeper", || sleep(Duration::from_millis(5))),
        ("hog", || hog(300)),
    ]);
}

/// Main waits for a value that is never sent, while one goroutine is in a call and one sleeps.
fn last() {
    let nothing = Chan::<()>::new(0);
    go("caller", || nap(4));
    go("sleeper", || sleep(Duration::from_millis(2)));
    nothing.recv();
}
