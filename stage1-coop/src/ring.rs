//! A P's queue: a ring of 256 that its owner fills and drains, that thieves rob by half,
//! and a single place in front of it, `runnext`. Mirrors `runqput`, `runqget`,
//! `runqputslow` and `runqgrab` of `proc.go`; the chapter *P, queues, stealing* prints it.
//!
//! What may be done by which thread:
//!
//! * Only the owner advances `tail`. It writes slots and then releases `tail`, so a thief
//!   that acquires `tail` sees the slots.
//! * `head` moves by compare-and-swap, from the owner as well as from thieves. A thief
//!   copies the slots out *before* the swap and may have copied rubbish; then the swap
//!   fails and it tries again. The swap is a release: the owner, which acquires `head`
//!   before it writes a slot again, cannot overwrite a slot that is still being copied.
//! * Slots are atomics, so a copy that loses the race is a stale value and not undefined
//!   behavior.
//! * `runnext` moves by swap and compare-and-swap from either side.
//!
//! Model: `tests/loom/src/ring.rs` runs this file. Tests: `queues`, `stealing`.

use crate::word::{AtomicU32, Link};
use std::sync::atomic::Ordering::*;

/// Slots of the ring. A model checker gets four: it looks at every order of steps.
pub const RUNQ_SIZE: usize = if cfg!(loom) { 4 } else { 256 };

/// The queue of one P, of things that live for ever.
pub struct Runq<T: 'static> {
    head: AtomicU32,
    tail: AtomicU32,
    /// Runs before the ring and inherits the time slice. Set by the owner, taken by any M.
    runnext: Link<T>,
    ring: [Link<T>; RUNQ_SIZE],
}

/// What [`Runq::put`] does when the ring is full: half of it and the new one.
pub const OVERFLOW: usize = RUNQ_SIZE / 2 + 1;

impl<T> Runq<T> {
    /// An empty queue.
    #[cfg(not(loom))]
    pub const fn new() -> Runq<T> {
        Runq {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            runnext: Link::none(),
            ring: [const { Link::none() }; RUNQ_SIZE],
        }
    }

    /// An empty queue, of the model checker's words, which cannot be constants.
    #[cfg(loom)]
    pub fn new() -> Runq<T> {
        Runq {
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            runnext: Link::none(),
            ring: std::array::from_fn(|_| Link::none()),
        }
    }

    #[inline]
    fn slot(&self, i: u32) -> &Link<T> {
        &self.ring[i as usize % RUNQ_SIZE]
    }

    /// Puts `gp` into the queue; with `next` into `runnext`, and what was there goes to
    /// the tail of the ring. When the ring is full, `overflow` gets the older half of it
    /// and the one that did not fit. Owner only. Go's `runqput`.
    #[inline]
    pub fn put(&self, mut gp: &'static T, next: bool, mut overflow: impl FnMut(&[&'static T])) {
        if next {
            // Release: a thief that takes it must see what it points at.
            match self.runnext.swap(Some(gp), AcqRel) {
                None => return,
                Some(kicked) => gp = kicked,
            }
        }
        loop {
            // ANCHOR: publish
            // Acquire: thieves have finished copying the slots below head.
            let h = self.head.load(Acquire);
            let t = self.tail.load(Relaxed);
            if t.wrapping_sub(h) < RUNQ_SIZE as u32 {
                self.slot(t).set(Some(gp));
                self.tail.store(t.wrapping_add(1), Release);
                return;
            }
            // ANCHOR_END: publish
            if self.put_slow(gp, h, t, &mut overflow) {
                return;
            }
            // A thief made room meanwhile.
        }
    }

    /// Moves half of the ring, and `gp` behind it, to `overflow`. Go's `runqputslow`.
    #[cold]
    fn put_slow(
        &self,
        gp: &'static T,
        h: u32,
        t: u32,
        overflow: &mut impl FnMut(&[&'static T]),
    ) -> bool {
        let n = t.wrapping_sub(h) / 2;
        assert!(
            n as usize == RUNQ_SIZE / 2,
            "runqputslow: queue is not full"
        );
        let mut batch = [gp; OVERFLOW];
        for i in 0..n {
            let Some(g) = self.slot(h.wrapping_add(i)).get() else {
                return false;
            };
            batch[i as usize] = g;
        }
        if self
            .head
            .compare_exchange(h, h.wrapping_add(n), Release, Relaxed)
            .is_err()
        {
            return false;
        }
        overflow(&batch);
        true
    }

    // ANCHOR: get
    /// Takes the next one: from `runnext` (then it inherits the time slice: true) or from
    /// the ring. Owner only. Go's `runqget`.
    #[inline]
    pub fn get(&self) -> Option<(&'static T, bool)> {
        // Only the owner sets runnext, so if it is empty now it stays empty.
        if self.runnext.get().is_some()
            && let Some(gp) = self.runnext.swap(None, AcqRel)
        {
            return Some((gp, true));
        }
        loop {
            let h = self.head.load(Acquire);
            let t = self.tail.load(Relaxed);
            if t == h {
                return None;
            }
            let gp = self.slot(h).get();
            if self
                .head
                .compare_exchange(h, h.wrapping_add(1), Release, Relaxed)
                .is_ok()
            {
                return gp.map(|gp| (gp, false));
            }
        }
    }
    // ANCHOR_END: get

    /// Whether nothing is queued. The three words are read twice until `tail` stands still,
    /// so that a goroutine on its way from `runnext` into the ring is not overlooked. Go's
    /// `runqempty`.
    pub fn is_empty(&self) -> bool {
        loop {
            let h = self.head.load(Acquire);
            let t = self.tail.load(Acquire);
            let next = self.runnext.load(Acquire);
            if t == self.tail.load(Acquire) {
                return h == t && next.is_none();
            }
        }
    }

    /// How many stand in the ring, `runnext` not counted: as `schedtrace` prints it.
    pub fn len(&self) -> usize {
        let h = self.head.load(Acquire);
        self.tail.load(Acquire).wrapping_sub(h) as usize
    }

    /// Copies half of this queue (of a victim) into `to`'s ring, from position `t` on, and
    /// returns how many. Any thread that owns `to`. `steal_next` is asked only when the
    /// ring is empty and `runnext` is not: whether to take that one. Go's `runqgrab`.
    pub fn grab(&self, to: &Runq<T>, t: u32, steal_next: impl Fn() -> bool) -> u32 {
        loop {
            let h = self.head.load(Acquire);
            let vt = self.tail.load(Acquire);
            let mut n = vt.wrapping_sub(h);
            n -= n / 2;
            if n == 0 {
                let Some(next) = self.runnext.load(Acquire) else {
                    return 0;
                };
                if !steal_next() {
                    return 0;
                }
                if !self.take_runnext(next) {
                    continue;
                }
                to.slot(t).set(Some(next));
                return 1;
            }
            if n > RUNQ_SIZE as u32 / 2 {
                // head and tail were read at different times.
                continue;
            }
            for i in 0..n {
                to.slot(t.wrapping_add(i))
                    .set(self.slot(h.wrapping_add(i)).get());
            }
            if self
                .head
                .compare_exchange(h, h.wrapping_add(n), Release, Relaxed)
                .is_ok()
            {
                return n;
            }
        }
    }

    /// Head and tail, as a thief sees them. They only count up, and wrap around. With the
    /// five functions below, this is what a [`grab`](Runq::grab) is made of: an exercise
    /// writes it anew.
    pub fn ends(&self) -> (u32, u32) {
        let h = self.head.load(Acquire);
        (h, self.tail.load(Acquire))
    }

    /// The goroutine at position `i`. It may be gone already: only a [`claim`](Runq::claim)
    /// that succeeds says that it was there.
    pub fn peek(&self, i: u32) -> Option<&'static T> {
        self.slot(i).get()
    }

    /// Writes position `i`, at or behind the tail. Owner only; no thief sees it yet.
    pub fn lay(&self, i: u32, gp: Option<&'static T>) {
        self.slot(i).set(gp);
    }

    /// Moves the head from `h` on by `n`, if it is still `h`: what was copied from there
    /// belongs to the caller then. Any thread.
    pub fn claim(&self, h: u32, n: u32) -> bool {
        self.head
            .compare_exchange(h, h.wrapping_add(n), Release, Relaxed)
            .is_ok()
    }

    /// The goroutine in `runnext`.
    pub fn next(&self) -> Option<&'static T> {
        self.runnext.load(Acquire)
    }

    /// Takes exactly this one out of `runnext`, if it still stands there. Any thread.
    pub fn take_next(&self, gp: &'static T) -> bool {
        self.take_runnext(gp)
    }

    fn take_runnext(&self, expected: &'static T) -> bool {
        // A swap would do if another one could not have been put there in between; then
        // the other one must not be lost, so it is a compare-and-swap.
        self.runnext.cas(Some(expected), None, AcqRel)
    }

    /// Steals with `grab`, which fills our ring from the position that it is given and says
    /// how many: one to run at once, the rest stay. Returns it and how many were stolen.
    /// Owner only, and the ring is empty. Go's `runqsteal`.
    pub fn steal_with(&self, grab: impl FnOnce(u32) -> u32) -> Option<(&'static T, u32)> {
        let t = self.tail.load(Relaxed);
        let stolen = grab(t);
        if stolen == 0 {
            return None;
        }
        let n = stolen - 1;
        let gp = self.slot(t.wrapping_add(n)).get();
        if n > 0 {
            debug_assert!(t.wrapping_sub(self.head.load(Acquire)) + n < RUNQ_SIZE as u32);
            self.tail.store(t.wrapping_add(n), Release);
        }
        gp.map(|gp| (gp, stolen))
    }
}

impl<T> Default for Runq<T> {
    fn default() -> Runq<T> {
        Runq::new()
    }
}
