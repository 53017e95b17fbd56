//! A full queue gives half of itself away.

use stage1_coop::rt::gmp::{G, P, SCHED};
use stage1_coop::rt::queues::globrunqput;

/// Called when the ring of `pp` is full, with half of it and the one that did not fit.
pub fn runqputslow(_pp: &'static P, batch: &[&'static G]) {
    // One by one: slower, since the lock is taken 129 times, and just as right.
    batch
        .iter()
        .for_each(|gp| globrunqput(&mut SCHED.lock(), gp));
}
