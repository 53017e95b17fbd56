//! Stealing: a P without work takes half of another's. Mirrors `stealWork`, `runqsteal` and
//! `randomOrder` of `proc.go`; the chapter is *P, queues, stealing*.
//!
//! Tests: `stealing`.

use crate::arch::getm;
use crate::gmp::{ATTENTION_LEAVE, G, M, P, PRUNNING, SCHED, allp, steal_order};
use crate::order::Order;
use crate::os;
use crate::stage::stage;
use crate::trace;
use std::sync::atomic::Ordering::*;

/// A random number, from the M's own generator (xorshift). Go's `fastrand`.
pub fn fastrand(mp: &M) -> u32 {
    let mut x = mp.fastrand.load(Relaxed);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    mp.fastrand.store(x, Relaxed);
    (x >> 32) as u32
}

/// Passes over all Ps before a thief gives up. `runnext` is touched in the last one only.
pub const STEAL_PASSES: u32 = 4;

/// The row `stealwork` of this stage: one pass over all Ps, in the order given by the
/// caller. The flag says that this is the last pass. It returns what was found, and whether
/// it inherits a time slice (never, here).
pub fn stealwork(pp: &'static P, order: Order) -> Option<(&'static G, bool)> {
    let passes = STEAL_PASSES;
    for pass in 0..passes {
        let steal_next = pass == passes - 1;
        for id in order {
            if SCHED.attention.has(ATTENTION_LEAVE) {
                return None;
            }
            let victim = &allp()[id as usize];
            if std::ptr::eq(victim, pp) {
                continue;
            }
            if let Some(gp) = runqsteal(pp, victim, steal_next) {
                return Some((gp, false));
            }
        }
    }
    None
}

/// Steals from one victim: returns one goroutine and leaves the others in `pp`'s queue.
/// Go's `runqsteal`.
pub fn runqsteal(pp: &'static P, victim: &'static P, steal_next: bool) -> Option<&'static G> {
    let (gp, n) = pp
        .runq
        .steal_with(|t| (stage().runqgrab)(pp, victim, t, steal_next))?;
    trace::steal(pp, victim, n);
    Some(gp)
}

/// The row `runqgrab` of this stage: moves half of the victim's ring into `pp`'s, from
/// position `t` on. `runnext` is left alone unless this is the last pass, and even then the
/// victim gets 3 us first: it is probably about to run it itself.
pub fn runqgrab(pp: &'static P, victim: &'static P, t: u32, steal_next: bool) -> u32 {
    victim.runq.grab(&pp.runq, t, || {
        if !steal_next {
            return false;
        }
        if victim.status.get() == PRUNNING {
            os::usleep(3);
        }
        true
    })
}

/// An order for one search of the calling M.
pub(crate) fn order() -> Order {
    steal_order(fastrand(getm()))
}
