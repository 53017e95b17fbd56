//! The end of a run: `main` returns, the M that ran it tells all others to leave, and waits for
//! them, but not for ever.
//!
//! Tests: `last_words::runs`, `diagnostics`.

use crate::arch::{getm, mcall};
use crate::gmp::casgstatus::readgstatus;
use crate::gmp::{ATTENTION_STOP, G, GSCAN, GSYSCALL, M, SCHED, living};
use crate::os::Note;
use crate::sched::goexit::goexit0;
use crate::stack::preempt::preemptall;
use crate::stage::stage;
use crate::throw::exit;
use crate::trace;
use crate::word::Link;
use safepoint_lockstep::say;
use std::sync::atomic::Ordering::*;

/// Nanoseconds that Ms get to leave when `main` has returned.
const LEAVE_NS: u64 = 1_000_000_000;
/// Nanoseconds between two requests to leave, at most.
const PATIENCE_MAX: u64 = 10_000_000;

/// The M that ran `main` to its end: it sees the others off.
static STOPPER: Link<M> = Link::none();

/// What the third party sleeps on, instead of its `m.park`. The handler of Ctrl-C may be held up
/// between finding the note and waking it until the third party has left. By then its M may be
/// another thread's, which must only be woken with a P. Here a wake-up too many does no harm.
pub(crate) static THIRD_PARTY: Note = Note::new();

/// A new run begins, and nothing can wake its third party yet.
pub(crate) fn reset() {
    STOPPER.set(None);
    THIRD_PARTY.clear();
}

/// `main` has returned, on its goroutine. Never inlined: its caller is the goroutine's own code,
/// where nothing may come between finding the M and switching to its `g0`.
#[inline(never)]
pub(crate) fn main_returned() {
    // SAFETY: on goroutine 1, which holds nothing any more.
    unsafe { mcall(main_returned_m) }
}

fn main_returned_m(gp: &'static G) -> Option<&'static G> {
    STOPPER.store(Some(getm()), SeqCst);
    goexit0(gp);
    stop_all();
    None
}

/// Tells every M to leave: those that run goroutines at their next check, those that sleep
/// at once.
fn stop_all() {
    {
        // Under the lock, so that an M on its way to sleep either sees this or is woken.
        let _sched = SCHED.lock();
        SCHED.attention.raise(ATTENTION_STOP);
    }
    preemptall();
    for m in living() {
        m.park.wakeup();
    }
    THIRD_PARTY.wakeup();
    (stage().poll_break)();
}

/// Called by each M that leaves. The one that ran `main` to its end waits for the others,
/// but not for ever.
pub(crate) fn after_main(mp: &'static M) {
    if STOPPER.load(SeqCst).is_none_or(|s| !std::ptr::eq(s, mp)) {
        return;
    }
    // What counts is how long we meant to sleep, and not the clock: while the whole process
    // stood still (SIGSTOP, a debugger), the others had no time to leave either.
    let mut waited = 0;
    // A request may be lost: an M that was past its look at `attention` executes one more
    // goroutine, and takes the flag down. So ask again, less and less often.
    let mut patience = 100_000;
    while SCHED.live.load(SeqCst) > 1 {
        if waited >= LEAVE_NS {
            abandon_process(mp);
        }
        let ns = patience.min(LEAVE_NS - waited);
        if SCHED.left.tsleep(ns) {
            SCHED.left.clear();
        } else {
            waited += ns;
            preemptall();
            patience = PATIENCE_MAX.min(patience * 2);
        }
    }
}

/// One thread has left the run: the M that waits for the others may go on. Called with nothing
/// left to do but to end.
pub(crate) fn has_left() {
    SCHED.live.fetch_sub(1, SeqCst);
    SCHED.left.wakeup();
    SCHED.all_left.wakeup();
}

/// M0 waits until all the others have left.
pub(crate) fn wait_for_others() {
    while SCHED.live.load(SeqCst) > 0 {
        SCHED.all_left.sleep();
        SCHED.all_left.clear();
    }
}

fn abandon_process(mp: &'static M) -> ! {
    let mut named = false;
    for m in living().filter(|m| !std::ptr::eq(*m, mp)) {
        if let Some(gp) = m.curg.load(Acquire) {
            named = true;
            let what = match readgstatus(gp) & !GSCAN {
                GSYSCALL => "is in a system call that does not return",
                _ => "never comes to a check",
            };
            say!(
                "runtime: main has returned, but goroutine {} ({}) {what}; the process ends with it",
                gp.goid.get(),
                trace::Escaped(gp.name.get())
            );
        }
    }
    if !named {
        say!(
            "runtime: main has returned, but a thread without a processor has not; the process ends with it"
        );
    }
    exit(0)
}
