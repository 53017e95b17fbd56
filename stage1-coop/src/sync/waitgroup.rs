//! Waiting for a number of goroutines: [`WaitGroup`]. Mirrors `sync.WaitGroup`; the chapter is
//! *Blocking, and the one unsafe word*.
//!
//! Tests: `sync`.

use crate::prologue;
use crate::sync::queue::{WaitQueue, need_goroutine, wake_all};
use crate::trace::WaitReason;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Waits for a number of goroutines to be done. Clones are the same group. Go's
/// `sync.WaitGroup`.
///
/// `done` may be called on any thread. A group may be used again once every `wait` has
/// returned, as in Go.
#[derive(Clone)]
pub struct WaitGroup {
    shared: Arc<Group>,
}

struct Group {
    count: AtomicUsize,
    waiters: WaitQueue,
}

impl WaitGroup {
    /// An empty group.
    pub fn new() -> WaitGroup {
        WaitGroup {
            shared: Arc::new(Group {
                count: AtomicUsize::new(0),
                waiters: WaitQueue::new(),
            }),
        }
    }

    /// Counts `n` more that are not done yet: before they start.
    pub fn add(&self, n: usize) {
        prologue!();
        self.shared.count.fetch_add(n, Relaxed);
    }

    /// One of them is done. The last one wakes those that wait.
    ///
    /// # Panics
    /// If more are done than were added: Go's `sync: negative WaitGroup counter`.
    #[inline(never)]
    #[track_caller]
    pub fn done(&self) {
        prologue!();
        let Group { count, waiters } = &*self.shared;
        let mut c = count.load(Relaxed);
        while c > 1 {
            match count.compare_exchange_weak(c, c - 1, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => c = now,
            }
        }
        // Perhaps the last one. The count reaches 0 and the waiters leave the queue in one
        // step for those that wait under the lock: what begins a new round has seen the 0, and
        // does not get into this one's list.
        waiters.lock.raw_lock();
        let before = count.load(Relaxed);
        if before == 0 {
            waiters.lock.raw_unlock();
            panic!("sync: negative WaitGroup counter");
        }
        let mut head = None;
        if count.fetch_sub(1, AcqRel) == 1 {
            // SAFETY: the lock is held.
            head = unsafe { waiters.take_all() };
        }
        waiters.lock.raw_unlock();
        wake_all(head);
    }

    /// Parks the goroutine until all are done.
    ///
    /// # Panics
    /// Off a goroutine, if it would have to wait.
    #[inline(never)]
    pub fn wait(&self) {
        prologue!();
        if self.shared.count.load(Acquire) == 0 {
            return;
        }
        need_goroutine("WaitGroup::wait");
        self.shared.waiters.park_unless(
            || self.shared.count.load(Acquire) == 0,
            WaitReason::SyncWaitGroupWait,
        );
    }
}

impl Default for WaitGroup {
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}
