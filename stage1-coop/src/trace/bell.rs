//! The two words between the Ms and the trace's thread: what the trace is doing, and a bell. An
//! M whose buffer fills up rings; a thread that dies changes the state and rings.
//!
//! Tests: `chrome::long`, `last_words::signals`.

use crate::os::{futex_wait, futex_wake};
use safepoint_lockstep as lab;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// No trace is kept.
pub(super) const NONE: u32 = 0;
/// The run goes on.
pub(super) const RUNS: u32 = 1;
/// The trace is to be finished.
pub(super) const ASKED: u32 = 2;
/// It is, as far as it could be.
pub(super) const DONE: u32 = 3;
/// The thread is not there yet.
pub(super) const STARTING: u32 = 4;
pub(super) static STATE: AtomicU32 = AtomicU32::new(NONE);

/// Counted up to wake the thread.
pub(super) static BELL: AtomicU32 = AtomicU32::new(0);

/// Wakes the thread.
pub(super) fn hurry() {
    BELL.fetch_add(1, SeqCst);
    futex_wake(&BELL, 1);
}

/// An M that found no room waits a moment for the thread.
pub(super) fn nap() {
    if lab::enabled() && lab::me().is_some() {
        lab::not_stuck();
    }
    futex_wait(&STATE, RUNS, Some(100_000));
}
