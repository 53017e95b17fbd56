//! A snapshot of your own.
//!
//! The starter's loop is compiled code without a check: nothing can interrupt it, and how
//! long it takes is the compiler's business.

use stage1_coop::{Chan, Mutex, WaitGroup, go, gofunc, gosched, prologue, spin};

/// Runs as `main`, on one processor.
pub fn scenario() {
    let mut sum = 0_u64;
    for i in 0..2_000_000_u64 {
        sum = std::hint::black_box(sum ^ i);
    }
}

/// The kinds of events that tell its story.
pub const EVENTS: &[&str] = &["GoCreate", "GoEnd"];

/// What they were, with seed 1: run it, read what happened, and paste it here.
pub const EXPECTED: &str = "";
