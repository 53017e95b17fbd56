//! A lock that parks the goroutine and not the thread: [`Mutex`]. Mirrors `sync.Mutex`; the
//! chapter is *Blocking, and the one unsafe word*.
//!
//! Tests: `sync`.

use crate::prologue;
use crate::sched::park::ready;
use crate::sync::queue::{WaitQueue, need_goroutine};
use crate::trace::WaitReason;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering::*};

/// A mutual-exclusion lock that parks the goroutine, not the thread. Go's `sync.Mutex`.
///
/// Its guard may be kept across yields, and the goroutine may come back on another thread:
/// that is what it is for. It is not poisoned by a panic, because a panic ends the process.
///
/// The lock is handed over: `unlock` makes the first waiter the owner.
/// So no goroutine starves, at the price of a switch per section under contention. Go does this
/// only when a goroutine has waited for a millisecond.
pub struct Mutex<T> {
    /// 0 open, 1 held, 2 held with a waiter.
    state: AtomicU32,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached with the lock held, by one goroutine at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: a mutex owns its value.
unsafe impl<T: Send> Send for Mutex<T> {}

/// Holds a [`Mutex`] until it is dropped.
pub struct MutexGuard<'a, T> {
    pub(crate) mutex: &'a Mutex<T>,
}

// SAFETY: it may be used and dropped on any thread: the mutex knows no threads.
unsafe impl<T: Send> Send for MutexGuard<'_, T> {}
// SAFETY: a shared guard gives only `&T`.
unsafe impl<T: Send + Sync> Sync for MutexGuard<'_, T> {}

impl<T> Mutex<T> {
    /// An open mutex around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            state: AtomicU32::new(0),
            waiters: WaitQueue::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, parking the goroutine while another holds it.
    ///
    /// # Panics
    /// Off a goroutine, if it would have to wait.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        prologue!();
        if self.state.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            self.lock_slow();
        }
        MutexGuard { mutex: self }
    }

    /// Takes the lock if it is open.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        prologue!();
        self.state
            .compare_exchange(0, 1, Acquire, Relaxed)
            .is_ok()
            // Not `then_some`: a guard that is built and thrown away would unlock.
            .then(|| MutexGuard { mutex: self })
    }

    #[cold]
    #[inline(never)]
    fn lock_slow(&self) {
        need_goroutine("Mutex::lock");
        // A goroutine that finds it open takes it; one that parks is handed it.
        self.waiters.park_unless(
            || self.state.swap(2, Acquire) == 0,
            WaitReason::SyncMutexLock,
        );
    }

    #[cold]
    #[inline(never)]
    fn unlock_slow(&self) {
        self.waiters.lock.raw_lock();
        // SAFETY: the lock is held.
        let next = unsafe { self.waiters.pop() };
        match next {
            // It stays held, by `gp` now.
            Some(_) => {}
            None => self.state.store(0, Release),
        }
        self.waiters.lock.raw_unlock();
        if let Some(gp) = next {
            ready(gp, true);
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self
            .mutex
            .state
            .compare_exchange(1, 0, Release, Relaxed)
            .is_err()
        {
            self.mutex.unlock_slow();
        }
    }
}
