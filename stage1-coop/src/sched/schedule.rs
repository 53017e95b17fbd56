//! One round of the scheduler: find a goroutine that may run, and run it. Mirrors
//! `schedule`, `findrunnable` and `execute` of `proc.go`; the chapters *Many G on one M*
//! and *P, queues, stealing* walk through it.
//!
//! In Go, `schedule` never returns. Here an M's life is a loop on `g0` ([`scheduler`]):
//! choose a goroutine, go to it, and when it comes back do what it asked for.
//!
//! Tests: `queues`, `waking`.

use crate::arch::{gogo, locks};
use crate::gmp::casgstatus::casgstatus;
use crate::gmp::{
    ATTENTION_FREEZE, ATTENTION_LEAVE, ATTENTION_STOP, G, GRUNNABLE, GRUNNING, M, P, SCHED,
    gomaxprocs,
};
use crate::os;
use crate::queues::global::{globrunqget, work_is_queued};
use crate::queues::steal;
use crate::sched::lockosthread::{startlockedm, stoplockedm};
use crate::sched::wake::{acquirep, pidleget, pidleput, releasep, stopm, wakep};
use crate::stack::slots;
use crate::stage::{Slow, Wake, stage};
use crate::throw::throw;
use crate::trace;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::Ordering::*;

/// The row `schedule_slow` of this stage.
pub fn schedule_slow(_mp: &'static M) -> Slow {
    if SCHED.attention.has(ATTENTION_FREEZE) {
        loop {
            os::usleep(1_000_000);
        }
    }
    if SCHED.attention.has(ATTENTION_STOP) {
        return Slow::Over;
    }
    Slow::Continue
}

/// Every 61st turn looks at the global queue first, so that goroutines which keep a P's ring
/// filled for ever cannot keep those in the global queue from running. It does not help beside
/// two that wake each other through `runnext`: they share one slice, and a turn is a fresh one.
/// What ends their slice is a request.
pub const GLOBAL_EVERY: u32 = 61;

// ANCHOR: scheduler
/// An M's life: schedules until the run is over. Runs on `g0`.
#[inline(never)]
pub(crate) fn scheduler(mp: &'static M) {
    let mut next = None;
    loop {
        let gp = match next {
            Some(gp) => gp,
            None => match schedule(mp) {
                Some(gp) => gp,
                None => return,
            },
        };
        // SAFETY: we are on g0 of mp, and gp is ours: `execute` made it running, or an _m
        // function handed it back.
        let (f, back) = unsafe { gogo(mp, gp) };
        next = f(back);
    }
}
// ANCHOR_END: scheduler

/// Finds a goroutine and makes it run on `mp`; `None` when the run is over. Go's
/// `schedule`.
#[inline]
fn schedule(mp: &'static M) -> Option<&'static G> {
    if locks() != 0 {
        throw("schedule: holding locks");
    }
    loop {
        if SCHED.attention.any() {
            match (stage().schedule_slow)(mp) {
                Slow::Continue => {}
                Slow::Again => continue,
                // SAFETY: on g0 of mp; the row took it from a queue, and our caller goes to it.
                Slow::Run(gp) => return Some(unsafe { execute(mp, gp, false) }),
                Slow::Over => return None,
            }
        }
        if let Some(gp) = mp.lockedg.get() {
            if stoplockedm(mp) == Wake::Over {
                continue;
            }
            // SAFETY: on g0 of mp, which was woken to run this goroutine; our caller does.
            return Some(unsafe { execute(mp, gp, false) });
        }
        let Some(pp) = mp.p.get() else {
            if mp.leaving.load(Relaxed) {
                return None;
            }
            throw("schedule: no p");
        };
        // A request that the last goroutine did not live to hear is not for the next one.
        pp.preempt.store(false, Relaxed);
        if mp.spinning.load(Relaxed) && !pp.runq.is_empty() {
            throw("schedule: spinning with local work");
        }
        if pp.attention.any() {
            (stage().p_slow)(pp);
        }

        // ANCHOR: choose
        let mut found = None;
        if pp.schedtick.load(Relaxed).is_multiple_of(GLOBAL_EVERY)
            && SCHED.runqsize.load(Relaxed) > 0
        {
            let mut sched = SCHED.lock();
            found = globrunqget(&mut sched, pp, 1).map(|gp| (gp, false));
        }
        let (gp, inherit) = match found.or_else(|| pp.runq.get()) {
            Some(found) => found,
            None => match findrunnable(mp) {
                Some(found) => found,
                None => continue,
            },
        };
        // ANCHOR_END: choose
        if mp.spinning.load(Relaxed) {
            resetspinning(mp);
        }
        if gp.lockedm.get().is_some() {
            // It may run on one M only: give that one our P, and wait for another.
            startlockedm(mp, gp);
            continue;
        }
        // SAFETY: on g0 of mp; it came out of a queue, and our caller goes to it.
        return Some(unsafe { execute(mp, gp, inherit) });
    }
}

/// Makes `gp` the running goroutine of `mp`. It gets a fresh time slice unless it inherits
/// the one that runs. Go's `execute`, but for the jump.
///
/// # Safety
/// On `g0` of `mp`, which runs no goroutine, and the caller hands `gp` to `scheduler`: by
/// returning it from an `_m` function or a row. `gp` stands in no queue.
pub unsafe fn execute(mp: &'static M, gp: &'static G, inherit: bool) -> &'static G {
    let Some(pp) = mp.p.get() else {
        throw("execute: no p");
    };
    if gp.stack.lo.get() == 0 {
        slots::bind(pp, gp);
    }
    // Go's order: a goroutine that counts as running has a stack and an M, for a thread that finds
    // it so. Release: a thread that reads curg to preempt it must see its fields.
    gp.m.set(Some(mp));
    mp.curg.store(Some(gp), Release);
    // SAFETY: the caller's M goes to it next; it was in no queue.
    unsafe { casgstatus::<GRUNNABLE, GRUNNING>(gp) };
    gp.preempt.store(false, Relaxed);
    gp.stackguard0.store(slots::ordinary_guard(gp), Relaxed);
    if !inherit {
        // Only the owner writes it: a load and a store.
        pp.schedtick
            .store(pp.schedtick.load(Relaxed).wrapping_add(1), Relaxed);
    }
    trace::go_start(pp, gp, inherit);
    gp
}

/// Looks everywhere for a goroutine; sleeps when there is none. `None` means: start over.
/// Go's `findrunnable`.
///
/// What is nearly always enough stands here and is inlined into `schedule`; what an M does
/// that is about to run out of work stands in [`search`].
#[inline]
fn findrunnable(mp: &'static M) -> Option<(&'static G, bool)> {
    loop {
        if SCHED.attention.has(ATTENTION_LEAVE) {
            return None;
        }
        let Some(pp) = mp.p.get() else {
            throw("findrunnable: no p");
        };
        if pp.attention.any() {
            (stage().p_slow)(pp);
        }
        if let Some(found) = pp.runq.get() {
            return Some(found);
        }
        if SCHED.runqsize.load(Relaxed) != 0 {
            let mut sched = SCHED.lock();
            if let Some(gp) = globrunqget(&mut sched, pp, 0) {
                return Some((gp, false));
            }
        }
        if let Break(found) = search(mp, pp) {
            return found;
        }
    }
}

/// The rest of `findrunnable`: ask the poller, steal, give the P up, look once more, sleep.
/// To go on means to look everywhere again.
#[cold]
#[inline(never)]
fn search(mp: &'static M, pp: &'static P) -> ControlFlow<Option<(&'static G, bool)>> {
    if let Some(gp) = (stage().poll)(pp) {
        return Break(Some((gp, false)));
    }

    // Steal. But when half of the busy Ps already have an M that searches, one more would
    // burn time and find nothing.
    let procs = gomaxprocs() as u32;
    let busy = procs - SCHED.npidle.load(Relaxed);
    let spinning = mp.spinning.load(Relaxed);
    if procs > 1 && (spinning || 2 * SCHED.searchers.count() < busy) {
        if !spinning {
            mp.spinning.store(true, Relaxed);
            SCHED.searchers.join();
        }
        if let Some(found) = (stage().stealwork)(pp, steal::order()) {
            return Break(Some(found));
        }
    }

    give_the_p_up(mp, pp)?;
    if last_look(mp) {
        return Continue(());
    }
    match (stage().before_stopm)(mp) {
        Slow::Continue => {}
        Slow::Again => return Continue(()),
        Slow::Run(gp) => return Break(Some((gp, false))),
        Slow::Over => return Break(None),
    }
    match stopm(mp) {
        Wake::Up => Continue(()),
        Wake::Over => Break(None),
    }
}

/// Puts the P on the idle list, unless the global queue has something after all. Under the
/// lock, so that a submitter sees either the P idle or this M still searching.
fn give_the_p_up(mp: &'static M, pp: &'static P) -> ControlFlow<Option<(&'static G, bool)>> {
    let mut sched = SCHED.lock();
    if SCHED.attention.has(ATTENTION_LEAVE) {
        return Break(None);
    }
    if let Some(gp) = globrunqget(&mut sched, pp, 0) {
        return Break(Some((gp, false)));
    }
    // SAFETY: mp is the calling thread's.
    unsafe { releasep(mp) };
    pidleput(&mut sched, pp);
    Continue(())
}

/// The looker's side of the delicate dance between making work and going to sleep:
/// `searchers.rs` tells it. The P is on the idle list. True means that this M has seen work,
/// and has a P again.
fn last_look(mp: &'static M) -> bool {
    let was_spinning = mp.spinning.swap(false, Relaxed);
    if !SCHED.searchers.last_look(was_spinning, work_is_queued) {
        return false;
    }
    let mut sched = SCHED.lock();
    let Some(pp) = pidleget(&mut sched) else {
        return false;
    };
    drop(sched);
    // SAFETY: mp is the calling thread's; the P came from the idle list.
    unsafe { acquirep(mp, pp) };
    // It knows that there is work, so it searches, however many others do: they may have been
    // woken and have no CPU yet. An M that came back here without the right to steal would see
    // the same queue again and again, and keep them off the CPU.
    mp.spinning.store(true, Relaxed);
    SCHED.searchers.join();
    true
}

/// An M that was looking for work has found some: if that leaves no M looking, wake
/// another. Go's `resetspinning`.
fn resetspinning(mp: &'static M) {
    mp.spinning.store(false, Relaxed);
    SCHED.searchers.leave();
    wakep();
}
