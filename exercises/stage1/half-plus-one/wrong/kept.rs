//! caught by: kept
//!
//! A full queue gives half of itself away.

use stage1_coop::rt::gmp::{G, P};
use stage1_coop::rt::queues::runqput;

/// Called when the ring of `pp` is full, with half of it and the one that did not fit.
pub fn runqputslow(pp: &'static P, batch: &[&'static G]) {
    // There is room again.
    for gp in batch {
        runqput(pp, gp, false);
    }
}
