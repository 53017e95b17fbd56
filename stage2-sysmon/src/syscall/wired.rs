//! A system call as Go 1.26 makes it: the P stays with its M, and only the goroutine changes
//! its state. Mirrors `entersyscall`, `exitsyscall`, `setBlockOnExitSyscall` and `takeP` of
//! that version's `proc.go`. It is beside the older form, `enter.rs`.
//!
//! The protocol between the M in the call and a thief is told in `callg.rs`.
//!
//! Tests: `wired`.

use crate::syscall::callg::HeldStatus;
use crate::syscall::enter::{here, no_checks};
use crate::syscall::exit::{any_p, queue_up, the_call_is_over};
use crate::table::events::{self, GO_SYS_CALL};
use crate::table::words::{ATTENTION_OVER, of_m, of_p};
use stage1_coop::rt::arch::{getg, getm, goroutine};
use stage1_coop::rt::gmp::{G, GRUNNING, GSCAN, GSYSCALL, M, P, SCHED, casgstatus, readgstatus};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::os::osyield;
use stage1_coop::rt::sched::wirep;
use stage1_coop::rt::trace;
use std::sync::atomic::Ordering::Acquire;

// ANCHOR: syscall_wired
/// As [`syscall`](crate::syscall()), with the protocol of Go 1.26. What may be done in `f`
/// is the same.
///
/// # Panics
/// If `f` does. Off a goroutine it is a plain call.
pub fn syscall_wired<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscall_wired(pc, sp, bp).map(|_| Back);
    f()
}
// ANCHOR_END: syscall_wired

/// Leaves the call when dropped, also if what was called panics.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        exitsyscall_wired();
    }
}

// ANCHOR: entersyscall_wired
/// The goroutine, which is at `pc`, is about to enter a system call. Returns it, or `None`
/// off a goroutine. Never inlined, as the older form.
#[inline(never)]
pub fn reentersyscall_wired(pc: usize, sp: usize, bp: usize) -> Option<&'static G> {
    let gp = goroutine()?;
    let mp = getm();
    let Some(pp) = mp.p.get() else {
        throw("entersyscall: no p");
    };
    no_checks(gp, pc, sp, bp);
    let own = of_m(mp);
    own.syscalltick.set(of_p(pp).syscalltick.get());
    own.oldp.set(Some(pp));
    own.wired.set(1);
    events::record(&GO_SYS_CALL);
    // Not ours while a thief may take it.
    mp.p.set(None);
    // From here on one may.
    // SAFETY: gp is the caller, which comes to no check until it is back.
    unsafe { casgstatus::<GRUNNING, GSYSCALL>(gp) };
    Some(gp)
}
// ANCHOR_END: entersyscall_wired

// ANCHOR: exitsyscall_wired
/// The goroutine is back from its system call; returns when it has a P again.
#[inline(never)]
pub fn exitsyscall_wired() {
    let (gp, mp) = (getg(), getm());
    // SAFETY: this is gp, in its call. If its P is gone, it waits for another below, and comes to
    // no check before.
    unsafe {
        gp.atomicstatus
            .leave_call(|| wait_for_the_bit(gp, GSYSCALL, GRUNNING));
    }
    let own = of_m(mp);
    own.wired.set(0);
    // A thief has cleared `p.m`, and whatever M got the P since then is another one. `m.oldp`
    // may stay: outside a call its tick is never the P's.
    let pp = match own.oldp.get() {
        Some(pp) if pp.m.is(mp) => pp,
        _ => return without_p(gp, mp),
    };
    mp.p.set(Some(pp));
    of_p(pp).syscalltick.bump();
    the_call_is_over(gp);
    if SCHED.attention.has(ATTENTION_OVER) {
        stage1_coop::gosched();
    }
}
// ANCHOR_END: exitsyscall_wired

/// The row `casgstatus_contended` of this stage: for a few instructions a thief looks at the
/// goroutine, or takes its P. Anything else is a bug.
#[cold]
pub fn wait_for_the_bit(gp: &'static G, old: u32, new: u32) {
    if readgstatus(gp) & GSCAN != 0 {
        return osyield();
    }
    if readgstatus(gp) & !GSCAN != old {
        (stage1_coop::STAGE.casgstatus_contended)(gp, old, new);
    }
}

/// The P was taken: tries the old one, which may be in a call again, then any that is idle,
/// and at last the queue.
#[cold]
#[inline(never)]
fn without_p(gp: &'static G, mp: &'static M) {
    // As the older form has it: in the call until there is a P.
    // SAFETY: gp is the caller, still without a P and without checks.
    unsafe { casgstatus::<GRUNNING, GSYSCALL>(gp) };
    let own = of_m(mp);
    let old = own.oldp.get();
    if !SCHED.attention.has(ATTENTION_OVER) {
        if let Some(pp) = old
            && take_out(pp)
        {
            // SAFETY: this thread is mp; `take_out` made the P ours.
            unsafe { wirep(mp, pp) };
            events::proc_steal(pp);
            of_p(pp).syscalltick.bump();
            trace::slice_begins(pp);
        }
        if mp.p.get().is_some() || any_p(mp, old) {
            own.oldp.set(None);
            // SAFETY: gp is the caller, on its M, with a P again.
            unsafe { casgstatus::<GSYSCALL, GRUNNING>(gp) };
            if let Some(pp) = mp.p.get() {
                of_p(pp).syscalltick.bump();
            }
            return the_call_is_over(gp);
        }
    }
    queue_up(mp, old);
}

/// Whether the goroutine that `pp` runs is in a call of this kind.
pub(crate) fn in_call(pp: &'static P) -> bool {
    let Some(mp) = pp.m.load(Acquire) else {
        return false;
    };
    let gp = mp.curg.load(Acquire);
    gp.is_some_and(|gp| readgstatus(gp) == GSYSCALL) && of_m(mp).wired.get() != 0
}

// ANCHOR: take_out
/// Takes `pp` away from its M if that one is in a call of this kind. The caller owns it then:
/// it is idle, in no list, and no other M has it. A goroutine in a call of the older form is
/// looked at in vain, and waits if it comes back at that moment. Go's
/// `setBlockOnExitSyscall`, `takeP` and `resume`.
pub(crate) fn take_out(pp: &'static P) -> bool {
    let Some(mp) = pp.m.load(Acquire) else {
        return false;
    };
    let Some(gp) = mp.curg.load(Acquire) else {
        return false;
    };
    let Some(held) = gp.atomicstatus.hold_in_call() else {
        return false;
    };
    // The goroutine stands still. But is it still on that M, and the P with it? And is it
    // not on its way out of a call of the older form, with a P that it has just got? All may
    // have changed before it was held; now nothing does.
    let ours = mp.curg.is(gp) && pp.m.is(mp) && of_m(mp).wired.get() != 0;
    if ours {
        pp.m.set(None);
        // SAFETY: its M is in a wired call, and cannot leave it while its goroutine is held: the
        // P is this thread's.
        unsafe { pp.status.release() };
    }
    drop(held);
    ours
}
// ANCHOR_END: take_out
