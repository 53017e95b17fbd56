//! A refused request is not forgotten.
//!
//! The section has ended, and the goroutine had been asked to yield. The starter trusts
//! that `preempt`, which is still set, is enough.

use stage1_coop::rt::gmp::G;
use stage1_coop::rt::stack::STACK_PREEMPT;
use std::sync::atomic::Ordering::Relaxed;

/// Called when a section ends, if the goroutine was asked to yield meanwhile.
pub fn releasem_slow(gp: &'static G) {
    gp.preempt.store(true, Relaxed);
}
