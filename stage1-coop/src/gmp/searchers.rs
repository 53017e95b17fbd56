//! How many Ms search for work, and the delicate dance between making work and going to
//! sleep. Go's `sched.nmspinning`, with what `wakep` and the end of `findrunnable` do around
//! it; the chapter is *P, queues, stealing*.
//!
//! The rule for waking: an M that makes a goroutine runnable wakes *one* more M, if a P is
//! idle and no M searches already. The last searcher that finds work wakes the next
//! (`resetspinning`). So a burst of work spreads over all Ps, and a single goroutine wakes
//! one thread and not all.
//!
//! # Protocol
//!
//! Participants: the *submitter*, which makes a goroutine runnable; the *looker*, an M that
//! found nothing and is about to sleep. If both act at the same moment, the goroutine must
//! not be left in a queue with an idle P beside it.
//!
//! The submitter ([`needed`](Searchers::needed), called by `wakep`):
//!
//! 1. puts the goroutine into a queue;
//! 2. full barrier;
//! 3. reads `npidle` and the count of searchers: is a P idle, and does no M search?
//! 4. If so, it counts a searcher, from 0 to 1 (of several submitters one succeeds), and
//!    starts an M for it.
//!
//! The looker ([`last_look`](Searchers::last_look), called at the end of `findrunnable`):
//!
//! 1. puts its P on the idle list (`npidle` goes up);
//! 2. leaves the count of searchers, if it was in it;
//! 3. full barrier;
//! 4. reads all queues once more. If one holds a goroutine, it takes a P and searches again.
//!
//! Each side writes one word and then reads the other's. Both barriers are sequentially
//! consistent fences: at least one side sees what the other wrote. With anything weaker, on
//! either side, both may read the old value: a store may wait in its processor's store buffer
//! until after the load.
//!
//! *Every* M that puts its P on the idle list looks once more, as in Go 1.15, even one that
//! never counted (when half of the busy Ps have a searcher, one more does not search). A
//! submitter that saw no idle P woke no M, and this P has become idle since. Go 1.19 to 1.20
//! let only searchers look, and lost goroutines that way until `needspinning` came in 1.21.
//! `handoffp` puts a P on that list too, and so ends with the same look
//! (`wake_for_queued_work`), which Go's does not have.
//!
//! The counts of Ms that sleep are under `sched.lock` and have no part in this.
//!
//! Model: `tests/loom/src/wake.rs` runs this file, and shows what each barrier and each look is
//! for. Tests: `waking::an_m_that_did_not_search_looks_at_all_queues_before_it_sleeps`,
//! `waking::a_burst_of_n_goroutines_reaches_n_ps`,
//! `waking::at_most_half_of_the_busy_ps_have_somebody_who_looks_for_work`.

use crate::word::{AtomicU32, fence};
use std::sync::atomic::Ordering::*;

/// The count of Ms that search. See the module.
#[repr(transparent)]
pub struct Searchers(AtomicU32);

impl Searchers {
    /// No M searches.
    #[cfg(not(loom))]
    pub const fn new() -> Searchers {
        Searchers(AtomicU32::new(0))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> Searchers {
        Searchers(AtomicU32::new(0))
    }

    /// How many there are: a glance (relaxed), good for deciding whether one more is worth it.
    #[inline]
    pub fn count(&self) -> u32 {
        self.0.load(Relaxed)
    }

    // ANCHOR: needed
    /// The submitter's steps 2 to 4. Its goroutine is queued. True: no M would find it; the
    /// caller starts one, which is counted already.
    #[inline]
    #[must_use = "a searcher was counted: start its M"]
    pub fn needed(&self, p_is_idle: impl FnOnce() -> bool) -> bool {
        // Pairs with the barrier in `last_look`.
        fence(SeqCst);
        p_is_idle() && self.join_if_none()
    }

    /// Counts a searcher if there is none. Of several callers one gets true.
    #[inline]
    #[must_use = "a searcher was counted: start its M"]
    pub fn join_if_none(&self) -> bool {
        self.count() == 0 && self.0.compare_exchange(0, 1, SeqCst, Relaxed).is_ok()
    }
    // ANCHOR_END: needed

    /// Counts a searcher, however many there are.
    #[inline]
    pub fn join(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    /// One searcher less: it has found work, or there is no P for it.
    ///
    /// # Panics
    /// If there is none, which ends the process: it is called on `g0`, or under `sched.lock`.
    #[inline]
    pub fn leave(&self) {
        let before = self.0.fetch_sub(1, SeqCst);
        assert!(before != 0, "negative nmspinning");
    }

    // ANCHOR: last_look
    /// The looker's steps 2 to 4. Its P is on the idle list; `counted` says whether it was a
    /// searcher. Returns what it saw in the queues.
    #[inline]
    #[must_use = "work was seen, and perhaps by no other M"]
    pub fn last_look(&self, counted: bool, work_is_queued: impl FnOnce() -> bool) -> bool {
        if counted {
            self.leave();
        }
        // Pairs with the barrier in `needed`.
        fence(SeqCst);
        work_is_queued()
    }
    // ANCHOR_END: last_look

    /// A new run begins: no M searches.
    pub fn reset(&self) {
        self.0.store(0, SeqCst);
    }
}

impl Default for Searchers {
    fn default() -> Searchers {
        Searchers::new()
    }
}
