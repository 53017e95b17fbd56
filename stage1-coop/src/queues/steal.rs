//! Stealing: a P without work takes half of another's. Mirrors `stealWork`, `runqsteal` and
//! `randomOrder` of `proc.go`; the chapter is *P, queues, stealing*.

use crate::arch::getm;
use crate::gmp::*;
use crate::trace;
use std::sync::atomic::Ordering::*;

/// All Ps in an order that looks random and visits each exactly once: from a random start
/// in steps that have no divisor in common with their number.
pub struct RandomOrder {
    count: u32,
    coprimes: Vec<u32>,
}

impl RandomOrder {
    /// The order of no Ps.
    pub const fn new() -> RandomOrder {
        RandomOrder {
            count: 0,
            coprimes: Vec::new(),
        }
    }

    /// Prepares for `count` Ps.
    pub fn reset(&mut self, count: u32) {
        self.count = count;
        self.coprimes = (1..=count).filter(|&i| gcd(i, count) == 1).collect();
    }

    /// An order for the random number `i`.
    pub fn start(&self, i: u32) -> Order {
        let step = self.coprimes[(i / self.count) as usize % self.coprimes.len()];
        Order {
            left: self.count,
            count: self.count,
            pos: i % self.count,
            step,
        }
    }
}

impl Default for RandomOrder {
    fn default() -> RandomOrder {
        RandomOrder::new()
    }
}

/// One visit to all Ps, by number.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    left: u32,
    count: u32,
    pos: u32,
    step: u32,
}

impl Iterator for Order {
    type Item = u32;
    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let p = self.pos;
        self.pos = (self.pos + self.step) % self.count;
        Some(p)
    }
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

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
            if SCHED.attention.load(Relaxed) & ATTENTION_LEAVE != 0 {
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
        if victim.status.load(Relaxed) == PRUNNING {
            crate::os::usleep(3);
        }
        true
    })
}

/// An order for one search of the calling M.
pub(crate) fn order() -> Order {
    steal_order(fastrand(getm()))
}
