//! caught by: forgotten-twice
//!
//! A refused request is not forgotten.

use stage1_coop::rt::gmp::G;
use stage1_coop::rt::stack::STACK_PREEMPT;
use std::sync::atomic::Ordering::Relaxed;

/// Called when a section ends, if the goroutine was asked to yield meanwhile.
pub fn releasem_slow(gp: &'static G) {
    gp.preempt.store(false, Relaxed);
    gp.stackguard0.store(STACK_PREEMPT, Relaxed);
}
