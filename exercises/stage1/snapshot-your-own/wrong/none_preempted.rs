//! caught by: none-preempted
//!
//! A snapshot of my own: two loops share one processor.

use stage1_coop::{WaitGroup, go, gofunc, prologue, spin};

/// Runs as `main`, on one processor.
pub fn scenario() {
    let all = WaitGroup::new();
    for name in ["left", "right"] {
        all.add(1);
        let all = all.clone();
        go(name, move || {
            for _ in 0..5 {
                work();
            }
            all.done();
        });
    }
    all.wait();
}

/// About 100 us of the laboratory's clock, and one check in front of it.
#[gofunc]
fn work() {
    spin(100_000);
}

/// The kinds of events that tell its story.
pub const EVENTS: &[&str] = &["GoStart", "GoPreempt", "GoEnd"];

/// What they were, with seed 1: run it, read what happened, and paste it here.
pub const EXPECTED: &str = "";
