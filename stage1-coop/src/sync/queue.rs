//! The queue that every blocking place stands on, but for channels. Mirrors the part of `sema.go`
//! that `sync` uses; the chapter is *Blocking, and the one unsafe word*.
//!
//! The rule of every blocking place is the same: under a lock, look whether one must wait;
//! if so, write oneself down where the waker will look; park; and let the lock go only
//! *after* the goroutine counts as waiting. Otherwise the waker could come in between and
//! find nothing to wake, or a goroutine that does not sleep yet.
//!
//! Tests: `sync`.

use crate::arch::{getg, on_goroutine};
use crate::gmp::G;
use crate::os::Lock;
use crate::sched::park::{gopark, ready};
use crate::trace::WaitReason;
use std::cell::UnsafeCell;

/// A lock and the goroutines that wait behind it, first come first served. They are linked
/// through the Gs: a parked goroutine stands in no other list.
pub(crate) struct WaitQueue {
    pub(crate) lock: Lock,
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

/// Refuses to block a thread that runs no goroutine.
pub(crate) fn need_goroutine(what: &str) {
    assert!(
        on_goroutine(),
        "{what}: would block, and this thread runs no goroutine"
    );
}
