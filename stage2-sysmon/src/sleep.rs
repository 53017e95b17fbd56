//! What goroutines do with timers: sleep, wait for a channel that fires once or again and
//! again. Mirrors `timeSleep` of the runtime's `time.go`, and `sleep.go` and `tick.go` of
//! the package `time`.

use crate::timers::{Fire, NEVER, Tick, addtimer, deltimer, my_p};
use stage1_coop::rt::*;
use stage1_coop::{Chan, prologue};
use std::sync::Arc;
use std::time::Duration;

/// Why a goroutine waits that sleeps.
pub const SLEEP: WaitReason = WaitReason::Later0;
/// The names of this stage's reasons to wait, for the stage's table.
pub const WAIT_REASONS: &[&str] = &["sleep", "IO wait"];

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The time that comes `time` after now.
fn from_now(time: Duration) -> u64 {
    nanotime().saturating_add(nanoseconds(time)).min(NEVER - 1)
}

// ANCHOR: sleep
/// Parks the goroutine for this time, or somewhat longer: it has to queue like everybody
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

/// A channel that gets one value when this time has passed. Go's `time.After`.
///
/// # Panics
/// On a thread that the runtime did not make.
pub fn after(time: Duration) -> Chan<()> {
    start(time, 0).c.clone()
}

fn start(time: Duration, period: u64) -> Arc<Tick> {
    prologue!();
    let tick = Arc::new(Tick {
        c: Chan::new(1),
        period,
        pp: my_p(),
    });
    addtimer(tick.pp, from_now(time), Fire::Tick(tick.clone()));
    tick
}

/// A channel that gets a value again and again. Ticks that nobody takes in time are left
/// out. Go's `time.Ticker`; dropping it stops it.
pub struct Ticker(Arc<Tick>);

impl Ticker {
    /// Ticks every `period`, for the first time one period from now. Go's `time.NewTicker`.
    ///
    /// # Panics
    /// If the period is zero; and on a thread that the runtime did not make.
    pub fn new(period: Duration) -> Ticker {
        assert!(!period.is_zero(), "non-positive interval for Ticker::new");
        Ticker(start(period, nanoseconds(period)))
    }

    /// Where the ticks come. The channel stays open when the ticker stops.
    pub fn c(&self) -> &Chan<()> {
        &self.0.c
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // Not there: it fires at this moment. A periodic one is set again before it sends,
        // so it is there, or will be at once.
        while !deltimer(&self.0) {
            osyield();
        }
    }
}
