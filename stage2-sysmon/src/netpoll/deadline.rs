//! Until when a goroutine may wait for a descriptor, and the timer that ends the wait. Mirrors
//! the fields `rt`, `rd` and `rseq` of `pollDesc`, and `netpolldeadlineimpl`, of `netpoll.go`.
//!
//! Deadlines cost nothing until a goroutine sleeps: a try looks at the clock if there is a
//! deadline, and a goroutine that goes to sleep makes sure that a timer wakes it in time. A
//! timer that comes too early, because the deadline was moved, is set again then. One that has
//! no deadline any more is taken away at once.
//!
//! Tests: `netpoll::deadlines::a_deadline_can_be_moved_while_somebody_sleeps`,
//! `netpoll::deadlines::deadlines_race_with_data`; loom: `tests/loom/src/netpoll.rs`.

use crate::timers::{Alarm, Fire, NEVER, deltimer, my_p, put};
use stage1_coop::rt::gmp::P;
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::word::{Link, Word};
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What a goroutine waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Something to read, a connection to accept, the end.
    Read,
    /// Room to write, or that a connection is made.
    Write,
}

/// The deadline of one mode of a descriptor. `O` is the description of the descriptor.
///
/// "Under the lock" means under that of the description.
pub(crate) struct Deadline<O: 'static> {
    /// Until when a goroutine may wait; 0 for ever. *any thread*, see `PollWord::stop_waiting`.
    at: AtomicU64,
    /// When the timer fires that is set for it; [`NEVER`] if none is. Under the lock.
    timer: AtomicU64,
    /// Number of that timer; those with other numbers are out of date. Under the lock.
    timer_seq: AtomicU32,
    /// The P whose timer it is (under the lock), and where it is in that one's heap (under the
    /// heap's lock, which comes after ours).
    pp: Link<P>,
    pub(super) place: Word,
    pub(super) mode: Mode,
    pub(super) owner: Link<O>,
}

impl<O> Deadline<O> {
    pub(super) fn new(mode: Mode) -> Deadline<O> {
        Deadline {
            at: AtomicU64::new(0),
            timer: AtomicU64::new(NEVER),
            timer_seq: AtomicU32::new(0),
            pp: Link::none(),
            place: Word::new(0),
            mode,
            owner: Link::none(),
        }
    }

    /// Nanoseconds on the run's clock; 0 for no deadline.
    #[inline]
    pub(super) fn at(&self) -> u64 {
        self.at.load(Acquire)
    }

    /// Sets [`at`](Self::at).
    pub(super) fn set(&self, at: u64) {
        self.at.store(at, Release);
    }

    /// Whether it is too late to wait.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        let at = self.at();
        at != 0 && at <= nanotime()
    }

    /// There is no timer any more, and one that is on its way is out of date. Under the lock.
    pub(super) fn forget_timer(&self) {
        self.timer_seq.fetch_add(1, Relaxed);
        if self.timer.swap(NEVER, Relaxed) != NEVER
            && let Some(pp) = self.pp.get()
        {
            deltimer(pp, &self.place);
        }
    }

    /// When the timer fires. Under the lock.
    pub(super) fn timer(&self) -> u64 {
        self.timer.load(Relaxed)
    }

    /// Sets a timer for the deadline, unless there is one that fires in time; returns when it
    /// fires. Under the lock.
    pub(super) fn set_timer(&'static self) -> Option<u64>
    where
        Deadline<O>: Alarm,
    {
        // Again, under the lock: taking the deadline away takes the timer away after that, and
        // must find it.
        let at = self.at();
        if at == 0 || self.timer() <= at {
            // There is none, or it comes early, and is set again then.
            return None;
        }
        self.forget_timer();
        let pp = my_p();
        self.timer.store(at, Relaxed);
        self.pp.set(Some(pp));
        put(pp, at, Fire::Alarm(self, self.timer_seq.load(Relaxed)));
        Some(at)
    }

    /// The timer with this number has fired; false if it is out of date. Under the lock.
    pub(super) fn timer_has_fired(&self, seq: u32) -> bool {
        let meant = self.timer_seq.load(Relaxed) == seq;
        if meant {
            self.timer.store(NEVER, Relaxed);
        }
        meant
    }
}
