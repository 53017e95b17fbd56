//! A full queue gives half of itself away.

use stage1_coop::rt::gmp::{G, P, SCHED};
use stage1_coop::rt::queues::globrunqput;

/// Called when the ring of `pp` is full, with half of it and the one that did not fit.
pub fn runqputslow(_pp: &'static P, batch: &[&'static G]) {
    let mut sched = SCHED.lock();
    for gp in batch {
        globrunqput(&mut sched, gp);
    }
}
