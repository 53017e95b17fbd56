//! Entering a system call: the goroutine keeps its M and lets go of its P, without telling
//! anybody. Mirrors `entersyscall`, `reentersyscall` and `entersyscallblock` of `proc.go`;
//! the way back is in `exitsyscall.rs`.
//!
//! # The race for `p.status`
//!
//! Most calls return within a microsecond, so entering must cost next to nothing: no lock,
//! nobody woken. The M takes itself off the P (`p.m` and `m.p` become empty) and writes
//! `PSYSCALL` into `p.status`. From that store on the P belongs to nobody, and lies there for
//! whoever takes it first:
//!
//! * the same M, back from its call (`exitsyscall_fast`): nothing happened, it runs on;
//! * sysmon, when the call takes long and somebody could use the P (`retake`);
//! * another M whose own P was taken, because this P was *its* P once and is in a call
//!   again now. That is fair: it is in a hurry, and the one in the call is not.
//!
//! All of them take it by the same compare-and-swap, `PSYSCALL` to `PIDLE`, so exactly one
//! wins. The winner is the P's owner then: the P stands in no list, and no other M has it.
//!
//! What the orderings carry:
//!
//! * The store of `PSYSCALL` is a release, and every one of those exchanges an acquire. So
//!   the winner sees all that the M did while it was the owner: the ring's `tail` and
//!   `runnext`, `schedtick`, and that `p.m` is empty.
//! * An exchange that fails reads nothing that anybody acts upon, so it is relaxed. The M
//!   that lost its P learns what happened to it from `syscalltick`, which only ever means
//!   "not the same call any more".
//! * The M's own side, `m.oldp` and `m.syscalltick`, is written before the store and read by
//!   the same thread afterwards; it needs no ordering.
//!
//! Entering and leaving look at `sched.attention` besides. On x86 a store may still wait in
//! the store buffer when the load behind it is done, so an M that enters can miss a bit that
//! is raised at the same moment, and who raised it can miss that the P is in a call. In this
//! stage nobody minds. Who must not miss it has to make every thread pass a barrier after he
//! raised the bit (`membarrier`), which is dear; but then he pays, and not each call.
//! Go 1.15 pays at each call: its store is an exchange.

use crate::exitsyscall::exitsyscall;
use crate::kinds::{GO_SYS_BLOCK, GO_SYS_CALL, GO_SYS_EXIT, event};
use crate::rows::rows;
use crate::words::{m_syscalltick, set_oldp, syscalltick};
use stage1_coop::prologue;
use stage1_coop::rt::arch::{getg, getm, on_goroutine, systemstack};
use stage1_coop::rt::gmp::{
    ATTENTION_FREEZE, ATTENTION_STOP, G, GRUNNING, GSYSCALL, P, PSYSCALL, SCHED, casgstatus,
};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::releasep;
use stage1_coop::rt::stack::{STACK_PREEMPT, ordinary_guard};
use stage1_coop::rt::stage::stage;
use std::sync::atomic::Ordering::*;

/// The two sides of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Going in. The P was given up, and is the argument.
    Enter,
    /// Coming back, before a P is taken.
    Exit,
}

// ANCHOR: syscall
/// Calls `f`, which may block in the kernel, without keeping a processor from the other
/// goroutines: when `f` takes long, somebody else gets the P. Returns what `f` returns.
///
/// In `f` the goroutine is not the scheduler's. It must not call anything of this crate, nor
/// a `#[gofunc]`: that ends the process with `fatal error`. (Handles may be cloned and
/// dropped, and [`user_log`](crate::user_log) works.) Anything of std and libc is welcome.
///
/// # Panics
/// If `f` does. Off a goroutine it is a plain call.
pub fn syscall<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscall(pc, sp, bp).then(|| Back);
    f()
}
// ANCHOR_END: syscall

/// As [`syscall`], for a call that is known to block: the P goes to somebody else at once,
/// not when sysmon has noticed.
pub fn syscall_block<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscallblock(pc, sp, bp).then(|| Back);
    f()
}

/// Leaves the call when dropped, also if what was called panics.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        // SAFETY: a `Back` is made only when the call has begun.
        unsafe { exitsyscall() };
    }
}

/// Where the goroutine stands, for a dump while it is in the call: the caller's frame, which
/// lives until the call is over.
#[inline(always)]
pub(crate) fn here() -> (usize, usize, usize) {
    let (pc, sp, bp): (usize, usize, usize);
    // SAFETY: reads three registers.
    unsafe {
        std::arch::asm!(
            "lea {pc}, [rip]",
            "mov {sp}, rsp",
            "mov {bp}, rbp",
            pc = out(reg) pc, sp = out(reg) sp, bp = out(reg) bp,
            options(nomem, nostack, preserves_flags),
        );
    }
    (pc, sp, bp)
}

/// All ways begin like this. Until it is back the goroutine must not come to a guard check:
/// a check may yield, and there is no P to yield. So each one fails from here on, and finds
/// `throwsplit`.
#[inline(always)]
pub(crate) fn no_checks(gp: &'static G, pc: usize, sp: usize, bp: usize) {
    gp.stackguard0.store(STACK_PREEMPT, Relaxed);
    gp.throwsplit.store(true, Relaxed);
    gp.sched.pc.set(pc);
    gp.sched.sp.set(sp);
    gp.sched.bp.set(bp);
}

/// And they end like this, when there is a P again.
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
    event(&GO_SYS_EXIT);
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

#[inline(always)]
fn begin(gp: &'static G, pc: usize, sp: usize, bp: usize) {
    no_checks(gp, pc, sp, bp);
    // SAFETY: gp is the caller, which comes to no check until it is back.
    unsafe { casgstatus::<GRUNNING, GSYSCALL>(gp) };
    event(&GO_SYS_CALL);
}

// ANCHOR: entersyscall
/// The goroutine, which stands at `pc`, is about to enter a system call. Returns false off a
/// goroutine: then there is nothing to do, now and afterwards. Go's `entersyscall`. Never
/// inlined: a goroutine's own code must not look at its thread in several steps.
#[inline(never)]
pub fn reentersyscall(pc: usize, sp: usize, bp: usize) -> bool {
    if !on_goroutine() {
        return false;
    }
    let (gp, mp) = (getg(), getm());
    begin(gp, pc, sp, bp);
    let Some(pp) = mp.p.get() else {
        throw("entersyscall: no p");
    };
    m_syscalltick(mp).set(syscalltick(pp).get());
    set_oldp(mp, Some(pp));
    mp.p.set(None);
    pp.m.set(None);
    // From here on the P is whoever's takes it first.
    pp.status.store(PSYSCALL, Release);
    if SCHED.attention.load(Relaxed) != 0 {
        (rows().syscall_slow)(Side::Enter, Some(pp));
    }
    true
}
// ANCHOR_END: entersyscall

/// As [`reentersyscall`], for a call that will block. Go's `entersyscallblock`.
#[inline(never)]
pub fn reentersyscallblock(pc: usize, sp: usize, bp: usize) -> bool {
    if !on_goroutine() {
        return false;
    }
    let (gp, mp) = (getg(), getm());
    begin(gp, pc, sp, bp);
    event(&GO_SYS_BLOCK);
    let Some(pp) = mp.p.get() else {
        throw("entersyscallblock: no p");
    };
    m_syscalltick(mp).set(syscalltick(pp).get());
    // For sysmon this call is over before it began.
    syscalltick(pp).bump();
    set_oldp(mp, None);
    // On g0: it may make a thread.
    // SAFETY: mp is the calling thread's.
    systemstack(|| (stage().handoffp)(unsafe { releasep(mp) }));
    true
}

/// The bits of `sched.attention` that mean that the run ends or the process dies.
pub(crate) const OVER: u32 = ATTENTION_STOP | ATTENTION_FREEZE;

/// The row `syscall_slow` of this stage: something is up. When everything is over, nobody
/// goes on by himself: the scheduler knows what to do.
pub fn syscall_slow(side: Side, _pp: Option<&'static P>) -> bool {
    side == Side::Enter || SCHED.attention.load(Relaxed) & OVER == 0
}
