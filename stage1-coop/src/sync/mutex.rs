//! Waiting for others without keeping a thread: [`Mutex`] and [`WaitGroup`], which park the
//! goroutine; `sync/rwlock.rs` and `sync/cond.rs` stand on the same queue. Mirrors `sync.Mutex` and `sync.WaitGroup` on `sema.go`; the chapter is
//! *Blocking, and the one unsafe word*.
//!
//! The rule of every blocking place is the same: under a lock, look whether one must wait;
//! if so, write oneself down where the waker will look; park; and let the lock go only
//! *after* the goroutine counts as waiting. Otherwise the waker could come in between and
//! find nobody to wake, or somebody who does not sleep yet.

use crate::arch::{getg, on_goroutine};
use crate::gmp::G;
use crate::os::Lock;
use crate::prologue;
use crate::sched::park::{gopark, ready};
use crate::trace::WaitReason;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

/// A lock and the goroutines that wait behind it, first come first served. They are linked
/// through the Gs: a parked goroutine stands in no other list.
pub(crate) struct WaitQueue {
    lock: Lock,
    inner: UnsafeCell<Waiters>,
}

#[derive(Default)]
struct Waiters {
    head: Option<&'static G>,
    tail: Option<&'static G>,
}

// SAFETY: `inner` is only reached with the lock held.
unsafe impl Sync for WaitQueue {}
// SAFETY: it holds links to Gs, which belong to no thread.
unsafe impl Send for WaitQueue {}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue {
            lock: Lock::new(),
            inner: UnsafeCell::new(Waiters {
                head: None,
                tail: None,
            }),
        }
    }

    /// Parks the caller unless `go_on` says, under the lock, that it need not.
    pub(crate) fn park_unless(&self, go_on: impl FnOnce() -> bool, reason: WaitReason) {
        self.lock.raw_lock();
        if go_on() {
            self.lock.raw_unlock();
            return;
        }
        let gp = getg();
        gp.schedlink.set(None);
        // SAFETY: the lock is held.
        let waiters = unsafe { &mut *self.inner.get() };
        match waiters.tail.replace(gp) {
            Some(tail) => tail.schedlink.set(Some(gp)),
            None => waiters.head = Some(gp),
        }
        let lock = std::ptr::from_ref(&self.lock).cast_mut().cast::<()>();
        // SAFETY: on a goroutine (the callers check); the lock outlives the wait, because
        // the caller borrows it and comes back.
        unsafe { gopark(Some(unlock), lock, reason) };
    }

    /// Does `f` with the lock held.
    pub(crate) fn locked<R>(&self, f: impl FnOnce() -> R) -> R {
        self.lock.raw_lock();
        let result = f();
        self.lock.raw_unlock();
        result
    }

    /// Takes the first waiter, with the lock held.
    ///
    /// # Safety
    /// The caller holds `self.lock`.
    pub(crate) unsafe fn pop(&self) -> Option<&'static G> {
        // SAFETY: the caller holds the lock.
        let waiters = unsafe { &mut *self.inner.get() };
        let gp = waiters.head?;
        waiters.head = gp.schedlink.get();
        if waiters.head.is_none() {
            waiters.tail = None;
        }
        gp.schedlink.set(None);
        Some(gp)
    }
}

impl WaitQueue {
    /// Takes all waiters, linked through their Gs, with the lock held.
    ///
    /// # Safety
    /// The caller holds `self.lock`.
    pub(crate) unsafe fn take_all(&self) -> Option<&'static G> {
        // SAFETY: the caller holds the lock.
        let waiters = unsafe { &mut *self.inner.get() };
        waiters.tail = None;
        waiters.head.take()
    }

    /// Takes the first waiter that `is_it`, with the lock held.
    ///
    /// # Safety
    /// The caller holds `self.lock`.
    pub(crate) unsafe fn take(&self, is_it: impl Fn(&G) -> bool) -> Option<&'static G> {
        // SAFETY: the caller holds the lock.
        let waiters = unsafe { &mut *self.inner.get() };
        let mut before = None::<&'static G>;
        let mut gp = waiters.head?;
        while !is_it(gp) {
            before = Some(gp);
            gp = gp.schedlink.get()?;
        }
        let next = gp.schedlink.get();
        match before {
            Some(before) => before.schedlink.set(next),
            None => waiters.head = next,
        }
        if next.is_none() {
            waiters.tail = before;
        }
        gp.schedlink.set(None);
        Some(gp)
    }
}

/// Wakes the goroutines of a list that [`WaitQueue::take_all`] gave.
pub(crate) fn wake_all(mut head: Option<&'static G>) {
    while let Some(gp) = head {
        head = gp.schedlink.get();
        gp.schedlink.set(None);
        ready(gp, true);
    }
}

/// Lets go of a lock once the goroutine counts as waiting.
fn unlock(_gp: &'static G, lock: *mut ()) -> bool {
    // SAFETY: `park_unless` passes its own lock, which it holds.
    unsafe { (*lock.cast::<Lock>()).raw_unlock() };
    true
}

/// A mutual-exclusion lock that parks the goroutine, not the thread. Go's `sync.Mutex`.
///
/// Its guard may be kept across yields, and the goroutine may come back on another thread:
/// that is what it is for. It is not poisoned by a panic, because a panic ends the process.
///
/// The lock is handed over: `unlock` with somebody waiting makes the first one the owner.
/// So nobody starves, at the price of a switch per section under contention. Go does this
/// only when somebody has waited for a millisecond.
pub struct Mutex<T> {
    /// 0 open, 1 held, 2 held and somebody waits.
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
        // Whoever finds it open takes it; whoever parks is handed it.
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
    /// A group of nobody.
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

    /// One of them is done. The last one wakes whoever waits.
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
        // step for whoever waits under the lock: who begins a new round has seen the 0, and
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

/// Refuses to block a thread that runs no goroutine.
pub(crate) fn need_goroutine(what: &str) {
    assert!(
        on_goroutine(),
        "{what}: would block, and this thread runs no goroutine"
    );
}
