//! A system call as Go 1.26 makes it: the P stays with its M, and only the goroutine changes
//! its state. Mirrors `entersyscall`, `exitsyscall`, `setBlockOnExitSyscall` and `takeP` of
//! that version's `proc.go`. It is beside the older form, whose protocol `enter.rs` tells.
//!
//! # Protocol: the race for the goroutine's state
//!
//! In the older form the P has no owner during the call, and each way takes one exchange to
//! get it back. Here `p.m` and `PRUNNING` stay as they are, so an undisturbed call costs two
//! exchanges, in and out, which the goroutine's state needs anyway. A thief pays.
//!
//! The goroutine:
//!
//! 1. notes the P in `m.oldp`, sets `m.wired`, and empties `m.p`;
//! 2. exchanges `GRUNNING` for `GSYSCALL` ([`reentersyscall_wired`]);
//! 3. makes its call;
//! 4. exchanges `GSYSCALL` for `GRUNNING` ([`exitsyscall_wired`]), which fails while a thief
//!    holds the bit `GSCAN`: then it waits and tries again;
//! 5. looks whether `p.m` still names its M. If not, the P was taken.
//!
//! A thief, sysmon or an M in step 5 whose own P was taken ([`take_out`]):
//!
//! 1. sets the bit `GSCAN` on the state `GSYSCALL`: the goroutine cannot leave its call;
//! 2. looks whether goroutine, M and P still belong together, and are in a call of this form;
//! 3. if so, takes the P away as if it were the M itself: `p.m` empty, `PIDLE`;
//! 4. clears the bit.
//!
//! `m.p` is empty during the call, as in the older form. All of the runtime reads `m.p` as
//! "this P is mine": to wake a goroutine is to put it into the queue of `m.p`. A thief may take
//! the P at any moment, so a call that wakes a goroutine must not find it there, or two threads
//! would move one ring's `tail`. Go leaves `m.p` as it is because nothing of Go runs between
//! enter and exit. Here a closure does.
//!
//! What the orderings carry: the exchange that enters is a release and the thief's an
//! acquire, so the thief sees what the M did as the P's owner. Clearing the bit is a release and
//! the way back an acquire, so the goroutine sees that its P is gone.
//!
//! Loom: `tests/loom/src/wired.rs`, with three counterexamples. Tests: `wired.rs`.

use crate::syscall::enter::{here, no_checks};
use crate::syscall::exit::{any_p, queue_up, the_call_is_over};
use crate::table::events::{GO_SYS_CALL, event, proc_steal};
use crate::table::words::{OVER, m_syscalltick, oldp, set_oldp, syscalltick, wired};
use stage1_coop::rt::arch::{getg, getm, on_goroutine};
use stage1_coop::rt::gmp::{
    G, GRUNNING, GSCAN, GSYSCALL, M, P, PIDLE, SCHED, casgstatus, readgstatus,
};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::os::osyield;
use stage1_coop::rt::sched::wirep;
use stage1_coop::rt::trace::slice_begins;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

// ANCHOR: syscall_wired
/// As [`syscall`](crate::syscall()), with the protocol of Go 1.26. What may be done in `f`
/// is the same.
///
/// # Panics
/// If `f` does. Off a goroutine it is a plain call.
pub fn syscall_wired<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscall_wired(pc, sp, bp).then(|| Back);
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
/// The goroutine, which is at `pc`, is about to enter a system call. Returns false off a
/// goroutine. Never inlined, as the older form.
#[inline(never)]
pub fn reentersyscall_wired(pc: usize, sp: usize, bp: usize) -> bool {
    if !on_goroutine() {
        return false;
    }
    let (gp, mp) = (getg(), getm());
    let Some(pp) = mp.p.get() else {
        throw("entersyscall: no p");
    };
    no_checks(gp, pc, sp, bp);
    m_syscalltick(mp).set(syscalltick(pp).get());
    set_oldp(mp, Some(pp));
    wired(mp).set(1);
    event(&GO_SYS_CALL);
    // Not ours while a thief may take it.
    mp.p.set(None);
    // From here on one may.
    // SAFETY: gp is the caller, which comes to no check until it is back.
    unsafe { casgstatus::<GRUNNING, GSYSCALL>(gp) };
    true
}
// ANCHOR_END: entersyscall_wired

// ANCHOR: exitsyscall_wired
/// The goroutine is back from its system call; returns when it has a P again.
#[inline(never)]
pub fn exitsyscall_wired() {
    let (gp, mp) = (getg(), getm());
    while gp
        .atomicstatus
        .compare_exchange(GSYSCALL, GRUNNING, Acquire, Relaxed)
        .is_err()
    {
        wait_for_the_bit(gp, GSYSCALL, GRUNNING);
    }
    wired(mp).set(0);
    // A thief has cleared `p.m`, and whatever M got the P since then is another one. `m.oldp`
    // may stay: outside a call its tick is never the P's.
    let pp = match oldp(mp) {
        Some(pp) if pp.m.is(mp) => pp,
        _ => return without_p(gp, mp),
    };
    mp.p.set(Some(pp));
    syscalltick(pp).bump();
    the_call_is_over(gp);
    if SCHED.attention.load(Relaxed) & OVER != 0 {
        stage1_coop::gosched();
    }
}
// ANCHOR_END: exitsyscall_wired

/// The row `castatus_contended` of this stage: for a few instructions a thief looks at the
/// goroutine, or takes its P. Anything else is a bug.
#[cold]
pub fn wait_for_the_bit(gp: &'static G, old: u32, new: u32) {
    if readgstatus(gp) & GSCAN != 0 {
        return osyield();
    }
    if readgstatus(gp) & !GSCAN != old {
        (stage1_coop::STAGE.castatus_contended)(gp, old, new);
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
    let old = oldp(mp);
    if SCHED.attention.load(Relaxed) & OVER == 0 {
        if let Some(pp) = old
            && take_out(pp)
        {
            // SAFETY: this thread is mp; `take_out` made the P ours.
            unsafe { wirep(mp, pp) };
            proc_steal(pp);
            syscalltick(pp).bump();
            slice_begins(pp);
        }
        if mp.p.get().is_some() || any_p(mp, old) {
            set_oldp(mp, None);
            // SAFETY: gp is the caller, on its M, with a P again.
            unsafe { casgstatus::<GSYSCALL, GRUNNING>(gp) };
            if let Some(pp) = mp.p.get() {
                syscalltick(pp).bump();
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
    gp.is_some_and(|gp| readgstatus(gp) == GSYSCALL) && wired(mp).get() != 0
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
    if gp
        .atomicstatus
        .compare_exchange(GSYSCALL, GSYSCALL | GSCAN, AcqRel, Relaxed)
        .is_err()
    {
        return false;
    }
    // The goroutine stands still. But is it still on that M, and the P with it? And is it
    // not on its way out of a call of the older form, with a P that it has just got? All may
    // have changed before the bit went up; now nothing does.
    let ours = mp.curg.is(gp) && pp.m.is(mp) && wired(mp).get() != 0;
    if ours {
        pp.m.set(None);
        pp.status.store(PIDLE, Relaxed);
    }
    gp.atomicstatus.store(GSYSCALL, Release);
    ours
}
// ANCHOR_END: take_out
