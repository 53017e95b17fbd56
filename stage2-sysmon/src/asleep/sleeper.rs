//! The sleeper: the last M that finds no work sleeps in the network poller, for all, until a
//! descriptor is ready or the next timer is due. Mirrors `sched.lastpoll`, `sched.pollUntil`
//! and `netpollWaiters` of `proc.go` and `netpoll.go`.
//!
//! # Protocol
//!
//! Two words, `lastpoll` and `until`, and the reasons to sleep: each P's earliest timer
//! (`timers/mod.rs`) and the count `waiters`.
//!
//! The M that wants to sleep (`before_stopm` in `netpoll/last_m.rs`):
//!
//! 1. looks whether there is a reason to sleep at all;
//! 2. stores 0 into `lastpoll` ([`lie_down`](Sleeper::lie_down)). If it was 0 before, another
//!    M is the sleeper;
//! 3. full barrier;
//! 4. looks at the timers and at `waiters` again: if no reason is left, it gets up;
//! 5. stores the time of the earliest timer into `until`, and sleeps in `epoll` until then;
//! 6. stores 0 into `until`, and the time into `lastpoll` ([`get_up`](Sleeper::get_up)).
//!
//! A goroutine that sets a timer (`announce` in `timers/mod.rs`):
//!
//! 1. stores the time where the sleeper looks in step 4;
//! 2. full barrier;
//! 3. wakes the sleeper if there is one and `until` is later than the timer, or 0: not decided
//!    yet ([`oversleeps`](Sleeper::oversleeps)).
//!
//! Taking the last reason away (`one_reason_less` in `timers/mod.rs`) is the same with an
//! opposite aim: take it away, barrier, wake the sleeper if nothing is left to sleep for. It
//! counts as awake, since what it waits for may come; if it slept on, a deadlock would never
//! be reported. (Go lets it sleep.)
//!
//! Of two full barriers one comes first. So either the sleeper's second look sees the change,
//! or the other side sees that there is a sleeper. What wakes it is an eventfd
//! (`eventfd.rs`): a wake-up that comes before the sleep ends the sleep at once.
//!
//! Loom: `tests/loom/src/poller.rs`, on this file, with the counterexample for each barrier and
//! for the second look. Tests: `timers::sleep::nobody_wakes_too_early_and_nobody_is_forgotten`,
//! `handoff::the_last_p_in_use_gets_an_m_if_nobody_sleeps_for_the_timers`,
//! `sysmon::deadlock::nothing_that_was_called_off_hides_a_deadlock`.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, AtomicU64, fence};

/// Nanoseconds after which sysmon polls, if no M has polled since.
const SYSMON_POLLS_AFTER: u64 = 10_000_000;

/// See the module.
pub struct Sleeper {
    /// When an M polled last; 0 while one sleeps in the poller. Go's `sched.lastpoll`.
    lastpoll: AtomicU64,
    /// Until when it sleeps at most; 0 when it has not decided yet. Go's `sched.pollUntil`.
    until: AtomicU64,
    /// Goroutines that wait for descriptors. Go's `netpollWaiters`.
    waiters: AtomicU32,
}

#[cfg(not(loom))]
pub(crate) static SLEEPER: Sleeper = Sleeper {
    lastpoll: AtomicU64::new(1),
    until: AtomicU64::new(0),
    waiters: AtomicU32::new(0),
};

impl Sleeper {
    /// Without a sleeper, and without goroutines that wait.
    #[cfg(loom)]
    pub fn new() -> Sleeper {
        Sleeper {
            lastpoll: AtomicU64::new(1),
            until: AtomicU64::new(0),
            waiters: AtomicU32::new(0),
        }
    }

    /// A new run begins: goroutines that waited in an earlier one do not count.
    pub fn reset(&self) {
        self.waiters.store(0, SeqCst);
        // Long ago.
        self.lastpoll.store(1, SeqCst);
    }

    /// Whether an M sleeps in the poller.
    pub fn polling(&self) -> bool {
        self.lastpoll.load(SeqCst) == 0
    }

    /// Steps 2 and 3: the caller is the sleeper now; false if there is one already. After true
    /// it must look again whether there is a reason to sleep.
    #[must_use]
    pub fn lie_down(&self) -> bool {
        let first = self.lastpoll.swap(0, SeqCst) != 0;
        if first {
            fence(SeqCst);
        }
        first
    }

    /// Step 5: the sleeper says until when it sleeps.
    pub fn sleeps_until(&self, when: u64) {
        self.until.store(when, SeqCst);
    }

    /// Step 6: there is no sleeper any more.
    pub fn get_up(&self, now: u64) {
        self.until.store(0, SeqCst);
        self.lastpoll.store(now.max(1), SeqCst);
    }

    /// Steps 2 and 3 of the other side, which has written that something is due at `when`:
    /// whether there is a sleeper that would sleep beyond that.
    #[must_use]
    pub fn oversleeps(&self, when: u64) -> bool {
        fence(SeqCst);
        self.oversleeps_after_the_barrier(when)
    }

    /// Without it, for the counterexample of the model.
    pub fn oversleeps_after_the_barrier(&self, when: u64) -> bool {
        let until = self.until.load(SeqCst);
        self.polling() && (until == 0 || until > when)
    }

    /// The caller has taken a reason to sleep away: whether there is a sleeper, for which no
    /// goroutine that waits is a reason.
    #[must_use]
    pub fn sleeps_for_timers_at_most(&self) -> bool {
        fence(SeqCst);
        self.polling() && !self.any_waiters()
    }

    /// Sysmon's question: has no M polled for 10 ms, and does a goroutine wait? Then all Ps are
    /// busy with goroutines that come to no end. Only one caller at a time gets true.
    #[must_use]
    pub fn poll_is_overdue(&self, now: u64) -> bool {
        let last = self.lastpoll.load(Relaxed);
        if last == 0 || last + SYSMON_POLLS_AFTER >= now || !self.any_waiters() {
            return false;
        }
        self.lastpoll
            .compare_exchange(last, now, SeqCst, Relaxed)
            .is_ok()
    }

    /// Whether goroutines wait for descriptors.
    pub fn any_waiters(&self) -> bool {
        self.waiters.load(Relaxed) != 0
    }

    /// Counts a goroutine that waits, before any waker can find it.
    pub fn one_more_waits(&self) {
        self.waiters.fetch_add(1, SeqCst);
    }

    /// `n` goroutines wait no longer: they are runnable.
    pub fn wait_no_more(&self, n: usize) {
        self.waiters.fetch_sub(n as u32, SeqCst);
    }
}
