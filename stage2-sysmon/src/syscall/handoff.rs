//! A P whose M cannot use it, and many goroutines that become runnable at once: which Ms run
//! them? Mirrors `handoffp` and `injectglist` of `proc.go`.
//!
//! Tests: `handoff`; `sysmon::goroutines_that_are_injected_all_run`.

use crate::asleep::sleeper::SLEEPER;
use crate::table::rows::rows;
use crate::timers::{NEVER, mind_timers_of, time_sleep_until};
use stage1_coop::rt::arch::getm;
use stage1_coop::rt::gmp::{G, GRUNNABLE, GWAITING, P, SCHED, casgstatus, gomaxprocs};
use stage1_coop::rt::queues::{globrunqput, runqput};
use stage1_coop::rt::sched::{handoffp_unless, startm};
use stage1_coop::rt::trace;
use std::sync::atomic::Ordering::Relaxed;

// ANCHOR: handoffp
/// The row `handoffp` of this stage: stage 1's, with two more reasons to start an M.
pub fn handoffp(pp: &'static P) {
    handoffp_unless(
        pp,
        || (rows().handoffp_gc)(pp),
        |_| {
            // This is the last P in use, there are timers or goroutines that wait for the
            // network, and no M sleeps for them: start one, which will when it has found
            // nothing to do.
            if SCHED.npidle.load(Relaxed) as usize == gomaxprocs() - 1
                && !SLEEPER.polling()
                && (SLEEPER.any_waiters() || time_sleep_until() != NEVER)
            {
                return true;
            }
            // From here on only the sleeper minds the timers of this P.
            mind_timers_of(pp);
            false
        },
    );
}
// ANCHOR_END: handoffp

/// Makes waiting goroutines runnable, all at once, and finds Ms for them. The caller is an M;
/// while one without a P does this, `checkdead` counts one sleeping M less (`incidlelocked`). Go's `injectglist`.
///
/// # Safety
/// The caller is, for each of them, the one waker that `gopark` speaks of.
pub unsafe fn injectglist(list: &[&'static G]) {
    for gp in list {
        trace::go_unblock(gp);
        // SAFETY: the caller's promise.
        unsafe { casgstatus::<GWAITING, GRUNNABLE>(gp) };
    }
    if !list.is_empty() {
        (rows().injectglist)(list);
    }
}

// ANCHOR: injectglist
/// The row `injectglist` of this stage, and the split of Go 1.15. A caller without a P puts
/// all of them into the global queue. A caller with one puts there as many as there are idle
/// Ps to take them, and keeps the rest.
pub fn injectglist_split(list: &[&'static G]) {
    let own = getm().p.get();
    let global = {
        let mut sched = SCHED.lock();
        let n = match own {
            None => list.len(),
            Some(_) => list.len().min(SCHED.npidle.load(Relaxed) as usize),
        };
        for gp in &list[..n] {
            globrunqput(&mut sched, gp);
        }
        n
    };
    for _ in 0..global {
        if SCHED.npidle.load(Relaxed) == 0 {
            break;
        }
        startm(None, false);
    }
    if let Some(pp) = own {
        for gp in &list[global..] {
            runqput(pp, gp, false);
        }
    }
}
// ANCHOR_END: injectglist
