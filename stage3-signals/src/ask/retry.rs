//! Refused is asked again soon. In Go a goroutine that cannot be stopped where the signal finds it
//! is asked again in the next round of sysmon, up to 10 ms later. In Rust most instructions that
//! a goroutine executes may be in other people's code: in std that was compiled elsewhere, in the
//! allocator, in the C library. A loop that allocates is in there nine times of ten. So every M has
//! a timer that repeats the signal: 50 us after the refusal, then twice as long each time, up to a
//! millisecond, until the slice is over. No part of Go; the chapter is *Refused, and asked again*.
//!
//! The timer is the kernel's and signals this one thread (`SIGEV_THREAD_ID`). It goes off once for
//! each refusal, so a slice that is over costs one signal more at most. There is none in lockstep:
//! there a goroutine is stopped only where time passes, and finds the flag there.
//!
//! *Trap:* a timer must not be set again while its signal may be pending. The kernel (since 6.13)
//! then takes that signal back, when it is about to be delivered; and if a request's has merged
//! into it meanwhile, both are gone. So it is set only when its last signal has landed, and never
//! called off.
//!
//! Where the process may have no more timers (`ulimit -i`), one line says so, and requests are
//! repeated as in Go.
//!
//! Tests: `asynchronous`.

use crate::table::words::{Own, own};
use stage2_sysmon::rt::gmp::{M, P};
use stage2_sysmon::rt::os::{in_lockstep, say};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Nanoseconds from a first refusal to the next signal.
pub const AGAIN_FIRST_NS: u64 = 50_000;
/// Nanoseconds from a refusal to the next signal at most.
pub const AGAIN_LAST_NS: u64 = 1_000_000;

/// No timer.
const NONE: i32 = -1;
/// It was said in this run that there are no timers left.
static SAID: AtomicBool = AtomicBool::new(false);

/// A run begins.
pub(crate) fn reset() {
    SAID.store(false, Relaxed);
}

/// The calling thread, which is the M of `own`, gets its timer.
pub(crate) fn make(own: &Own) {
    own.timer.store(NONE, Relaxed);
    own.timer_set.store(false, Relaxed);
    if in_lockstep() {
        return;
    }
    // SAFETY: a zeroed sigevent is a valid value of the type; the structures are ours, and the
    // timer signals this thread only.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGURG;
        event.sigev_notify_thread_id = libc::syscall(libc::SYS_gettid) as i32;
        let mut timer = NONE;
        let clock = libc::CLOCK_MONOTONIC;
        // The kernel's own call: its numbers are small, and setting it is nothing but a call,
        // which a handler may make.
        if libc::syscall(
            libc::SYS_timer_create,
            clock,
            &raw mut event,
            &raw mut timer,
        ) == 0
        {
            return own.timer.store(timer, Relaxed);
        }
    }
    if !SAID.swap(true, Relaxed) {
        say!(
            "no timer to repeat a refused preemption ({}): sysmon repeats it, later",
            std::io::Error::last_os_error()
        );
    }
}

/// The calling thread, which was the M of `own`, leaves the run.
pub(crate) fn end(own: &Own) {
    let timer = own.timer.swap(NONE, Relaxed);
    if timer != NONE {
        // SAFETY: the timer was made by `make`, and is deleted once.
        unsafe { libc::syscall(libc::SYS_timer_delete, timer) };
    }
}

/// In the handler: a signal with this code is here. After the timer's own it may be set again.
pub(crate) fn landed(own: &Own, code: i32) {
    if code == libc::SI_TIMER {
        own.timer_set.store(false, Relaxed);
    }
}

// ANCHOR: again
/// The row `refused` of this stage: the M's timer brings the next signal.
pub fn again(mp: &'static M, _why: &'static str) {
    let (Some(own), Some(pp)) = (own(mp), mp.p.get()) else {
        return;
    };
    if own.timer_set.load(Relaxed) {
        return;
    }
    let slice = slice_of(pp);
    let ns = if own.slice.get() == slice {
        (own.again_ns.load(Relaxed) * 2).min(AGAIN_LAST_NS)
    } else {
        AGAIN_FIRST_NS
    };
    own.slice.set(slice);
    own.again_ns.store(ns, Relaxed);
    set(own, ns);
}
// ANCHOR_END: again

/// The timer, which is not set, goes off once, in so many nanoseconds. Async-signal-safe.
fn set(own: &Own, ns: u64) {
    let timer = own.timer.load(Relaxed);
    if timer == NONE {
        return;
    }
    let time = |ns| libc::timespec {
        tv_sec: 0,
        tv_nsec: ns as i64,
    };
    let setting = libc::itimerspec {
        it_interval: time(0),
        it_value: time(ns),
    };
    let nowhere = std::ptr::null_mut::<libc::itimerspec>();
    // SAFETY: the timer is this thread's and lives, since `end` clears it first; the setting is
    // ours.
    unsafe {
        libc::syscall(
            libc::SYS_timer_settime,
            timer,
            0,
            &raw const setting,
            nowhere,
        )
    };
    own.timer_set.store(true, Relaxed);
}

/// A number for the slice that runs on `pp`: its scheduler's turn, and which P that is. Never 0.
fn slice_of(pp: &P) -> usize {
    ((pp.schedtick.load(Relaxed) as usize) << 16) | (pp.id.get() + 1)
}
