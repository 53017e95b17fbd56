//! A request goes to a thread: a signal that interrupts whatever it does. Mirrors `preemptM` of
//! `signal_unix.go`, and what `preemptone` of `proc.go` does for it; the chapter is *Signals*.
//!
//! The flag is up already, and so is `g.preempt`: a goroutine that looks finds the request
//! whether or not the signal comes. The signal is for one that does not look.
//!
//! Whose turn it is to send, and when a request counts as answered, is told in
//! `table/signalword.rs`.
//!
//! Tests: `asynchronous`, `tests/loom/src/signal.rs`.

use crate::ask::off::{Off, off};
use crate::safepoint::vetoes::{SHADOW_STACK, count};
use crate::table::events::signal_sent;
use crate::table::words::{Own, own};
use stage2_sysmon::rt::gmp::M;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// So many requests in a row that find the same signal in flight are odd.
const ODD: u32 = 8;

/// What finds out why no signal lands, and says so: `initsig` hands it in.
static WHY_UNANSWERED: OnceLock<fn()> = OnceLock::new();

/// The first call counts.
pub(crate) fn when_unanswered(f: fn()) {
    let _ = WHY_UNANSWERED.set(f);
}

// ANCHOR: preempt_m
/// The row `preempt_m` of this stage: asks the goroutine that runs on `mp` by a signal. Best
/// effort, as all of `preemptone`: another goroutine may run there when it lands, or none.
pub fn preempt_m(mp: &'static M) {
    match off() {
        Off::Not => {}
        Off::Asked => return,
        Off::ShadowStack => return count(SHADOW_STACK),
    }
    let Some(own) = own(mp) else { return };
    if let Some(pp) = mp.p.load(Acquire) {
        pp.preempt.store(true, Relaxed);
    }
    let asked = mp.curg.load(Acquire);
    let flow = asked.map_or(0, |gp| gp.preempt_flow.load(Relaxed));
    let Some(sender) = own.signal.ask() else {
        return in_flight(mp, own, flow);
    };
    own.unanswered.store(0, Relaxed);
    own.flow.store(flow, Relaxed);
    signal_sent(mp, flow, false);
    // Read after `ask`: a thread that has become this M since then has written its number down
    // before it took the mark away.
    if !signal_m(mp.procid.load(Acquire)) {
        own.signal.vanished(sender);
    }
}
// ANCHOR_END: preempt_m

/// Sends SIGURG to a thread of this process. False: there is no such thread any more. Go's
/// `signalM`.
fn signal_m(thread: i32) -> bool {
    // SAFETY: tgkill takes three numbers; a number that is no thread of this process is refused.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG) == 0 }
}

/// There is a signal on its way already. If that is so again and again, something keeps it, or it
/// is lost: with a timer of the program's own, into whose signal it had merged, and which the
/// program has set again. So it is sent once more, and it is asked who handles it.
fn in_flight(mp: &'static M, own: &Own, flow: u32) {
    let times = own.unanswered.fetch_add(1, Relaxed) + 1;
    if !times.is_multiple_of(ODD) {
        return;
    }
    if let Some(why) = WHY_UNANSWERED.get() {
        why();
    }
    signal_sent(mp, flow, true);
    signal_m(mp.procid.load(Acquire));
}
