//! A refused request is not forgotten.

use stage1_coop::rt::gmp::G;
use stage1_coop::rt::stack::STACK_PREEMPT;
use std::sync::atomic::Ordering::SeqCst;

/// Called when a section ends, if the goroutine was asked to yield meanwhile.
pub fn releasem_slow(gp: &'static G) {
    // A request raises both words, so raise both: with a swap, and the strongest order.
    gp.preempt.swap(true, SeqCst);
    gp.stackguard0.swap(STACK_PREEMPT, SeqCst);
}
