//! The last M that has nothing to do does not sleep for ever: it sleeps in the network poller,
//! until a descriptor is ready or the next timer is due. Mirrors the end of `findrunnable`,
//! and `wakeNetPoller`, of `proc.go`.
//!
//! One M does this for all. Whoever sets an earlier timer than the one for which it sleeps
//! wakes it, and so does the end of the run, and whoever takes the last reason to sleep there
//! away.

use crate::netpoll::{LASTPOLL, any_waiters, net_poll_break, netpoll, polling};
use crate::sysmon::wake_sysmon;
use crate::timers::{NEVER, checktimers, first_of, time_sleep_until};
use stage1_coop::rt::gmp::{ATTENTION_STOP, M, P, SCHED, allp};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::{Slow, acquirep, pidleget};
use std::sync::atomic::{AtomicU64, Ordering::*, fence};

/// Until when the M in the poller sleeps at most; 0 when it has not decided yet. Go's
/// `sched.pollUntil`.
static POLL_UNTIL: AtomicU64 = AtomicU64::new(0);

// ANCHOR: before_stopm
/// The row `before_stopm` of this stage: an M found nothing and has given its P up.
pub fn before_stopm(mp: &'static M) -> Slow {
    let until = time_sleep_until();
    if until == NEVER && !any_waiters() {
        return Slow::Continue;
    }
    if LASTPOLL.swap(0, SeqCst) == 0 {
        // Somebody sleeps there already. Perhaps for too long, if the timer is newer.
        if until != NEVER {
            wake_net_poller(until);
        }
        return Slow::Continue;
    }
    // From here on, who sets an earlier timer wakes us; so ask again. One side says that it
    // sleeps and then looks at the timers, the other sets a timer and then looks whether
    // somebody sleeps. Both with a full barrier in between: one of them sees the other.
    fence(SeqCst);
    let until = time_sleep_until();
    if until == NEVER && !any_waiters() {
        // What there was to wait for is gone: see `one_reason_less`.
        LASTPOLL.store(nanotime().max(1), SeqCst);
        return Slow::Continue;
    }
    POLL_UNTIL.store(until, SeqCst);
    let now = nanotime();
    let wait = (until != NEVER).then(|| until.saturating_sub(now));
    let found = netpoll(wait, "sleeper");
    POLL_UNTIL.store(0, SeqCst);
    LASTPOLL.store(nanotime().max(1), SeqCst);

    let mut sched = SCHED.lock();
    if SCHED.attention.load(Acquire) & ATTENTION_STOP != 0 {
        return Slow::Stop;
    }
    match pidleget(&mut sched) {
        // All Ps are in use again: each will ask for its timers, and the next one that has
        // nothing to do sleeps here.
        None => {
            drop(sched);
            found.inject();
            Slow::Continue
        }
        Some(pp) => {
            wake_sysmon(&mut sched);
            drop(sched);
            // SAFETY: this thread is mp; the P came from the idle list.
            unsafe { acquirep(mp, pp) };
            match found.first_and_inject() {
                Some(gp) => Slow::Run(gp),
                None => {
                    // What we slept for. Whose timers they are may have an M that was woken and
                    // has no CPU yet; then nobody else runs them, and if that M counts as
                    // searching, we do not search. Without this we would come back here at
                    // once, again and again, and keep it off the CPU.
                    allp().iter().for_each(|pp| {
                        checktimers(pp);
                    });
                    Slow::Again
                }
            }
        }
    }
}
// ANCHOR_END: before_stopm

/// Wakes the M that sleeps in the poller, if it would sleep beyond `when`. Go's
/// `wakeNetPoller`.
pub fn wake_net_poller(when: u64) {
    fence(SeqCst);
    let until = POLL_UNTIL.load(SeqCst);
    if polling() && (until == 0 || until > when) {
        net_poll_break();
    }
}

/// A timer was taken away, or a goroutine does not wait for its descriptor any more. If that was
/// the last one, the M in the poller would sleep for nothing, and nobody could tell that all
/// are asleep: it counts as awake, since what it waits for may come. So it gets up and looks
/// for itself. Go lets it sleep.
pub(crate) fn one_reason_less() {
    fence(SeqCst);
    if polling() && !any_waiters() && time_sleep_until() == NEVER {
        net_poll_break();
    }
}

/// `pp` is about to become idle: whoever sleeps in the poller must sleep for its timers, too.
pub(crate) fn mind_timers_of(pp: &'static P) {
    let when = first_of(pp);
    if when != NEVER {
        wake_net_poller(when);
    }
}
