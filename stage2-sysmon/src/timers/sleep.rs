//! The simplest use of a timer: a goroutine sleeps. Mirrors `timeSleep` of `time.go`.
//!
//! Tests: `timers::sleep`, `timers::firing`.

use crate::table::reasons::SLEEP;
use crate::timers::{Fire, NEVER, addtimer, my_p};
use stage1_coop::prologue;
use stage1_coop::rt::arch::on_goroutine;
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::os::{nanotime, usleep};
use stage1_coop::rt::sched::gopark;
use std::time::Duration;

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that comes `time` after now.
pub(crate) fn from_now(time: Duration) -> u64 {
    nanotime().saturating_add(nanoseconds(time)).min(NEVER - 1)
}

// ANCHOR: sleep
/// Parks the goroutine for this time, or somewhat longer: it has to queue like any other
/// when it is over. Go's `time.Sleep`. Off a goroutine the thread sleeps.
#[inline(never)]
pub fn sleep(time: Duration) {
    prologue!();
    if !on_goroutine() {
        return usleep(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    if time.is_zero() {
        return;
    }
    let mut when = from_now(time);
    // SAFETY: on a goroutine; `when` lies on its stack, which stands still until the timer,
    // which `set` sets, has made it runnable.
    unsafe { gopark(Some(set), (&raw mut when).cast(), SLEEP) };
}

/// On `g0`, when the goroutine counts as waiting: only now may the timer find it. Go's
/// `resetForSleep`.
fn set(gp: &'static G, when: *mut ()) -> bool {
    // SAFETY: `sleep` passes the address of its variable, and has not gone on.
    let when = unsafe { *when.cast::<u64>() };
    addtimer(my_p(), when, Fire::Ready(gp));
    true
}
// ANCHOR_END: sleep
