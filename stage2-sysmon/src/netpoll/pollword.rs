//! The word between a goroutine that waits for a descriptor and whoever finds it ready: Go's
//! `rg` and `wg`, two of them for each descriptor, one for readers and one for writers.
//! Mirrors `netpollblock`, `netpollblockcommit` and `netpollunblock` of `netpoll.go`.
//!
//! A word is one of four things:
//!
//! * [`NIL`]: nobody waits, and nothing has come since the last try.
//! * [`READY`]: something has come and nobody was there. The next one who wants to wait takes
//!   this, and does not wait. So an event between "try again later" and "I wait" is not lost.
//! * [`WAIT`]: a goroutine is on its way to sleep.
//! * anything else: the goroutine that sleeps.
//!
//! Only one goroutine waits at each word at a time; all others may call [`PollWord::unblock`].

#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, fence};
use std::marker::PhantomData;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicUsize, fence};

/// Nobody waits.
pub const NIL: usize = 0;
/// Something has come.
pub const READY: usize = 1;
/// Somebody is on its way to sleep.
pub const WAIT: usize = 2;

/// See the module. `T` is the goroutine.
pub struct PollWord<T: 'static>(AtomicUsize, PhantomData<&'static T>);

impl<T> Default for PollWord<T> {
    fn default() -> PollWord<T> {
        PollWord::new()
    }
}

impl<T> PollWord<T> {
    /// A word at which nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> PollWord<T> {
        PollWord(AtomicUsize::new(NIL), PhantomData)
    }

    /// A word at which nobody waits.
    #[cfg(loom)]
    pub fn new() -> PollWord<T> {
        PollWord(AtomicUsize::new(NIL), PhantomData)
    }

    /// The caller is about to try: what came before does not matter any more. A plain store,
    /// since the try that follows is a system call: the kernel's own locks stand between it
    /// and whoever sees what comes after. Go's `pollReset`.
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
    /// something has come in between, and it must not sleep. A release: who finds it sees that
    /// it waits.
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
    /// Something has come (`ready`), or who waits shall stop waiting. Returns the goroutine
    /// that sleeps, if one does: the caller wakes it, and nobody else. Go's `netpollunblock`.
    pub fn unblock(&self, ready: bool) -> Option<&'static T> {
        let new = if ready { READY } else { NIL };
        let mut old = self.0.load(Relaxed);
        loop {
            if old == READY || (old == NIL && !ready) {
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

    /// The caller has just written down why nobody shall wait any more (and before that,
    /// nothing has come). Returns the goroutine to wake.
    pub fn stop_waiting(&self) -> Option<&'static T> {
        // Either we see that somebody waits, or it sees what we wrote.
        fence(SeqCst);
        self.unblock(false)
    }
    // ANCHOR_END: unblock
}
