//! A lock of the runtime itself: one word that the kernel can sleep on. It protects a few
//! instructions of the scheduler; an M that waits for it keeps its thread. Mirrors
//! `lock_futex.go`.
//!
//! Tests: `preemption::a_request_that_was_refused_under_a_lock_is_up_again_after_it`.

use super::futex::{futex_wait, futex_wake};
use crate::arch::{locks_dec, locks_inc};
use safepoint_lockstep as lab;
use std::sync::atomic::{AtomicU32, Ordering::*};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const SLEEPING: u32 = 2;

/// Turns that a waiter spins before it sleeps: the sections under these locks are short.
const ACTIVE_SPIN: u32 = 4;

/// A mutual-exclusion lock for the runtime itself. Go's `mutex`.
pub struct Lock {
    /// UNLOCKED, LOCKED, or LOCKED with perhaps a sleeper.
    key: AtomicU32,
}

impl Lock {
    /// An open lock.
    pub const fn new() -> Lock {
        Lock {
            key: AtomicU32::new(UNLOCKED),
        }
    }

    /// Takes the lock, unless it is held for longer than `ms` milliseconds: for a dying
    /// process, where its owner may stand still.
    #[cold]
    pub(crate) fn raw_lock_within(&self, ms: u32) -> bool {
        for _ in 0..ms {
            if self
                .key
                .compare_exchange(UNLOCKED, LOCKED, Acquire, Relaxed)
                .is_ok()
            {
                locks_inc();
                if lab::enabled() {
                    lab::hold_events();
                }
                return true;
            }
            // Of the machine's time, in lockstep too.
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        false
    }

    /// Takes the lock, for a caller that releases it elsewhere. Go's `lock`.
    #[inline]
    pub fn raw_lock(&self) {
        locks_inc();
        if self
            .key
            .compare_exchange(UNLOCKED, LOCKED, Acquire, Relaxed)
            .is_err()
        {
            self.lock_slow();
        }
        if lab::enabled() {
            lab::hold_events();
        }
    }

    #[cold]
    fn lock_slow(&self) {
        if lab::enabled() {
            // Only the holder of the baton runs, and it does not hand on under a lock: so
            // this is a thread outside lockstep, and it will be done soon.
            while self
                .key
                .compare_exchange(UNLOCKED, LOCKED, Acquire, Relaxed)
                .is_err()
            {
                std::thread::yield_now();
            }
            return;
        }
        // Having slept once, we must assume that others sleep too: leave SLEEPING behind.
        let mut wait = LOCKED;
        loop {
            for _ in 0..ACTIVE_SPIN {
                if self.key.load(Relaxed) == UNLOCKED
                    && self
                        .key
                        .compare_exchange(UNLOCKED, wait, Acquire, Relaxed)
                        .is_ok()
                {
                    return;
                }
                super::procyield(30);
            }
            if self.key.swap(SLEEPING, Acquire) == UNLOCKED {
                return;
            }
            wait = SLEEPING;
            futex_wait(&self.key, SLEEPING, None);
        }
    }

    /// Gives the lock back: one of this crate's own, with no look for requests (see
    /// [`Lock::unlock`]). No function with a check is called under these, so no request can have been refused there, and the release need not
    /// look for one. Each caller has taken the lock, or is the `unlockf` of the one
    /// that has.
    #[inline]
    pub(crate) fn raw_unlock(&self) {
        if lab::enabled() {
            lab::release_events();
        }
        if self.key.swap(UNLOCKED, Release) == SLEEPING {
            futex_wake(&self.key, 1);
        }
        locks_dec();
    }
}

impl Default for Lock {
    fn default() -> Lock {
        Lock::new()
    }
}
