//! The last M that has nothing to do does not sleep for ever: it sleeps until the next timer
//! is due. Mirrors the end of `findrunnable`, `wakeNetPoller` and `netpollBreak` of
//! `proc.go` and `netpoll_epoll.go`.
//!
//! One M does this for all. Who sets an earlier timer than the one for which it sleeps wakes
//! it. (Once there is a network poller, it sleeps there, and wakes for sockets too.)
//!
//! The M sleeps on its own note, which also carries Ps to Ms on the idle list. The two must
//! not be mixed up: a wake-up that comes late would find the M idle, and without a P. So who
//! wakes the poller, and the poller when it stops being one, both hold `sched.lock`.

use crate::sysmon::wake_sysmon;
use crate::timers::{NEVER, first_of, time_sleep_until};
use stage1_coop::rt::*;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Who sleeps for the timers. Set by exchange, cleared under `sched.lock`. Somebody is there
/// in the same cases in which Go's `sched.lastpoll` is 0.
static POLLER: Link<M> = Link::none();
/// Until when it sleeps; 0 when it has not decided yet. Go's `sched.pollUntil`.
static POLL_UNTIL: AtomicU64 = AtomicU64::new(0);

/// A new run begins.
pub(crate) fn init() {
    POLLER.set(None);
    POLL_UNTIL.store(0, Relaxed);
}

/// Whether somebody sleeps for the timers.
pub(crate) fn polling() -> bool {
    POLLER.load(Acquire).is_some()
}

// ANCHOR: before_stopm
/// The row `before_stopm` of this stage: an M found nothing and has given its P up.
pub fn before_stopm(mp: &'static M) -> Slow {
    let until = time_sleep_until();
    if until == NEVER {
        return Slow::Continue;
    }
    if !POLLER.cas(None, Some(mp), SeqCst) {
        // Somebody sleeps already. Perhaps for too long, if the timer is newer.
        wake_net_poller(until);
        return Slow::Continue;
    }
    // From here on, who sets an earlier timer wakes us; so ask again.
    let until = time_sleep_until();
    POLL_UNTIL.store(until, SeqCst);
    let now = nanotime();
    if until > now && until != NEVER {
        mp.park.tsleep(until - now);
    }
    let mut sched = SCHED.lock();
    POLL_UNTIL.store(0, SeqCst);
    POLLER.store(None, Release);
    mp.park.clear();
    if SCHED.attention.load(Acquire) & ATTENTION_STOP != 0 {
        return Slow::Stop;
    }
    match pidleget(&mut sched) {
        // All Ps are in use again: each will ask for its timers, and the next one that has
        // nothing to do sleeps for them.
        None => Slow::Continue,
        Some(pp) => {
            wake_sysmon(&mut sched);
            drop(sched);
            acquirep(mp, pp);
            Slow::Again
        }
    }
}
// ANCHOR_END: before_stopm

/// Wakes the M that sleeps for the timers, if it would sleep beyond `when`. Go's
/// `wakeNetPoller`.
pub fn wake_net_poller(when: u64) {
    if sleeps_beyond(when) {
        net_poll_break(&mut SCHED.lock());
    }
}

fn sleeps_beyond(when: u64) -> bool {
    let until = POLL_UNTIL.load(SeqCst);
    polling() && (until == 0 || until > when)
}

/// Wakes it. The caller holds `sched.lock`. Go's `netpollBreak`.
fn net_poll_break(_sched: &mut SchedInner) {
    if let Some(mp) = POLLER.load(Acquire) {
        mp.park.wakeup();
    }
}

/// `pp` is about to become idle: whoever sleeps for the timers must sleep for its, too. The
/// caller holds `sched.lock`.
pub(crate) fn mind_timers_of(pp: &'static P, sched: &mut SchedInner) {
    let when = first_of(pp);
    if when != NEVER && sleeps_beyond(when) {
        net_poll_break(sched);
    }
}
