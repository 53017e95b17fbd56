//! Ms and Ps find each other: which M takes a P, sleeps, is woken. Mirrors `acquirep`,
//! `releasep`, `handoffp`, `startm`, `stopm`, `wakep` and `newm` of `proc.go`; the chapter
//! is *P, queues, stealing*.
//!
//! When one is woken, and why no goroutine is left in a queue beside an idle P, is told in
//! `searchers.rs`.
//!
//! Tests: `waking`.

use crate::gmp::{ATTENTION_STOP, M, P, PIDLE, PRUNNING, SCHED, SchedGuard, SchedInner, StartFn};
use crate::os;
use crate::queues::global::work_is_queued;
use crate::sched::template;
use crate::stage::{Wake, stage};
use crate::throw::{thread_exhaustion, throw, too_many_threads};
use crate::trace;
use std::sync::atomic::Ordering::*;

/// `mp` holds `pp` from now on. Go's `acquirep`.
///
/// # Safety
/// As for [`wirep`].
pub unsafe fn acquirep(mp: &'static M, pp: &'static P) {
    // SAFETY: the caller's promise.
    unsafe { wirep(mp, pp) };
    trace::proc_start(pp);
}

/// Joins `mp` and the idle `pp`, which no other M can reach: the first half of
/// [`acquirep`], without its event. Go's `wirep`.
///
/// # Safety
/// `mp` is the calling thread's. `pp` is the caller's alone: it came from the idle list, out
/// of a call by an exchange of its status, or with a waking. Its caches have one owner and no
/// lock, and with two of them one stack is given out twice.
#[inline]
pub unsafe fn wirep(mp: &'static M, pp: &'static P) {
    if mp.p.get().is_some() {
        throw("acquirep: already in go");
    }
    if pp.m.get().is_some() || pp.status.get() != PIDLE {
        throw("acquirep: invalid p state");
    }
    mp.p.set(Some(pp));
    pp.m.store(Some(mp), Release);
    // SAFETY: the caller got the P alone.
    unsafe { pp.status.wire() };
}

/// `mp` gives its P up, which it returns. Go's `releasep`.
///
/// # Safety
/// `mp` is the calling thread's, which uses nothing of the P afterwards.
pub unsafe fn releasep(mp: &'static M) -> &'static P {
    let Some(pp) = mp.p.get() else {
        throw("releasep: invalid arg");
    };
    if !pp.m.is(mp) || pp.status.get() != PRUNNING {
        throw("releasep: invalid p state");
    }
    trace::proc_stop(pp);
    mp.p.set(None);
    pp.m.store(None, Relaxed);
    // SAFETY: mp held it, and lets it go.
    unsafe { pp.status.release() };
    pp
}

/// Puts `pp`, whose queue is empty, on the idle list. Go's `pidleput`.
pub fn pidleput(sched: &mut SchedInner, pp: &'static P) {
    if !pp.runq.is_empty() {
        throw("pidleput: P has non-empty run queue");
    }
    pp.link.set(sched.pidle);
    sched.pidle = Some(pp);
    SCHED.npidle.fetch_add(1, SeqCst);
}

/// Takes a P from the idle list. Go's `pidleget`.
pub fn pidleget(sched: &mut SchedInner) -> Option<&'static P> {
    let pp = sched.pidle?;
    sched.pidle = pp.link.get();
    pp.link.set(None);
    SCHED.npidle.fetch_sub(1, SeqCst);
    Some(pp)
}

// ANCHOR: wakep
/// A goroutine was queued: wakes an M for it if a P is idle and no M searches already. The
/// submitter's side of the dance in `searchers.rs`. Go's `wakep`.
pub fn wakep() {
    if SCHED.searchers.needed(|| SCHED.npidle.load(Relaxed) != 0) {
        startm(None, true);
    }
}
// ANCHOR_END: wakep

/// Starts an M for `pp`, or for any idle P; does nothing without a P. With `spinning` the
/// caller has counted the M as looking for work. Go's `startm`.
pub fn startm(pp: Option<&'static P>, spinning: bool) {
    let (idle, pp) = {
        let mut sched = SCHED.lock();
        if SCHED.attention.has(ATTENTION_STOP) {
            return;
        }
        let Some(pp) = pp.or_else(|| pidleget(&mut sched)) else {
            if spinning {
                SCHED.searchers.leave();
            }
            return;
        };
        // Either way the M counts as awake before the lock is gone. We hold a P, and perhaps
        // do not count ourselves: an M that finds no P now, queues its goroutine and sleeps
        // must not look like the last one.
        let idle = match sched.midle {
            Some(mp) => {
                sched.midle = mp.schedlink.get();
                mp.schedlink.set(None);
                sched.nmidle -= 1;
                Ok(mp)
            }
            None => Err(reserve_or_die(sched)),
        };
        (idle, pp)
    };
    if spinning && !pp.runq.is_empty() {
        throw("startm: p has runnable gs");
    }
    match idle {
        Ok(mp) => {
            mp.spinning.store(spinning, Relaxed);
            mp.nextp.set(Some(pp));
            mp.park.wakeup();
        }
        Err(reserved) => start_thread(allocm(reserved), None, Some(pp), spinning),
    }
}

/// Makes an M: a thread that runs `mstartfn`, if there is one, and schedules after that if
/// it has a P. Go's `newm`.
pub fn newm(mstartfn: Option<StartFn>, pp: Option<&'static P>, spinning: bool) -> &'static M {
    let reserved = {
        let mut sched = SCHED.lock();
        sched.nmsys += i32::from(mstartfn.is_some());
        reserve_or_die(sched)
    };
    let mp = allocm(reserved);
    start_thread(mp, mstartfn, pp, spinning);
    mp
}

/// An M without a thread, which counts already.
pub(crate) enum Reserved {
    /// One that an ended thread has left behind is used again, with its number. So what all Ms
    /// take, and how long it takes to walk over them, depends on how many there are at once.
    Again(&'static M),
    /// The number of one that has to be made.
    New(usize),
}

/// An M that counts from now on; `None` if there are too many. Go's `mReserveID`.
pub(crate) fn m_reserve_id(sched: &mut SchedInner) -> Option<Reserved> {
    if sched.mcount() >= sched.maxmcount {
        return None;
    }
    SCHED.live.fetch_add(1, SeqCst);
    if let Some(mp) = sched.freem {
        sched.freem = mp.schedlink.get();
        mp.schedlink.set(None);
        sched.nmfreed -= 1;
        mp.reuse();
        return Some(Reserved::Again(mp));
    }
    let id = sched.mnext;
    sched.mnext += 1;
    Some(Reserved::New(id))
}

fn reserve_or_die(mut sched: SchedGuard) -> Reserved {
    m_reserve_id(&mut sched).unwrap_or_else(|| {
        let limit = sched.maxmcount;
        drop(sched);
        too_many_threads(limit)
    })
}

/// The M that was reserved. It is made outside `sched.lock`: an allocator takes its time, and
/// its own locks. Go's `allocm`.
pub(crate) fn allocm(reserved: Reserved) -> &'static M {
    let id = match reserved {
        Reserved::Again(mp) => return mp,
        Reserved::New(id) => id,
    };
    let mp: &'static M = Box::leak(Box::new(M::new(id)));
    mcommoninit(mp);
    mp
}

/// The M gets its thread, from here or from the template thread.
fn start_thread(mp: &'static M, mstartfn: Option<StartFn>, pp: Option<&'static P>, spinning: bool) {
    *mp.mstartfn.lock().expect("no panic while it is held") = mstartfn;
    mp.nextp.set(pp);
    mp.spinning.store(spinning, Relaxed);
    if !template::hand_over(mp) {
        newm1(mp);
    }
}

/// The calling thread makes the thread of `mp`. Go's `newm1`.
pub(crate) fn newm1(mp: &'static M) {
    trace::thread_start(mp);
    if let Err(error) = os::newosproc(mp) {
        // Without the one that could not be made.
        let have = SCHED.lock().mcount() - 1;
        thread_exhaustion(have, &error);
    }
}

/// What every M needs, M0 too: a place in `allm` and a random number. Go's `mcommoninit`.
fn mcommoninit(mp: &'static M) {
    let seed = os::random_seed() ^ (mp.id.get() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mp.fastrand.store(seed | 1, Relaxed);
    if let Err(error) = mp.trace.init(trace::keeps()) {
        crate::throw::out_of_memory("the events of a trace", error);
    }
    let _sched = SCHED.lock();
    mp.alllink.store(SCHED.allm.load(Relaxed), Relaxed);
    // Release: a thread that walks the list sees a complete M.
    SCHED.allm.store(Some(mp), Release);
}

/// Puts the M to sleep until it is given a P, or the run is over. Go's `stopm`.
pub fn stopm(mp: &'static M) -> Wake {
    {
        let mut sched = SCHED.lock();
        if SCHED.attention.has(ATTENTION_STOP) {
            return Wake::Over;
        }
        mp.schedlink.set(sched.midle);
        sched.midle = Some(mp);
        sched.nmidle += 1;
    }
    (stage().m_idle)(mp);
    mpark(mp)
}

/// Sleeps on `m.park` and takes the P that came with the waking. Go's `mPark`.
pub(crate) fn mpark(mp: &'static M) -> Wake {
    mp.park.sleep();
    mp.park.clear();
    if SCHED.attention.has(ATTENTION_STOP) {
        return Wake::Over;
    }
    let Some(pp) = mp.nextp.swap(None, Relaxed) else {
        throw("mpark: woken without a p");
    };
    // SAFETY: this thread is mp; the waker gave the P to it alone.
    unsafe { acquirep(mp, pp) };
    Wake::Up
}

/// The row `handoffp` of this stage: another M should run `pp`, whose M cannot.
pub fn handoffp(pp: &'static P) {
    handoffp_unless(pp, || false, |_| false);
}

// ANCHOR: handoffp
/// Hands off `pp`, whose M cannot use it: starts an M for it if there is a reason, or puts it on
/// the idle list. It must start one in every case in which `findrunnable` would find something
/// to run on `pp`.
///
/// Beside the queues a stage may have reasons of its own: `wanted` is asked once, before the
/// lock; `wanted_still`, under it, is the last question before `pp` becomes idle. Go's
/// `handoffp`.
pub fn handoffp_unless(
    pp: &'static P,
    wanted: impl FnOnce() -> bool,
    wanted_still: impl FnOnce(&SchedInner) -> bool,
) {
    // Work in its own queue, or in the global one.
    if !pp.runq.is_empty() || SCHED.runqsize.load(Relaxed) != 0 || wanted() {
        return startm(Some(pp), false);
    }
    // No work here; but if no M searches for work anywhere, one should.
    if SCHED.npidle.load(Relaxed) == 0 && SCHED.searchers.join_if_none() {
        return startm(Some(pp), true);
    }
    let mut sched = SCHED.lock();
    // The global queue again: an M that puts something there holds this lock.
    if SCHED.runqsize.load(Relaxed) != 0 || wanted_still(&sched) {
        drop(sched);
        return startm(Some(pp), false);
    }
    pidleput(&mut sched, pp);
    drop(sched);
    wake_for_queued_work();
}
// ANCHOR_END: handoffp

/// A P was put on the idle list by an M that does not search for work: the looker's side of
/// the dance in `searchers.rs`. (Go's `handoffp` does not look, and can leave a P idle beside
/// a queue.)
fn wake_for_queued_work() {
    if SCHED.searchers.last_look(false, work_is_queued) {
        wakep();
    }
}
