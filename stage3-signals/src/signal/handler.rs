//! What happens when SIGURG has landed. Mirrors `sigtrampgo`, `sighandler` and `doSigPreempt` of
//! `signal_unix.go`; the chapter is *Signals*.
//!
//! The interrupted code may stand anywhere: in the middle of the allocator, with a lock of the
//! scheduler's, half way through a switch of stacks. So what is called from here takes no lock,
//! allocates nothing and comes to no guard check. All signals are blocked meanwhile, `errno` is
//! kept, and a handler of the program's own has had its turn: that is stage 1's part
//! (`rt::os::Chained`).
//!
//! Tests: `asynchronous`.

use crate::ask::off::{Off, off};
use crate::ask::retry;
use crate::safepoint::vetoes::{STATUS, count};
use crate::safepoint::want::is_asked;
use crate::table::context::Context;
use crate::table::events::{signal_landed, signal_refused};
use crate::table::rows::rows;
use crate::table::words::{Own, own};
use stage2_sysmon::rt::arch::{getg, getm_opt, setg};
use stage2_sysmon::rt::gmp::{G, M};
use stage2_sysmon::rt::os::in_handler;
use std::sync::atomic::Ordering::Relaxed;

// ANCHOR: sigtrampgo
/// The handler of SIGURG. Go's `sigtrampgo`.
pub(crate) extern "C" fn sigtrampgo(
    _signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // A thread that the runtime does not know, or no longer: no request concerns it.
    let Some(mp) = getm_opt() else { return };
    let Some(own) = own(mp).filter(|own| own.is_ready()) else {
        return;
    };
    // Before anything else: a request that comes from here on sends a signal of its own.
    let sent = own.signal.landed();
    // SAFETY: the kernel's arguments, in their handler.
    let (code, context) = unsafe { ((*info).si_code, Context::of(context)) };
    retry::landed(own, code);
    let gp = getg();
    // SAFETY: we are on the M's signal stack, which is this G's.
    unsafe { setg(&own.gsignal) };
    in_handler(|| do_sig_preempt(mp, own, gp, context, sent));
    // SAFETY: nothing looks for the current goroutine until its stack is back.
    unsafe { setg(gp) };
}
// ANCHOR_END: sigtrampgo

// ANCHOR: do_sig_preempt
/// The signal has interrupted `gp` on `mp`. `sent`: it was a request's, or merged with one. Go's
/// `doSigPreempt`.
fn do_sig_preempt(mp: &'static M, own: &Own, gp: &'static G, context: &mut Context, sent: bool) {
    if off() != Off::Not {
        return;
    }
    let flow = own.flow.load(Relaxed);
    if sent {
        signal_landed(gp, flow, true);
    }
    let rows = rows();
    if !(rows.want_async_preempt)(gp) {
        if is_asked(gp) {
            refuse(mp, gp, flow, STATUS);
        }
        // Otherwise it is a stranger's signal, or the request is over.
        return;
    }
    if !sent {
        signal_landed(gp, flow, false);
    }
    own.xstate.store(context.xstate(), Relaxed);
    match (rows.is_async_safe_point)(gp, context.pc(), context.sp()) {
        Ok(()) => (rows.push_call)(context, rows.async_preempt as usize),
        Err(why) => refuse(mp, gp, flow, why),
    }
}
// ANCHOR_END: do_sig_preempt

fn refuse(mp: &'static M, gp: &G, flow: u32, why: &'static str) {
    count(why);
    signal_refused(gp, flow, why);
    (rows().refused)(mp, why);
}
