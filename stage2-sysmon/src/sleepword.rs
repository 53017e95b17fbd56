//! The M that sleeps in the network poller, seen from outside: whether there is one, and until
//! when it sleeps at most. Go's `sched.lastpoll` and `sched.pollUntil`; `poller.rs` and
//! `netpoll.rs` are the users.
//!
//! # Protocol
//!
//! Participants: the *sleeper*, the last M that found nothing to do; a thread that *sets* a
//! timer; a thread that *takes away* a timer or a goroutine that waits for a descriptor.
//!
//! The sleeper (`before_stopm`):
//!
//! 1. says that it sleeps ([`lie_down`](Sleeper::lie_down): of several Ms one succeeds);
//! 2. full barrier;
//! 3. *then* looks when the earliest timer is due, and whether anything waits at all. If
//!    nothing does, it gets up again ([`get_up`](Sleeper::get_up));
//! 4. writes down until when it sleeps ([`until`](Sleeper::until)), and sleeps.
//!
//! A thread that sets a timer (`wake_net_poller`):
//!
//! 1. writes when it is due;
//! 2. full barrier;
//! 3. *then* looks whether an M sleeps beyond that ([`oversleeps`](Sleeper::oversleeps)). An M
//!    that has not decided yet counts as one that does. If so, it breaks the sleep.
//!
//! A thread that takes something away (`one_reason_less`) does the same, and breaks the sleep
//! if an M sleeps and nothing is left to sleep for ([`sleeps_in_vain`](Sleeper::sleeps_in_vain)).
//!
//! Each side writes one word and then reads the other's, with a sequentially consistent fence
//! in between, as in the dance of stage 1's `searchers.rs`: at least one side sees the other.
//!
//! Model: `tests/loom/src/poller.rs` runs this file, and shows what the barrier and the second
//! look are for. Tests: `the_end_of_a_run_wakes_the_poller`,
//! `nobody_wakes_too_early_and_nobody_is_forgotten`.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, fence};
use std::sync::atomic::Ordering::*;
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, fence};

/// The two words. See the module.
pub struct Sleeper {
    /// When a thread polled last, from 1; 0 while an M sleeps in the poller. Go's `lastpoll`.
    lastpoll: AtomicU64,
    /// Until when the M in the poller sleeps at most; 0 when it has not decided yet. Go's
    /// `pollUntil`.
    poll_until: AtomicU64,
}

impl Sleeper {
    /// No M sleeps, and the last poll was long ago.
    #[cfg(not(loom))]
    pub const fn new() -> Sleeper {
        Sleeper {
            lastpoll: AtomicU64::new(1),
            poll_until: AtomicU64::new(0),
        }
    }

    /// The same, of the model checker's words, which cannot be constants.
    #[cfg(loom)]
    pub fn new() -> Sleeper {
        Sleeper {
            lastpoll: AtomicU64::new(1),
            poll_until: AtomicU64::new(0),
        }
    }

    /// A new run begins: no M sleeps, and the last poll was long ago.
    pub fn reset(&self) {
        self.lastpoll.store(1, SeqCst);
    }

    /// Whether an M sleeps in the poller.
    pub fn is_there(&self) -> bool {
        self.lastpoll.load(SeqCst) == 0
    }

    // ANCHOR: lie_down
    /// The sleeper's steps 1 and 2. False: another M sleeps there already.
    #[must_use = "another M may sleep there already"]
    pub fn lie_down(&self) -> bool {
        if self.lastpoll.swap(0, SeqCst) == 0 {
            return false;
        }
        // Pairs with the barriers in `oversleeps` and `sleeps_in_vain`.
        fence(SeqCst);
        true
    }

    /// The sleeper's step 4, after it has looked at the timers.
    pub fn until(&self, when: u64) {
        self.poll_until.store(when, SeqCst);
    }

    /// The sleeper sleeps no more; it polled at `now`.
    pub fn get_up(&self, now: u64) {
        self.poll_until.store(0, SeqCst);
        self.lastpoll.store(now.max(1), SeqCst);
    }
    // ANCHOR_END: lie_down

    // ANCHOR: oversleeps
    /// Whether an M sleeps, or is about to, beyond `when`. The caller has written down that a
    /// timer is due then.
    #[must_use = "its sleep must be broken"]
    pub fn oversleeps(&self, when: u64) -> bool {
        fence(SeqCst);
        let until = self.poll_until.load(SeqCst);
        self.is_there() && (until == 0 || until > when)
    }

    /// Whether an M sleeps, or is about to, and there is nothing to sleep for. The caller has
    /// taken something away.
    #[must_use = "its sleep must be broken"]
    pub fn sleeps_in_vain(&self, anything_left: impl FnOnce() -> bool) -> bool {
        fence(SeqCst);
        self.is_there() && !anything_left()
    }
    // ANCHOR_END: oversleeps

    /// If no M sleeps there, and the last poll was more than `after` ago: the caller polls, at
    /// `now`. Of several callers one gets true.
    #[must_use = "the poll was counted: do it"]
    pub fn poll_instead(&self, now: u64, after: u64) -> bool {
        let last = self.lastpoll.load(Relaxed);
        last != 0
            && last + after < now
            && self
                .lastpoll
                .compare_exchange(last, now, SeqCst, Relaxed)
                .is_ok()
    }
}

impl Default for Sleeper {
    fn default() -> Sleeper {
        Sleeper::new()
    }
}
