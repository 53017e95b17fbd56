//! Waiting until something is so, and doing a thing once: [`Cond`] and [`Once`], which park
//! the goroutine. Mirrors `sync/cond.go` with `notifyList` of `sema.go`, and `sync/once.go`.
//!
//! Tests: `sync::what_parks_and_what_borrows_does_so_in_both_worlds`.

use crate::arch::getg;
use crate::prologue;
use crate::sched::park::ready;
use crate::sync::mutex::{Mutex, MutexGuard};
use crate::sync::queue::{WaitQueue, need_goroutine, wake_all};
use crate::trace::WaitReason;
use crate::word::Word;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

/// Goroutines that wait until a condition, which a [`Mutex`] protects, may have changed. Go's
/// `sync.Cond`.
///
/// ```
/// # use stage1_coop::{Cond, Mutex, Runtime, STAGE, go};
/// # use std::sync::Arc;
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let shared = Arc::new((Mutex::new(false), Cond::new()));
/// let other = shared.clone();
/// go("opens the door", move || {
///     *other.0.lock() = true;
///     other.1.broadcast();
/// });
/// let mut open = shared.0.lock();
/// while !*open {
///     open = shared.1.wait(open);
/// }
/// # }) }
/// ```
pub struct Cond {
    /// The ticket of the next that comes.
    next: AtomicUsize,
    /// Tickets below this one have been called. Under the queue's lock.
    called: Word,
    /// Those that wait, each with its ticket in `g.param`.
    waiters: WaitQueue,
}

impl Cond {
    /// A condition that no goroutine waits for.
    pub const fn new() -> Cond {
        Cond {
            next: AtomicUsize::new(0),
            called: Word::new(0),
            waiters: WaitQueue::new(),
        }
    }

    /// Releases the mutex, parks the goroutine until it is called, and takes the mutex again.
    /// What was waited for may be no longer so: look again, in a loop. Go's `Wait`.
    ///
    /// # Panics
    /// Off a goroutine.
    #[inline(never)]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        prologue!();
        need_goroutine("Cond::wait");
        let mutex = guard.mutex;
        // A ticket first, while the mutex is held: a call that comes between the mutex and the
        // queue is for us, and we find it under the queue's lock.
        let ticket = self.next.fetch_add(1, SeqCst);
        drop(guard);
        let already = || {
            getg().param.set(ticket);
            ticket < self.called.get()
        };
        self.waiters.park_unless(already, WaitReason::SyncCondWait);
        mutex.lock()
    }

    /// Calls the one that has waited longest, if there is one. The mutex need not be held. Go's
    /// `Signal`.
    #[inline(never)]
    pub fn signal(&self) {
        prologue!();
        let first = self.waiters.locked(|| {
            let ticket = self.called.get();
            if ticket == self.next.load(SeqCst) {
                return None;
            }
            self.called.bump();
            // Not there: it is on its way to the queue, and will see that it was called.
            // SAFETY: the lock is held.
            unsafe { self.waiters.take(|gp| gp.param.get() == ticket) }
        });
        if let Some(gp) = first {
            ready(gp, true);
        }
    }

    /// Calls all that wait. Go's `Broadcast`.
    #[inline(never)]
    pub fn broadcast(&self) {
        prologue!();
        let all = self.waiters.locked(|| {
            self.called.set(self.next.load(SeqCst));
            // SAFETY: the lock is held.
            unsafe { self.waiters.take_all() }
        });
        wake_all(all);
    }
}

impl Default for Cond {
    fn default() -> Cond {
        Cond::new()
    }
}

/// Does something the first time only. Go's `sync.Once`.
///
/// ```
/// # use stage1_coop::{Once, Runtime, STAGE};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let (once, mut times) = (Once::new(), 0);
/// for _ in 0..3 {
///     once.call_once(|| times += 1);
/// }
/// assert_eq!(times, 1);
/// # }) }
/// ```
pub struct Once {
    done: AtomicBool,
    first: Mutex<()>,
}

impl Once {
    /// Nothing was done yet.
    pub const fn new() -> Once {
        Once {
            done: AtomicBool::new(false),
            first: Mutex::new(()),
        }
    }

    /// Calls `f` the first time, and returns when the one call is over. If `f` panics or
    /// ends its goroutine, it counts as called. Go's `Do`.
    ///
    /// # Panics
    /// If `f` does; and off a goroutine, if it would have to wait.
    pub fn call_once(&self, f: impl FnOnce()) {
        prologue!();
        if self.done.load(Acquire) {
            return;
        }
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Release);
            }
        }
        let _held = self.first.lock();
        if !self.done.load(Acquire) {
            // Dropped before the lock: the next one sees it.
            let _done = Done(&self.done);
            f();
        }
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}
