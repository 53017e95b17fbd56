//! The thread without a P. Everything else in the scheduler happens because a goroutine did
//! something; sysmon looks although it was not called.
//!
//! It has no P, so it can look while all Ps are busy, and it runs no goroutine, so no goroutine
//! can keep it from looking. How often it looks follows what it finds: every 20 us at first,
//! less and less often while there is nothing to do, at last every 10 ms; and not at all
//! while no P is in use (`asleep/deep_sleep.rs`). Mirrors `sysmon` of `proc.go`; the chapter
//! *sysmon's day* draws the sleeps of a real run.
//!
//! Tests: `sysmon::sysmon_looks_every_20_us_while_it_finds_calls_and_rarely_while_it_finds_nothing`
//! and those after it.

pub(crate) mod retake;
pub(crate) mod schedtrace;
mod sigquit;
pub(crate) mod slices;
pub(crate) mod start;

use crate::asleep::deep_sleep::{deep_sleep, sysmon_is};
use crate::asleep::sleeper::SLEEPER;
use crate::checkdead::checkdead;
use crate::netpoll;
use crate::table::rows::rows;
use crate::timers::{NEVER, time_sleep_until};
use stage1_coop::rt::arch::getm;
use stage1_coop::rt::gmp::{ATTENTION_STOP, M, SCHED, gomaxprocs};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::{Wake, startm};
use std::sync::atomic::Ordering::Relaxed;

/// Microseconds between two looks while there is something to do.
pub const DELAY_MIN: u32 = 20;
/// Microseconds between two looks at most, as long as a P is in use.
pub const DELAY_MAX: u32 = 10_000;
/// Rounds that found nothing before sysmon begins to sleep longer: about a millisecond.
pub const IDLE_ROUNDS: u32 = 50;
/// The row `sysmon_delay` of this stage: how long to sleep after `idle` rounds in a row that
/// found nothing to do, when the last sleep was `delay`.
pub fn sysmon_delay(idle: u32, delay: u32) -> u32 {
    let delay = match idle {
        0 => DELAY_MIN,
        1..=IDLE_ROUNDS => delay,
        _ => delay * 2,
    };
    delay.min(DELAY_MAX)
}

// ANCHOR: sysmon
/// Sysmon's life, on an M of its own that never has a P. Returns when the run is over.
fn sysmon() {
    let mp = getm();
    sysmon_is(mp);
    twenty_means_twenty();
    // Go counts sysmon as a system M (`nmsys`) from here on, so the last other M may now be
    // asleep: look for a deadlock. `newm` has counted ours already; the call is here because
    // Go's is.
    checkdead();
    let rows = rows();
    let (mut idle, mut delay) = (0, 0);
    let mut printed = schedtrace::Printed::default();
    loop {
        delay = (rows.sysmon_delay)(idle, delay);
        if sleep(mp, u64::from(delay) * 1_000) == Wake::Over {
            return;
        }
        let all_idle = SCHED.npidle.load(Relaxed) as usize == gomaxprocs();
        // A signal may have ended the sleep just now; it does not end the next one again.
        let awake = schedtrace::on() || sigquit::asked();
        if all_idle && !awake && deep_sleep(mp, next_timer) {
            (idle, delay) = (0, DELAY_MIN);
        }
        if sigquit::asked() {
            sigquit::dump();
        }
        let now = nanotime();
        netpoll::poll_for_sysmon(now);
        if time_sleep_until() < now && !SLEEPER.polling() {
            // A timer is late, and no M sleeps for it: its P is in a long slice. (`checkdead`
            // does not count sysmon, and in `startm` it holds an idle P; `startm` counts the new
            // M before that matters.)
            startm(None, false);
        }
        if (rows.retake)(now) != 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        (rows.sysmon_tick)(now);
        printed.if_due(now);
    }
}
// ANCHOR_END: sysmon

/// Sleeps for this time, or until the run is over. The note is the M's own, because that is the
/// one which the end of a run wakes.
fn sleep(mp: &'static M, ns: u64) -> Wake {
    if mp.park.tsleep(ns) {
        // Clear first, look afterwards: the waker changed `attention` before.
        mp.park.clear();
    }
    if SCHED.attention.has(ATTENTION_STOP) {
        Wake::Over
    } else {
        Wake::Up
    }
}

/// Until when sysmon may sleep while no P is in use: until a timer is due, unless the sleeper
/// minds the timers. No timer can be set meanwhile and missed: a thread that has no P and sets
/// one starts an M (`announce`), which wakes sysmon.
fn next_timer() -> u64 {
    if SLEEPER.polling() {
        NEVER
    } else {
        time_sleep_until()
    }
}

/// The kernel may wake a sleeping thread up to 50 us late, to wake several at once. A thread that
/// wants to sleep for 20 us has to say so. Go does not; its 20 us are 70.
fn twenty_means_twenty() {
    // SAFETY: PR_SET_TIMERSLACK takes a number and concerns the calling thread only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysmon_s_sleeps_are_go_s() {
        let (mut delay, mut sleeps) = (0, Vec::new());
        for idle in 0..70 {
            delay = sysmon_delay(idle, delay);
            sleeps.push(delay);
        }
        assert!(sleeps[..51].iter().all(|&us| us == 20), "{sleeps:?}");
        assert_eq!(
            sleeps[51..],
            [
                40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000, 10_000, 10_000, 10_000,
                10_000, 10_000, 10_000, 10_000, 10_000, 10_000
            ]
        );
        assert_eq!(sysmon_delay(0, delay), 20, "work was found");
    }
}
