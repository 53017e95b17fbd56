//! Entering a system call: the goroutine keeps its M and lets go of its P, without telling any
//! other thread. Mirrors `entersyscall`, `reentersyscall` and `entersyscallblock` of `proc.go`;
//! the way back is in `exit.rs`.
//!
//! In between the P belongs to whichever M takes it first: `callp.rs` tells that protocol.
//!
//! Entering and leaving look at `sched.attention` besides. On x86 a store may still be in the
//! store buffer when the load after it is done, so an M that enters can miss a bit that is set
//! at the same moment, and the thread that sets it can miss that the P is in a call. In this
//! stage that does no harm. A thread that must not miss it has to make every thread pass a
//! barrier after it has set the bit (`membarrier`), which is expensive; but then it pays once,
//! and not each call. Go 1.15 pays at each call: its store is an exchange.
//!
//! Tests:
//! `sysmon::calls::a_thread_in_a_call_loses_its_p_to_whoever_has_work`,
//! `sysmon::calls::who_comes_back_first_takes_its_old_p_out_of_another_s_call`,
//! `sysmon::calls::many_calls_on_few_ps_lose_nobody`.

use crate::syscall::callp::CallStatus;
use crate::syscall::exit::exitsyscall;
use crate::table::events::{self, GO_SYS_BLOCK, GO_SYS_CALL};
use crate::table::rows::{Side, a_bit_is_set};
use crate::table::words::{ATTENTION_OVER, of_m, of_p};

use stage1_coop::rt::arch::{getm, goroutine, systemstack};
use stage1_coop::rt::gmp::{G, GRUNNING, GSYSCALL, P, SCHED, casgstatus};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::releasep;
use stage1_coop::rt::stack::STACK_PREEMPT;
use stage1_coop::rt::stage::stage;
use std::sync::atomic::Ordering::Relaxed;

// ANCHOR: syscall
/// Calls `f`, which may block in the kernel, without keeping a processor from the other
/// goroutines: when `f` takes long, another M gets the P. Returns what `f` returns.
///
/// In `f` the goroutine is not the scheduler's. It must not call anything of this crate, nor
/// a `#[gofunc]`: that ends the process with `fatal error`. (Handles may be cloned and
/// dropped, and [`user_log`](crate::user_log) works.) Anything of std and libc is welcome.
///
/// # Panics
/// If `f` does. Off a goroutine it is a plain call.
pub fn syscall<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscall(pc, sp, bp).map(|_| Back);
    f()
}
// ANCHOR_END: syscall

/// As [`syscall`], for a call that is known to block: the P goes to another M at once,
/// not when sysmon has noticed.
pub fn syscall_block<R>(f: impl FnOnce() -> R) -> R {
    let (pc, sp, bp) = here();
    let _back = reentersyscallblock(pc, sp, bp).map(|_| Back);
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

/// Where the goroutine is, for a dump while it is in the call: the caller's frame, which
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

#[inline(always)]
fn begin(gp: &'static G, pc: usize, sp: usize, bp: usize) {
    no_checks(gp, pc, sp, bp);
    // SAFETY: gp is the caller, which comes to no check until it is back.
    unsafe { casgstatus::<GRUNNING, GSYSCALL>(gp) };
    events::record(&GO_SYS_CALL);
}

// ANCHOR: entersyscall
/// The goroutine, which is at `pc`, is about to enter a system call. Returns it, or `None`
/// off a goroutine: then there is nothing to do, now and afterwards. Go's `entersyscall`. Never
/// inlined: a goroutine's own code must not look at its thread in several steps.
#[inline(never)]
pub fn reentersyscall(pc: usize, sp: usize, bp: usize) -> Option<&'static G> {
    let gp = goroutine()?;
    let mp = getm();
    begin(gp, pc, sp, bp);
    let Some(pp) = mp.p.get() else {
        throw("entersyscall: no p");
    };
    let own = of_m(mp);
    own.syscalltick.set(of_p(pp).syscalltick.get());
    own.oldp.set(Some(pp));
    mp.p.set(None);
    pp.m.set(None);
    // From here on the P belongs to the first that takes it.
    // SAFETY: this M owned it until now, and asks for it again on its way out.
    unsafe { pp.status.enter_call() };
    if SCHED.attention.any() {
        a_bit_is_set(Side::Enter, Some(pp));
    }
    Some(gp)
}
// ANCHOR_END: entersyscall

/// As [`reentersyscall`], for a call that will block. Go's `entersyscallblock`.
#[inline(never)]
pub fn reentersyscallblock(pc: usize, sp: usize, bp: usize) -> Option<&'static G> {
    let gp = goroutine()?;
    let mp = getm();
    begin(gp, pc, sp, bp);
    events::record(&GO_SYS_BLOCK);
    let Some(pp) = mp.p.get() else {
        throw("entersyscallblock: no p");
    };
    let (own, its) = (of_m(mp), of_p(pp));
    own.syscalltick.set(its.syscalltick.get());
    // For sysmon this call is over before it began.
    its.syscalltick.bump();
    own.oldp.set(None);
    // On g0: it may make a thread.
    // SAFETY: mp is the calling thread's.
    systemstack(|| (stage().handoffp)(unsafe { releasep(mp) }));
    Some(gp)
}

/// The row `syscall_slow` of this stage: a bit of `sched.attention` is set. When the run is over,
/// no goroutine takes a P by itself: it goes to the scheduler, which stops it.
pub fn syscall_slow(side: Side, _pp: Option<&'static P>) -> bool {
    side == Side::Enter || !SCHED.attention.has(ATTENTION_OVER)
}
