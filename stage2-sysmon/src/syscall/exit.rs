//! Back from a system call: the goroutine has its M and needs a P. It tries, from cheap to
//! expensive, the one that it had, any that is idle, and at last the queue. Mirrors
//! `exitsyscall`, `exitsyscallfast` and `exitsyscall0` of `proc.go`. The head of `callp.rs`
//! tells which other threads may want the same P.
//!
//! Tests: `sysmon::calls::a_call_that_nobody_takes_the_p_of_changes_nothing`,
//! `sysmon::unwinding::a_locked_goroutine_comes_back_to_its_thread_from_a_call`,
//! `handoff::retake::who_comes_back_on_an_idle_p_inherits_its_slice`; loom: `tests/loom/src/syscall.rs`.

use crate::asleep::deep_sleep::wake_sysmon;
use crate::syscall::callp::CallStatus;
use crate::table::events::{self, GO_SYS_EXIT, GO_SYS_EXIT_BLOCKED};
use crate::table::rows::{Side, a_bit_is_set, rows};
use crate::table::words::{ATTENTION_OVER, OfM, OfP, of_m, of_p};
use stage1_coop::prologue;
use stage1_coop::rt::arch::{getg, getm, mcall};
use stage1_coop::rt::gmp::{G, GRUNNABLE, GRUNNING, GSYSCALL, M, P, SCHED, casgstatus};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::os::osyield;
use stage1_coop::rt::queues::globrunqput;
use stage1_coop::rt::sched::{
    Next, Wake, acquirep, dropg, execute, pidleget, pin_while_unwinding, stoplockedm, stopm, wirep,
};
use stage1_coop::rt::stack::{STACK_PREEMPT, ordinary_guard};
use stage1_coop::rt::trace;
use std::sync::atomic::Ordering::Relaxed;

// ANCHOR: exitsyscall
/// The goroutine is back from its system call; returns when it has a P again. Go's
/// `exitsyscall`.
///
/// # Safety
/// The calling goroutine is in a call that `reentersyscall` or `reentersyscallblock` began.
#[inline(never)]
pub unsafe fn exitsyscall() {
    let (gp, mp) = (getg(), getm());
    let own = of_m(mp);
    let old = own.oldp.get();
    if let Some(its) = exitsyscall_fast(mp, own, old) {
        own.oldp.set(None);
        its.syscalltick.bump();
        // SAFETY: gp is the caller, on its M, with a P again.
        unsafe { casgstatus::<GSYSCALL, GRUNNING>(gp) };
        return the_call_is_over(gp);
    }
    queue_up(mp, old);
}
// ANCHOR_END: exitsyscall

/// All ways back end like this, when there is a P again.
#[inline(always)]
pub(crate) fn the_call_is_over(gp: &'static G) {
    gp.throwsplit.store(false, Relaxed);
    let asked = gp.preempt.load(Relaxed);
    let guard = if asked {
        STACK_PREEMPT
    } else {
        ordinary_guard(gp)
    };
    gp.stackguard0.store(guard, Relaxed);
    events::record(&GO_SYS_EXIT);
    if asked {
        hear_the_request();
    }
}

/// There was a request before the call or during it. Go leaves it to the next function; here
/// a call looks on its way out, because a loop may consist of nothing else. (A check on the
/// way in would cost every call; on the way out `gp.preempt` must be read anyway.)
#[cold]
#[inline(never)]
fn hear_the_request() {
    prologue!();
}

/// There is no P: the goroutine waits for one as all others do. Returns on some M.
#[cold]
#[inline(never)]
pub(crate) fn queue_up(mp: &'static M, old: Option<&'static P>) {
    wait_for_the_thief(mp, old);
    of_m(mp).oldp.set(None);
    events::record(&GO_SYS_EXIT_BLOCKED);
    pin_while_unwinding();
    // SAFETY: on a goroutine; this function keeps nothing that belongs to the thread.
    unsafe { mcall(exitsyscall_m) }
    // Here again, perhaps on another M, and as good as new: `execute` has set the guard.
    match getm().p.get() {
        Some(pp) => of_p(pp).syscalltick.bump(),
        None => throw("exitsyscall: no p"),
    }
    getg().throwsplit.store(false, Relaxed);
}

fn exitsyscall_m(gp: &'static G) -> Next {
    (rows().exitsyscall_slow)(gp)
}

/// Takes a P without the scheduler's help, if one is to be had, and returns what this stage adds
/// to it. Go's `exitsyscallfast`.
#[inline]
fn exitsyscall_fast(mp: &'static M, own: &OfM, old: Option<&'static P>) -> Option<&'static OfP> {
    if SCHED.attention.any() && !a_bit_is_set(Side::Exit, old) {
        return None;
    }
    if let Some(pp) = old
        && pp.status.take_from_call()
    {
        // SAFETY: this thread is mp; the exchange made the P ours.
        unsafe { wirep(mp, pp) };
        let its = of_p(pp);
        if its.syscalltick.get() != own.syscalltick.get() {
            reacquired_elsewhere(pp);
        }
        return Some(its);
    }
    match any_p(mp, old) {
        true => mp.p.get().map(of_p),
        false => None,
    }
}

/// Takes any idle P, if the count says that there is one.
#[inline]
pub(crate) fn any_p(mp: &'static M, old: Option<&'static P>) -> bool {
    SCHED.npidle.load(Relaxed) != 0 && exitsyscall_pidle(mp, old)
}

/// It is our old P, but not our call: it was taken from us, went on, and another M has
/// entered a call with it. Now we have taken it from that one. Go's
/// `exitsyscallfast_reacquired`.
#[cold]
fn reacquired_elsewhere(pp: &'static P) {
    events::proc_steal(pp);
    of_p(pp).syscalltick.bump();
    trace::slice_begins(pp);
}

/// Takes any idle P. Go's `exitsyscallfast_pidle`.
#[cold]
fn exitsyscall_pidle(mp: &'static M, old: Option<&'static P>) -> bool {
    let Some(pp) = pidle() else {
        return false;
    };
    wait_for_the_thief(mp, old);
    // SAFETY: this thread is mp; the P came from the idle list.
    unsafe { acquirep(mp, pp) };
    trace::slice_begins(pp);
    true
}

/// An idle P, if there is one. Sysmon may be asleep because all of them were.
fn pidle() -> Option<&'static P> {
    let mut sched = SCHED.lock();
    let pp = pidleget(&mut sched)?;
    wake_sysmon(&mut sched);
    Some(pp)
}

/// A thief records that it takes our P, and counts `syscalltick` up after that; we record what
/// we do afterwards. Only for the order of the trace. A P whose status is still `PSYSCALL` was
/// not taken: `syscall_slow` told us not to take it.
fn wait_for_the_thief(mp: &M, old: Option<&'static P>) {
    if let Some(pp) = old
        && trace::on()
    {
        let (own, its) = (of_m(mp), of_p(pp));
        while its.syscalltick.get() == own.syscalltick.get() && !pp.status.in_call() {
            osyield();
        }
    }
}

// ANCHOR: exitsyscall0
/// The row `exitsyscall_slow` of this stage, on `g0`: there was no P. The goroutine becomes
/// an ordinary runnable one, at the end of the global queue, and its M sleeps. Go's
/// `exitsyscall0`.
pub fn exitsyscall0(gp: &'static G) -> Next {
    let mp = getm();
    // SAFETY: on g0, and gp has just left; it is in no queue yet.
    unsafe {
        casgstatus::<GSYSCALL, GRUNNABLE>(gp);
        dropg(gp);
    }
    let idle = {
        let mut sched = SCHED.lock();
        if SCHED.attention.has(ATTENTION_OVER) {
            // No M runs it any more.
            return None;
        }
        let pp = pidleget(&mut sched);
        match pp {
            // A P has become idle since we looked.
            Some(_) => wake_sysmon(&mut sched),
            None => globrunqput(&mut sched, gp),
        }
        pp
    };
    if let Some(pp) = idle {
        // SAFETY: on g0 of mp; the P came from the idle list, gp is in no queue, and `mcall`'s
        // other side goes to it.
        unsafe {
            acquirep(mp, pp);
            return Some(execute(mp, gp, false));
        }
    }
    // The M says whether the goroutine is locked; the goroutine may run elsewhere already, and
    // be locked there.
    if mp.lockedg.get().is_some() {
        // It can run here only: wait until another M hands us a P for it.
        return match stoplockedm(mp) {
            // SAFETY: on g0 of mp, woken with a P for gp, which it goes to.
            Wake::Up => Some(unsafe { execute(mp, gp, false) }),
            Wake::Over => None,
        };
    }
    // `schedule` looks at `attention` in either case.
    let (Wake::Up | Wake::Over) = stopm(mp);
    None
}
// ANCHOR_END: exitsyscall0
