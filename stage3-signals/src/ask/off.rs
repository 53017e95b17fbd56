//! Whether there is asynchronous preemption in this run at all. Go's `asyncpreemptoff`, which
//! goes back to the flag alone: a switch to find out whether it is the signals that break a
//! program. Off, no signal is sent, and the handler ignores requests, too (golang/go#38531).
//!
//! Tests: `asynchronous`.

use stage2_sysmon::rt::life::ASYNCPREEMPTOFF;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Why there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Off {
    /// There is.
    Not,
    /// The user says so: `asyncpreemptoff`.
    Asked,
    /// The processor compares return addresses.
    ShadowStack,
}

static OFF: AtomicU8 = AtomicU8::new(Off::Asked as u8);

/// A run begins: `GODEBUG` has been read.
pub(crate) fn decide(shadow_stack: bool) {
    let off = match ASYNCPREEMPTOFF.value.load(Relaxed) {
        0 if shadow_stack => Off::ShadowStack,
        0 => Off::Not,
        _ => Off::Asked,
    };
    OFF.store(off as u8, Relaxed);
}

/// Whether goroutines are not stopped by signals in this run, and why. Async-signal-safe.
#[inline]
pub fn off() -> Off {
    match OFF.load(Relaxed) {
        0 => Off::Not,
        1 => Off::Asked,
        _ => Off::ShadowStack,
    }
}
