//! Time slices: sysmon asks a goroutine that runs for too long to yield.

use crate::fixture::stage2::{on, step, traced};
use stage2_sysmon::rt;
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};

/// Loops until `stop`, and gives way only when asked. Returns its longest uninterrupted time.
pub(super) fn hog(stop: &AtomicBool) -> Duration {
    let (mut longest, mut begin, mut last) = (Duration::ZERO, Instant::now(), Instant::now());
    while !stop.load(Relaxed) {
        step();
        let now = Instant::now();
        // Somebody else ran meanwhile: a step takes microseconds.
        if now - last > Duration::from_millis(4) {
            longest = longest.max(last - begin);
            begin = now;
        }
        last = now;
    }
    longest
}

#[test]
fn a_goroutine_that_runs_for_too_long_is_asked_by_nobody_s_hand() {
    let (turns, took) = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let done = WaitGroup::new();
        for _ in 0..2 {
            done.add(1);
            let (stop, done) = (stop.clone(), done.clone());
            go("hog", move || {
                hog(&stop);
                done.done();
            });
        }
        // Main comes back ten times although the hogs never yield by themselves.
        let begin = Instant::now();
        for _ in 0..10 {
            gosched();
        }
        let took = begin.elapsed();
        stop.store(true, Relaxed);
        done.wait();
        (10, took)
    });
    // Two slices between two turns of main, of 10 ms at least each.
    assert!(took >= Duration::from_millis(10) * turns, "{took:?}");
}

#[test]
fn a_goroutine_that_yields_in_time_is_never_asked() {
    let asked = on(1, || {
        let mut asked = 0;
        let begin = Instant::now();
        go("other", || {
            for _ in 0..2_000 {
                gosched();
            }
        });
        while begin.elapsed() < Duration::from_millis(100) {
            for _ in 0..100 {
                step();
            }
            asked += usize::from(rt::arch::getg().preempt.load(Relaxed));
            gosched();
        }
        asked
    });
    // On a busy machine the thread itself may have been off the processor for a slice.
    assert!(asked <= 5, "{asked}");
}

// ---- System calls.

/// A timer that wakes a goroutine on a P that lay idle starts it from `runnext`, so it inherits
/// a slice that began before the pause. Sysmon asks it at its next look.
#[test]
fn a_slice_may_be_older_than_its_goroutine() {
    #[gofunc]
    fn work() {
        spin(100_000);
    }
    let trace = traced(|| {
        for _ in 0..10 {
            sleep(Duration::from_millis(15));
            for _ in 0..10 {
                work();
            }
        }
    })
    .trace();
    // It works for a millisecond at a time, a tenth of what a slice may last.
    assert_eq!(trace.count("GoPreempt"), 9, "{}", trace.only(&[]));
}
