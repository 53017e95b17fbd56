//! A lock and a note, each one word that the kernel can sleep on. Mirrors `lock_futex.go`.
//!
//! A [`Lock`] protects a few instructions of the scheduler; who waits for it keeps its
//! thread. A [`Note`] is a one-time event: one thread sleeps, another wakes it, and then it
//! must be cleared before it is used again.

use crate::arch::{getg, getm_opt, locks_dec, locks_inc};
use safepoint_lockstep as lab;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const SLEEPING: u32 = 2;

/// Turns that a waiter spins before it sleeps: the sections under these locks are short.
const ACTIVE_SPIN: u32 = 4;

/// A mutual-exclusion lock for the runtime itself. Go's `mutex`.
pub struct Lock {
    /// UNLOCKED, LOCKED, or LOCKED with perhaps somebody asleep.
    key: AtomicU32,
}

/// Releases its lock when dropped. It counts in `m.locks`: nobody is preempted while
/// holding one.
pub struct LockGuard {
    lock: &'static Lock,
    /// Not Send: the count that it raised is the thread's.
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl Lock {
    /// An open lock.
    pub const fn new() -> Lock {
        Lock {
            key: AtomicU32::new(UNLOCKED),
        }
    }

    /// Takes the lock, and gives it back when the guard is dropped.
    #[inline]
    pub fn lock(&'static self) -> LockGuard {
        self.raw_lock();
        LockGuard {
            lock: self,
            _not_send: std::marker::PhantomData,
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

    /// Takes the lock, for somebody who gives it back elsewhere. Go's `lock`.
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

    /// Gives the lock back. If it was the M's last and its goroutine was asked to yield
    /// meanwhile, the flag goes up again: a check under the lock refused and took it down.
    ///
    /// # Safety
    /// The calling thread holds the lock by [`raw_lock`](Lock::raw_lock), and no guard of it
    /// exists. Go's `unlock`.
    #[inline]
    pub unsafe fn unlock(&self) {
        self.raw_unlock();
        look_for_requests();
    }

    /// As [`unlock`](Lock::unlock), for this crate's own locks: no function with a check is
    /// called under one, so no request can have been refused there, and the release need not
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

/// A lock is given back under which a check may have refused a request.
#[inline]
fn look_for_requests() {
    if getg().preempt.load(Relaxed) {
        crate::stack::preempt::asked_meanwhile();
    }
}

impl Default for Lock {
    fn default() -> Lock {
        Lock::new()
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.lock.raw_unlock();
        look_for_requests();
    }
}

/// A one-time event. Go's `note`.
pub struct Note {
    /// 1 once woken.
    key: AtomicU32,
    /// In lockstep: the sleeper's actor plus one.
    sleeper: AtomicUsize,
}

impl Note {
    /// A note that nobody has woken.
    pub const fn new() -> Note {
        Note {
            key: AtomicU32::new(0),
            sleeper: AtomicUsize::new(0),
        }
    }

    /// Makes the note ready for another sleep. Nobody may be asleep on it. Go's `noteclear`.
    pub fn clear(&self) {
        // A swap, so that whoever clears sees what the waker did before it woke.
        self.key.swap(0, AcqRel);
    }

    /// Wakes the sleeper, or lets the next sleep return at once. Go's `notewakeup`, but a
    /// second call is no error: at the end of a run several may wake the same M.
    pub fn wakeup(&self) {
        if self.key.swap(1, AcqRel) == 1 {
            return;
        }
        if lab::enabled() {
            if let Some(actor) = self.sleeper.load(Relaxed).checked_sub(1) {
                lab::unblock(actor);
            }
        } else {
            futex_wake(&self.key, 1);
        }
    }

    /// Wakes the sleeper, from a signal handler (free-running only).
    pub fn wakeup_from_signal(&self) {
        if self.key.swap(1, AcqRel) == 0 {
            futex_wake(&self.key, 1);
        }
    }

    /// Sleeps until the note is woken. Go's `notesleep`.
    pub fn sleep(&self) {
        if lab::enabled() {
            self.sleeper.store(me_plus_one(), Relaxed);
            while self.key.load(Acquire) == 0 {
                asleep(lab::block);
            }
            self.sleeper.store(0, Relaxed);
            return;
        }
        while self.key.load(Acquire) == 0 {
            asleep(|| futex_wait(&self.key, 0, None));
        }
    }

    /// Sleeps until the note is woken or `ns` nanoseconds have passed; returns whether it
    /// was woken. Go's `notetsleep`.
    pub fn tsleep(&self, ns: u64) -> bool {
        if lab::enabled() {
            if self.key.load(Acquire) == 0 {
                self.sleeper.store(me_plus_one(), Relaxed);
                asleep(|| {
                    lab::block_until(lab::now().saturating_add(ns));
                });
                self.sleeper.store(0, Relaxed);
            }
            return self.key.load(Acquire) == 1;
        }
        let deadline = super::monotonic().saturating_add(ns);
        loop {
            if self.key.load(Acquire) == 1 {
                return true;
            }
            let now = super::monotonic();
            if now >= deadline {
                return false;
            }
            asleep(|| futex_wait(&self.key, 0, Some(deadline - now)));
        }
    }
}

/// Sleeps; meanwhile the M, if it is one, says so.
fn asleep(sleep: impl FnOnce()) {
    let mp = getm_opt();
    if let Some(mp) = mp {
        mp.blocked.store(true, Relaxed);
    }
    sleep();
    if let Some(mp) = mp {
        mp.blocked.store(false, Relaxed);
    }
}

impl Default for Note {
    fn default() -> Note {
        Note::new()
    }
}

fn me_plus_one() -> usize {
    lab::me().map_or(0, |id| id + 1)
}

/// Sleeps while `word` is `expected`, at most `ns` nanoseconds. Returns early at times.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, ns: Option<u64>) {
    let timeout = ns.map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    });
    let timeout_ptr = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: word and timeout are borrowed for the call; FUTEX_WAIT reads nothing else.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout_ptr,
        );
    }
}

/// Wakes so many threads that sleep on `word`.
pub(crate) fn futex_wake(word: &AtomicU32, count: i32) {
    // SAFETY: FUTEX_WAKE uses the address as a key only.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        );
    }
}
