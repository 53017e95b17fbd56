//! The word between a goroutine that waits for a descriptor and the M that finds it ready: Go's
//! `rg` and `wg`, two of them for each descriptor, one for readers and one for writers.
//! Mirrors `netpollblock`, `netpollblockcommit` and `netpollunblock` of `netpoll.go`.
//!
//! # Protocol
//!
//! The word has one of four values:
//!
//! * [`NIL`]: no goroutine waits, and nothing has come since the last try;
//! * [`READY`]: something has come while no goroutine was there;
//! * [`WAIT`]: a goroutine is on its way to sleep;
//! * anything else: the goroutine that sleeps.
//!
//! The goroutine, one at a time for each word (`io/fd.rs` sees to that):
//!
//! 1. stores `NIL` ([`reset`](PollWord::reset)), and tries: the kernel says "not now";
//! 2. exchanges `NIL` for `WAIT` ([`prepare`](PollWord::prepare)). If it finds `READY`,
//!    something came after its try: it takes that and tries again. So an event between "try
//!    again later" and "I wait" is not lost;
//! 3. full barrier;
//! 4. looks once more whether it should wait at all: closed, too late?
//! 5. parks. On `g0`, when it counts as waiting, `WAIT` is exchanged for its address
//!    ([`commit`](PollWord::commit)); if that fails, something came, and it does not sleep;
//! 6. awake again, exchanges whatever is there for `NIL` ([`finish`](PollWord::finish)):
//!    `READY` means try again.
//!
//! An M that hears from the kernel exchanges what it finds for `READY`
//! ([`unblock`](PollWord::unblock)). If that was a goroutine's address, the M is its one waker.
//!
//! A close or a deadline ([`stop_waiting`](PollWord::stop_waiting)):
//!
//! 1. writes down the reason (by the caller);
//! 2. full barrier;
//! 3. exchanges `WAIT` or a goroutine's address for `NIL`, and wakes the goroutine.
//!
//! Of the two barriers one comes first: either the goroutine sees the reason in its step 4, or
//! the other side finds `WAIT` or the goroutine in its step 3.
//!
//! What the orderings carry: `commit` is a release and `unblock` an acquire, so the waker sees
//! that the goroutine counts as waiting; `unblock` is a release and `finish` an acquire, so the
//! goroutine sees what the waker did before.
//!
//! Loom: `tests/loom/src/netpoll.rs`, on this file, with the counterexample for each barrier.
//! Tests: `netpoll::closing::closing_races_with_reading`, `netpoll::deadlines::deadlines_race_with_data`.

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, fence};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, fence};

/// No goroutine waits.
pub const NIL: usize = 0;
/// Something has come.
pub const READY: usize = 1;
/// A goroutine is on its way to sleep.
pub const WAIT: usize = 2;

/// See the module. `T` is the goroutine.
pub struct PollWord<T: 'static>(AtomicUsize, PhantomData<&'static T>);

impl<T> Default for PollWord<T> {
    fn default() -> PollWord<T> {
        PollWord::new()
    }
}

impl<T> PollWord<T> {
    /// A word at which no goroutine waits.
    #[cfg(not(loom))]
    pub const fn new() -> PollWord<T> {
        PollWord(AtomicUsize::new(NIL), PhantomData)
    }

    /// A word at which no goroutine waits.
    #[cfg(loom)]
    pub fn new() -> PollWord<T> {
        PollWord(AtomicUsize::new(NIL), PhantomData)
    }

    /// The caller is about to try: what came before does not matter any more. A plain store,
    /// since the try that follows is a system call: the kernel's own locks stand between it
    /// and the M that sees what comes after. Go's `pollReset`.
    #[inline]
    pub fn reset(&self) {
        if self.0.load(Relaxed) != NIL {
            self.0.store(NIL, Relaxed);
        }
    }

    // ANCHOR: block
    /// First step of going to sleep. False: something has come, so try again at once. After
    /// true the caller looks once more whether it should wait at all, because it may have been
    /// told not to (a deadline, a close) a moment before; the barrier here pairs with that of
    /// [`stop_waiting`](Self::stop_waiting).
    pub fn prepare(&self) -> bool {
        loop {
            match self.0.compare_exchange(NIL, WAIT, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(READY) => {
                    if self
                        .0
                        .compare_exchange(READY, NIL, Acquire, Relaxed)
                        .is_ok()
                    {
                        return false;
                    }
                }
                // A word is another one's only if two wait at once, which `io/fd.rs` rules out.
                Err(_) => panic!("two goroutines wait for one descriptor"),
            }
        }
        fence(SeqCst);
        true
    }

    /// Second step, when the goroutine counts as waiting: it can be found from here on. False:
    /// something has come in between, and it must not sleep. A release: an M that finds it sees
    /// that it waits.
    pub fn commit(&self, gp: &'static T) -> bool {
        let address = std::ptr::from_ref(gp) as usize;
        self.0
            .compare_exchange(WAIT, address, Release, Relaxed)
            .is_ok()
    }

    /// Awake again, or turned back on the way: returns whether something has come.
    pub fn finish(&self) -> bool {
        self.0.swap(NIL, Acquire) == READY
    }
    // ANCHOR_END: block

    // ANCHOR: unblock
    /// Something has come (`ready`), or the goroutine must stop waiting. Returns the goroutine
    /// that sleeps, if one does: only the caller wakes it. Go's `netpollunblock`.
    pub fn unblock(&self, io: bool) -> Option<&'static T> {
        let new = if io { READY } else { NIL };
        let mut old = self.0.load(Relaxed);
        loop {
            if old == READY || (old == NIL && !io) {
                return None;
            }
            match self.0.compare_exchange(old, new, AcqRel, Relaxed) {
                Ok(WAIT | NIL) => return None,
                // SAFETY: every other value was stored by `commit`, from a `&'static T`.
                Ok(address) => return unsafe { (address as *const T).as_ref() },
                Err(now) => old = now,
            }
        }
    }

    /// The caller has just written down why no goroutine may wait any more (and before that,
    /// nothing has come). Returns the goroutine to wake.
    pub fn stop_waiting(&self) -> Option<&'static T> {
        // Either we see that a goroutine waits, or it sees what we wrote.
        fence(SeqCst);
        self.unblock(false)
    }
    // ANCHOR_END: unblock
}
