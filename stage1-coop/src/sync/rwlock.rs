//! A lock for many readers or one writer, which parks the goroutine: [`RwLock`]. Mirrors
//! `sync/rwmutex.go`, and the semaphores of `sema.go` as far as it needs them.
//!
//! A reader adds 1 to `readers`. A writer, of which the mutex `writer` lets one in, subtracts
//! [`MAX`]: the count is negative from then on, so later readers wait, and the writer waits for
//! those that were there before. A writer never starves, and no reader waits for a writer that
//! came after it.
//!
//! Tests: `sync::what_parks_and_what_borrows_does_so_in_both_worlds`.

use crate::prologue;
use crate::sched::park::ready;
use crate::sync::mutex::{Mutex, MutexGuard};
use crate::sync::queue::{WaitQueue, need_goroutine};
use crate::trace::WaitReason;
use crate::word::Word;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI32, Ordering::*};

/// Readers that there may be. Go's `rwmutexMaxReaders`.
const MAX: i32 = 1 << 30;

/// Permits that were given and not taken, and the goroutines that wait for one. Go's
/// `semacquire` and `semrelease`.
struct Sema {
    /// Under the queue's lock.
    permits: Word,
    waiters: WaitQueue,
}

impl Sema {
    const fn new() -> Sema {
        Sema {
            permits: Word::new(0),
            waiters: WaitQueue::new(),
        }
    }

    fn acquire(&self, reason: WaitReason) {
        let take = || {
            let permits = self.permits.get();
            if permits > 0 {
                self.permits.set(permits - 1);
            }
            permits > 0
        };
        self.waiters.park_unless(take, reason);
    }

    fn release(&self) {
        let first = self.waiters.locked(|| {
            // SAFETY: the lock is held.
            let first = unsafe { self.waiters.pop() };
            if first.is_none() {
                self.permits.bump();
            }
            first
        });
        // The permit is handed over.
        if let Some(gp) = first {
            ready(gp, true);
        }
    }
}

/// A lock that many may hold to read, or one to write. Go's `sync.RWMutex`.
///
/// ```
/// # use stage1_coop::{Runtime, RwLock, STAGE};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let table = RwLock::new(vec![1, 2]);
/// {
///     let (one, two) = (table.read(), table.read());
///     assert_eq!(one.len(), two.len());
/// }
/// table.write().push(3);
/// assert_eq!(table.read().len(), 3);
/// # }) }
/// ```
///
/// A goroutine that holds it to read must not ask a second time: a writer may have come in
/// between, and both would wait for ever.
pub struct RwLock<T> {
    writer: Mutex<()>,
    writer_sem: Sema,
    reader_sem: Sema,
    /// Readers; less [`MAX`] while a writer holds it or waits for it.
    readers: AtomicI32,
    /// Readers that the writer still waits for. Go's `readerWait`.
    reader_wait: AtomicI32,
    value: UnsafeCell<T>,
}

// SAFETY: readers share the value, on any threads, and a writer has it alone.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}
// SAFETY: the lock owns its value.
unsafe impl<T: Send> Send for RwLock<T> {}

/// Holds an [`RwLock`] to read until it is dropped.
pub struct RwLockReadGuard<'a, T> {
    lock: &'a RwLock<T>,
}

/// Holds an [`RwLock`] to write until it is dropped.
pub struct RwLockWriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    /// Given back after the readers were let in.
    _alone: MutexGuard<'a, ()>,
}

impl<T> RwLock<T> {
    /// An open lock around `value`.
    pub const fn new(value: T) -> RwLock<T> {
        RwLock {
            writer: Mutex::new(()),
            writer_sem: Sema::new(),
            reader_sem: Sema::new(),
            readers: AtomicI32::new(0),
            reader_wait: AtomicI32::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock to read, parking the goroutine while a writer holds it or waits for it.
    /// Go's `RLock`.
    ///
    /// # Panics
    /// Off a goroutine.
    #[inline(never)]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        prologue!();
        // Before the count says that we are here.
        need_goroutine("RwLock::read");
        if self.readers.fetch_add(1, SeqCst) < 0 {
            self.reader_sem.acquire(WaitReason::SyncRWMutexRLock);
        }
        RwLockReadGuard { lock: self }
    }

    /// Takes the lock to read if no writer holds it or waits for it. Go's `TryRLock`.
    #[inline(never)]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        prologue!();
        let one_more = |n: i32| (n >= 0).then_some(n + 1);
        let taken = self.readers.fetch_update(SeqCst, SeqCst, one_more);
        taken.is_ok().then(|| RwLockReadGuard { lock: self })
    }

    /// Takes the lock to write, parking the goroutine while others hold it. Go's `Lock`.
    ///
    /// # Panics
    /// Off a goroutine.
    #[inline(never)]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        prologue!();
        need_goroutine("RwLock::write");
        let alone = self.writer.lock();
        // From here on new readers wait. Those that are there may leave before we have counted
        // them; then the sum is 0, and the last one has seen no reason to wake us.
        let there = self.readers.fetch_sub(MAX, SeqCst);
        if there != 0 && self.reader_wait.fetch_add(there, SeqCst) + there != 0 {
            self.writer_sem.acquire(WaitReason::SyncRWMutexLock);
        }
        RwLockWriteGuard {
            lock: self,
            _alone: alone,
        }
    }

    /// Takes the lock to write if it is free. Go's `TryLock`.
    #[inline(never)]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        prologue!();
        let alone = self.writer.try_lock()?;
        let free = self.readers.compare_exchange(0, -MAX, SeqCst, SeqCst);
        free.is_ok().then(|| RwLockWriteGuard {
            lock: self,
            _alone: alone,
        })
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    #[inline(never)]
    fn drop(&mut self) {
        let lock = self.lock;
        // A writer waits, and we were the last that it waits for.
        if lock.readers.fetch_sub(1, SeqCst) < 0 && lock.reader_wait.fetch_sub(1, SeqCst) == 1 {
            lock.writer_sem.release();
        }
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    #[inline(never)]
    fn drop(&mut self) {
        // Those that came while we were here go in before the next writer.
        let waiting = self.lock.readers.fetch_add(MAX, SeqCst) + MAX;
        for _ in 0..waiting {
            self.lock.reader_sem.release();
        }
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: no writer gets in while the guard counts as a reader.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock alone.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock alone, and is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}
