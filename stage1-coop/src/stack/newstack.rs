//! What a failed guard check means: a request to yield, or too little stack.
//!
//! One comparison serves both questions. Here, on `g0`, they are told apart, in Go's order:
//! first what would be a bug, then the request, and only then the stack. Mirrors `newstack`
//! of `stack.go`; the chapter *The check and the flag* follows it line by line.
//!
//! Tests: `check`, `preemption`.

use crate::arch::{getg, getm, mcall, on_goroutine};
use crate::gmp::casgstatus::casgstatus;
use crate::gmp::{G, GCOPYSTACK, GRUNNING, STACK_FORK, STACK_PREEMPT};
use crate::os;
use crate::stack::preempt::{UNWINDING, why_not_preempt_m};
use crate::stack::slots;
use crate::stage::stage;
use crate::throw::throw;
use crate::trace;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::*;

/// `morestack` comes here, still on the goroutine's stack, with the stack pointer of the
/// function whose check failed.
pub(crate) extern "C" fn morestack_entry(sp: usize) {
    if !on_goroutine() {
        throw("morestack on g0");
    }
    let gp = getg();
    loop {
        gp.param.set(sp);
        // SAFETY: we are on a goroutine, called from its own code or from code that it
        // called through `morestack`, which keeps nothing tied to the thread.
        unsafe { mcall(newstack_m) }
        // Go runs the check once more. The request may have hidden that the stack is too
        // small besides.
        if sp > gp.stack.lo.get() + slots::STACK_GUARD {
            return;
        }
    }
}

fn newstack_m(gp: &'static G) -> Option<&'static G> {
    os::at_check();
    slots::near_growth(gp, gp.param.get());
    (stage().newstack)(gp)
}

/// The row `newstack` of this stage.
///
/// Returns `gp` itself to go on with it, or `None` when it has been taken off the M.
pub fn newstack(gp: &'static G) -> Option<&'static G> {
    let mp = getm();
    if gp.stackguard0.load(Relaxed) == STACK_FORK {
        throw("stack growth after fork");
    }
    if !gp.m.is(mp) {
        throw("runtime: wrong goroutine in newstack");
    }
    if gp.throwsplit.load(Relaxed) {
        throw("runtime: stack split at bad time");
    }

    // ANCHOR: newstack
    // Read the guard once: any thread may raise the flag between two looks, and then the
    // first would say "stack" and the second "preempt".
    let preempt = gp.stackguard0.load(Relaxed) == STACK_PREEMPT;
    if preempt && let Some(why) = why_not_preempt_m(mp) {
        trace::poll_hit(gp, why);
        if gp.param.get() <= gp.stack.lo.get() + slots::STACK_GUARD {
            grow(gp);
        }
        // Let the goroutine run on. gp.preempt stays set: the end of the reason for the
        // refusal raises the flag again. Nothing tells when an unwinding ends, so there the
        // flag stays up and each check asks anew.
        if why != UNWINDING {
            gp.stackguard0.store(slots::ordinary_guard(gp), Relaxed);
        } else {
            gp.stackguard0.store(STACK_PREEMPT, Relaxed);
        }
        return Some(gp);
    }

    if gp.stack.lo.get() == 0 {
        throw("missing stack in newstack");
    }
    if preempt {
        if mp.p.get().is_none() {
            throw("runtime: g is running but p is not");
        }
        return (stage().preempted)(gp);
    }

    let sp = gp.param.get();
    if sp > gp.stack.lo.get() + slots::STACK_GUARD {
        // The request was withdrawn before we looked, or the check only ticked a clock.
        return Some(gp);
    }
    grow(gp);
    Some(gp)
    // ANCHOR_END: newstack
}

fn grow(gp: &'static G) {
    // SAFETY: gp is this M's, which goes on with it; its stack stays where it is.
    unsafe {
        casgstatus::<GRUNNING, GCOPYSTACK>(gp);
        if slots::grow(gp, gp.param.get()).is_err() {
            overflow(gp);
        }
        casgstatus::<GCOPYSTACK, GRUNNING>(gp);
    }
}

/// What ends the process when a stack cannot grow: it prints the goroutine.
static OVERFLOW: OnceLock<fn(&'static G, usize) -> !> = OnceLock::new();

/// A stack that cannot grow ends the process so. The first call counts.
pub(crate) fn set_overflow(end: fn(&'static G, usize) -> !) {
    let _ = OVERFLOW.set(end);
}

#[cold]
fn overflow(gp: &'static G) -> ! {
    match OVERFLOW.get() {
        Some(end) => end(gp, gp.param.get()),
        None => throw("stack overflow"),
    }
}
