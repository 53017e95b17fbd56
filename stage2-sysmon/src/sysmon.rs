//! The thread without a P. Everything else in the scheduler happens because some goroutine
//! did something; sysmon is the one who looks although nobody called.
//!
//! It has no P, so it can look on while all Ps are busy, and it runs no goroutine, so nobody
//! can keep it from looking. How often it looks follows what it finds: every 20 us at first,
//! less and less often while there is nothing to do, at last every 10 ms; and not at all
//! while no P is in use. Mirrors `sysmon` of `proc.go`; the chapter *sysmon's day* draws the
//! sleeps of a real run.

use crate::checkdead::checkdead;
use crate::netpoll::{self, polling};
use crate::rows::rows;
use crate::schedtrace;
use crate::sigquit;
use crate::timers::{NEVER, time_sleep_until};
use stage1_coop::rt::arch::{getm, systemstack};
use stage1_coop::rt::gmp::{ATTENTION_LEAVE, ATTENTION_STOP, M, SCHED, SchedInner, gomaxprocs};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::{Slow, newm, startm};
use stage1_coop::rt::word::Link;
use std::sync::atomic::Ordering::*;

/// Microseconds between two looks while there is something to do.
pub const DELAY_MIN: u32 = 20;
/// Microseconds between two looks at most, as long as a P is in use.
pub const DELAY_MAX: u32 = 10_000;
/// Rounds that found nothing before sysmon begins to sleep longer: about a millisecond.
pub const IDLE_ROUNDS: u32 = 50;
/// Nanoseconds that sysmon sleeps at most when no P is in use. Go's is half of the time
/// after which a collection is forced.
pub const DEEP_SLEEP: u64 = 60_000_000_000;

/// `sched.attention`: sysmon sleeps because no P was in use; whoever uses one wakes it.
/// Among the bits for which an M gives up its search: it looks at them as soon as it has a
/// P again, before it runs anything.
pub const ATTENTION_SYSMON: u32 = 4;
const _: () = assert!(ATTENTION_SYSMON & ATTENTION_LEAVE != 0);

/// The M that is sysmon. It writes this itself, before it ever raises its bit.
static SYSMON: Link<M> = Link::none();

/// The row `main_start` of this stage: the first goroutine makes sysmon's thread.
pub fn main_start() {
    sigquit::watch();
    systemstack(|| {
        newm(Some(Box::new(sysmon)), None, false);
    });
}

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
    SYSMON.set(Some(mp));
    twenty_means_twenty();
    // Go's sysmon counts itself as nobody from here on, and so may leave nobody. Ours was made
    // as nobody (`newm`); the look is here because Go's is.
    checkdead();
    let rows = rows();
    let (mut idle, mut delay) = (0, 0);
    let mut printed = schedtrace::Printed::default();
    loop {
        delay = (rows.sysmon_delay)(idle, delay);
        if !sleep(mp, u64::from(delay) * 1_000) {
            return;
        }
        let nobody = SCHED.npidle.load(Relaxed) as usize == gomaxprocs();
        // A signal may have ended the sleep just now; it does not end the next one again.
        let awake = schedtrace::on() || sigquit::asked();
        if nobody && !awake && deep_sleep(mp) {
            (idle, delay) = (0, DELAY_MIN);
        }
        if sigquit::asked() {
            sigquit::dump();
        }
        let now = nanotime();
        netpoll::poll_for_sysmon(now);
        if time_sleep_until() < now && !polling() {
            // A timer is late, and nobody sleeps for it: its P is in a long slice. (While we
            // hold an idle P in there we are nobody; `startm` counts the M before that matters.)
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

/// Sleeps; returns false when the run is over. The note is the M's own, because that is the
/// one which the end of a run wakes.
fn sleep(mp: &'static M, ns: u64) -> bool {
    if mp.park.tsleep(ns) {
        // Clear first, look afterwards: whoever wakes us changed `attention` before.
        mp.park.clear();
    }
    SCHED.attention.load(Acquire) & ATTENTION_STOP == 0
}

/// Sleeps until somebody uses a P, if really none is in use; or until a timer is due, if
/// nobody sleeps for the timers. Returns whether it slept.
///
/// Both sides hold `sched.lock`: a P leaves the idle list under it, and we count the list
/// and raise the bit under it. So either we see a P in use and do not sleep, or whoever
/// takes the P finds the bit.
fn deep_sleep(mp: &'static M) -> bool {
    {
        let _sched = SCHED.lock();
        let attention = SCHED.attention.load(Relaxed);
        if SCHED.npidle.load(Relaxed) as usize != gomaxprocs() || attention & ATTENTION_STOP != 0 {
            return false;
        }
        SCHED.attention.fetch_or(ATTENTION_SYSMON, Relaxed);
    }
    // No timer can be set behind our back: who has no P and sets one starts an M (`addtimer`),
    // and so wakes us.
    let until = if polling() { NEVER } else { time_sleep_until() };
    mp.park
        .tsleep(until.saturating_sub(nanotime()).min(DEEP_SLEEP));
    // Who takes the bit down wakes us in the same section, so once we have the lock and the
    // bit is down, nobody is about to. (The end of a run may; that shows in `attention`, at
    // which the caller looks after its next sleep.)
    let _sched = SCHED.lock();
    SCHED.attention.fetch_and(!ATTENTION_SYSMON, Relaxed);
    mp.park.clear();
    true
}

/// A P is in use again: wakes sysmon if it sleeps for that. The caller holds `sched.lock`.
pub(crate) fn wake_sysmon(_sched: &mut SchedInner) {
    if SCHED.attention.load(Relaxed) & ATTENTION_SYSMON == 0 {
        return;
    }
    SCHED.attention.fetch_and(!ATTENTION_SYSMON, Relaxed);
    if let Some(mp) = SYSMON.get() {
        mp.park.wakeup();
    }
}

/// Ends sysmon's sleep. Async-signal-safe.
pub(crate) fn wake_from_signal() {
    if let Some(mp) = SYSMON.get() {
        mp.park.wakeup_from_signal();
    }
}

/// The kernel's number of sysmon's thread, 0 if there is none. Async-signal-safe.
pub(crate) fn thread() -> i32 {
    SYSMON.get().map_or(0, |mp| mp.procid.load(Relaxed))
}

/// The row `schedule_slow` of this stage: an M has a P and something is up.
pub fn schedule_slow(mp: &'static M) -> Slow {
    if SCHED.attention.load(Relaxed) & ATTENTION_SYSMON != 0 {
        wake_sysmon(&mut SCHED.lock());
    }
    (stage1_coop::STAGE.schedule_slow)(mp)
}

/// The kernel may wake a sleeper up to 50 us late, to wake several at once. Whoever wants to
/// sleep for 20 us has to say that it means it. Go does not; its 20 us are 70.
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
