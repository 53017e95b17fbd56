//! caught by: compiler
//!
//! A snapshot of my own: a long loop of compiled code.

use stage1_coop::{WaitGroup, go, gofunc, prologue};

/// Runs as `main`, on one processor.
pub fn scenario() {
    let all = WaitGroup::new();
    for name in ["left", "right"] {
        all.add(1);
        let all = all.clone();
        go(name, move || {
            burn();
            prologue!();
            all.done();
        });
    }
    all.wait();
}

/// Far longer than the laboratory's patience, on any machine.
#[gofunc(nosplit)]
fn burn() {
    for i in 0..300_000_000_u32 {
        std::hint::black_box(i);
    }
}

/// The kinds of events that tell its story.
pub const EVENTS: &[&str] = &["GoStart", "GoPreempt", "GoEnd"];

/// What they were, with seed 1: run it, read what happened, and paste it here.
pub const EXPECTED: &str = "";
