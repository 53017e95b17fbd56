//! The flag: how a goroutine is asked to yield, and what may refuse for it.
//!
//! To ask is to write one number, larger than any stack pointer, where the goroutine's next
//! guard check will look. Nothing is interrupted; the request waits to be found. While the
//! M holds a lock, or is inside the allocator, the answer is no, and the request is kept.
//! Mirrors `preemptone`, `preemptall`, `canPreemptM` of `proc.go` and `preempt.go`, and
//! `acquirem`/`releasem` of `runtime1.go`. The chapter: *The check and the flag*.
//!
//! Tests: `preemption`.

use crate::arch::{
    getg, getm, getm_opt, locks, locks_dec, locks_inc, mallocing, mallocing_dec, mallocing_inc,
    on_goroutine,
};
use crate::gmp::casgstatus::readgstatus;
use crate::gmp::{G, GSCAN, GSYSCALL, M, P, PRUNNING, STACK_PREEMPT, allp};
use crate::os::Lock;
use crate::stage::stage;
use crate::trace;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Number of the last request, for the trace.
static FLOW: AtomicU32 = AtomicU32::new(0);

/// The reason of a goroutine that unwinds.
pub(crate) const UNWINDING: &str = "unwinding";

/// Why the calling thread's M cannot be preempted now, or `None`. Go's `canPreemptM`, with one
/// condition more: std counts panics per thread, so a goroutine that unwinds must stay on its
/// own. The last one of Go's is of 1.26: a goroutine in a system call may still have its P.
pub fn why_not_preempt_m(mp: &'static M) -> Option<&'static str> {
    if locks() != 0 {
        Some("locks")
    } else if mallocing() != 0 {
        Some("mallocing")
    } else if !mp.preemptoff.is_empty() {
        Some("preemptoff")
    } else if mp.p.get().is_none_or(|p| p.status.get() != PRUNNING) {
        Some("p-not-running")
    } else if mp.curg.get().is_some_and(in_a_call) {
        Some("status")
    } else if std::thread::panicking() {
        Some(UNWINDING)
    } else {
        None
    }
}

/// Whether the goroutine is in a system call.
fn in_a_call(gp: &'static G) -> bool {
    readgstatus(gp) & !GSCAN == GSYSCALL
}

/// Whether the goroutine on the calling thread's M `mp` may be taken off it. Go's
/// `canPreemptM`.
pub fn can_preempt_m(mp: &'static M) -> bool {
    why_not_preempt_m(mp).is_none()
}

/// Asks whatever runs on `pp` to yield. Best effort: by the time the flag is up another
/// goroutine may run there, and then the request is lost. Returns whether one was
/// asked. Go's `preemptone`.
pub fn preemptone(pp: &'static P) -> bool {
    let Some(mp) = pp.m.load(Acquire) else {
        return false;
    };
    let Some(gp) = mp.curg.load(Acquire) else {
        return false;
    };
    if getm_opt().is_some_and(|me| std::ptr::eq(me, mp)) {
        return false;
    }
    // In a system call there is no check; the way back asks by itself whether it may go on.
    if in_a_call(gp) {
        return false;
    }
    let flow = FLOW.fetch_add(1, Relaxed) + 1;
    gp.preempt_flow.store(flow, Relaxed);
    // ANCHOR: raise
    gp.preempt.store(true, Relaxed);
    // Every call in gp checks for stack overflow by comparing its stack pointer with this.
    // A value above all stack pointers folds the request into the ordinary check.
    gp.stackguard0.store(STACK_PREEMPT, Relaxed);
    // ANCHOR_END: raise
    trace::preempt_requested(pp, gp, flow);
    (stage().preempt_m)(mp);
    true
}

/// Asks every P but the caller's own. Returns whether a goroutine was asked. Go's `preemptall`.
pub fn preemptall() -> bool {
    let mut asked = false;
    for pp in allp() {
        if pp.status.get() == PRUNNING {
            asked |= preemptone(pp);
        }
    }
    asked
}

/// How many requests there were in this run.
pub(crate) fn requests() -> u32 {
    FLOW.load(Relaxed)
}

/// Forgets the numbers of requests: a new run begins.
pub(crate) fn reset() {
    FLOW.store(0, Relaxed);
}

// ANCHOR: acquirem
/// A section in which the goroutine stays on its M and is not preempted: Go's `acquirem`.
/// Sections nest. Dropping the value is `releasem`: if a request was refused meanwhile, the
/// flag goes up again, and the very next check obeys.
#[must_use = "the section ends when this is dropped"]
pub struct Acquired {
    /// Tied to the thread whose counter was raised.
    _not_send: std::marker::PhantomData<*mut ()>,
}

/// Enters a section without preemption. Go's `acquirem`, and as there without a check: two
/// sections may follow each other with nothing in between.
///
/// A panic leaves the section as it leaves a block. (One under a lock of the runtime ends the
/// process; Go makes no difference, since only its runtime can call `acquirem`.)
pub fn acquirem() -> Acquired {
    locks_inc();
    // From here on the thread stays the same.
    if let Some(mp) = getm_opt() {
        mp.sections.store(mp.sections.load(Relaxed) + 1, Relaxed);
    }
    Acquired {
        _not_send: std::marker::PhantomData,
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if let Some(mp) = getm_opt() {
            mp.sections.store(mp.sections.load(Relaxed) - 1, Relaxed);
        }
        locks_dec();
        asked_meanwhile();
    }
}
// ANCHOR_END: acquirem

/// Releases its lock when dropped. It counts in `m.locks`: no M is preempted while
/// holding one.
pub struct LockGuard {
    lock: &'static Lock,
    /// Not Send: the count that it raised is the thread's.
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl Lock {
    /// Takes the lock, and gives it back when the guard is dropped.
    #[inline]
    pub fn lock(&'static self) -> LockGuard {
        self.raw_lock();
        LockGuard {
            lock: self,
            _not_send: std::marker::PhantomData,
        }
    }

    /// Gives the lock back. If it was the M's last and its goroutine was asked to yield
    /// meanwhile, the flag goes up again: a check under the lock refused and took it down.
    ///
    /// # Safety
    /// The calling thread holds the lock by [`raw_lock`](Lock::raw_lock), and no guard of it
    /// exists. Go's `unlock`.
    #[inline]
    pub unsafe fn unlock(&self) {
        self.raw_unlock();
        look_for_requests();
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.lock.raw_unlock();
        look_for_requests();
    }
}

/// A section ends in which a check may have refused a request.
#[inline]
fn look_for_requests() {
    if getg().preempt.load(Relaxed) {
        asked_meanwhile();
    }
}

/// A reason to refuse has ended: if a request came meanwhile and no other section is left, the
/// flag goes up again. Never inlined: a goroutine's own code must not look at its thread in
/// several steps.
#[inline(never)]
pub(crate) fn asked_meanwhile() {
    let gp = getg();
    if gp.preempt.load(Relaxed) && locks() == 0 && mallocing() == 0 && on_goroutine() {
        (stage().releasem_slow)(gp);
    }
}

/// The row `releasem_slow` of this stage: raises the flag again.
pub fn releasem_slow(gp: &'static G) {
    gp.stackguard0.store(STACK_PREEMPT, Relaxed);
}

/// Keeps preemption off for a reason that dumps show, until it is set to "". Go's
/// `m.preemptoff`.
#[inline(never)]
pub fn set_preemptoff(reason: &'static str) {
    getm().preemptoff.set(reason);
    if reason.is_empty() {
        asked_meanwhile();
    }
}

/// Enters a section inside the allocator: until [`leave_malloc`] has been called as often, the
/// goroutine is not preempted. One instruction, on any thread. Go's `m.mallocing`, which does not
/// nest; here a `realloc` may be made of `alloc` and `dealloc`.
#[inline(always)]
pub fn enter_malloc() {
    mallocing_inc();
}

/// Undoes one [`enter_malloc`].
#[inline(always)]
pub fn leave_malloc() {
    mallocing_dec();
    look_for_requests();
}
