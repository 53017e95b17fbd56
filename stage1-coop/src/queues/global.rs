//! The global queue: where goroutines go that have lost their turn, and where a full local
//! queue empties half of itself. A linked list under `sched.lock`. Mirrors `globrunqput`,
//! `globrunqget` and `runqputslow` of `proc.go`; the chapter is *P, queues, stealing*.
//!
//! Tests: `queues`.

use crate::arch::prefetch_stack;
use crate::gmp::{G, P, SCHED, SchedInner, allp, gomaxprocs};
use crate::ring::RUNQ_SIZE;
use crate::stage::stage;
use crate::throw::throw;
use std::sync::atomic::Ordering::*;

/// Puts `gp` at the tail. Go's `globrunqput`.
pub fn globrunqput(sched: &mut SchedInner, gp: &'static G) {
    gp.schedlink.set(None);
    match sched.runqtail.replace(gp) {
        Some(tail) => tail.schedlink.set(Some(gp)),
        None => sched.runqhead = Some(gp),
    }
    SCHED
        .runqsize
        .store(SCHED.runqsize.load(Relaxed) + 1, Relaxed);
}

/// Takes a fair share for `pp`: one goroutine to run at once, and the rest of the batch into
/// its queue. The share is `len / gomaxprocs + 1`, at most `max` (0: no limit) and half a
/// local queue. Go's `globrunqget`.
#[inline]
pub fn globrunqget(sched: &mut SchedInner, pp: &'static P, max: usize) -> Option<&'static G> {
    let len = SCHED.runqsize.load(Relaxed) as usize;
    if len == 0 {
        return None;
    }
    let mut n = len.min(len / gomaxprocs() + 1);
    if max > 0 {
        n = n.min(max);
    }
    n = n.min(RUNQ_SIZE / 2);
    let gp = pop(sched);
    for _ in 1..n {
        if let Some(gp) = pop(sched) {
            // A goroutine that has waited for long is in no cache, and neither is
            // its stack: ask for it now, before its turn comes.
            prefetch_stack(gp);
            // A P that asks for more than one has an empty local queue, so half a ring fits.
            pp.runq
                .put(gp, false, |_| throw("globrunqget: local queue overflows"));
        }
    }
    gp
}

fn pop(sched: &mut SchedInner) -> Option<&'static G> {
    let gp = sched.runqhead?;
    sched.runqhead = gp.schedlink.get();
    if sched.runqhead.is_none() {
        sched.runqtail = None;
    }
    gp.schedlink.set(None);
    SCHED
        .runqsize
        .store(SCHED.runqsize.load(Relaxed) - 1, Relaxed);
    Some(gp)
}

/// The row `runqputslow` of this stage: the batch goes to the tail of the global queue, in
/// its order.
pub fn runqputslow(_pp: &'static P, batch: &[&'static G]) {
    let mut sched = SCHED.lock();
    for gp in batch {
        globrunqput(&mut sched, gp);
    }
}

/// Puts `gp` into the queue of `pp`, which the caller's M holds. Go's `runqput`.
#[inline]
pub fn runqput(pp: &'static P, gp: &'static G, next: bool) {
    pp.runq
        .put(gp, next, |batch| (stage().runqputslow)(pp, batch));
}

/// Whether any queue holds a goroutine. The caller has just put a P on the idle list, and a
/// full barrier stands between the two.
///
/// The global queue is included, unlike in Go: here a thread without a P may wake a
/// goroutine, after this M looked there and while it still counted as a searcher.
pub(crate) fn work_is_queued() -> bool {
    SCHED.runqsize.load(Relaxed) != 0 || allp().iter().any(|p| !p.runq.is_empty())
}
