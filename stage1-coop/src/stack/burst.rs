//! A burst of goroutines has ended, and thousands of stacks are free: the thread that gives memory
//! back is told once, and misses no burst. Nothing in Go corresponds to it: `bgscavenge` is woken by
//! sysmon, which looks again and again.
//!
//! # Protocol
//!
//! Participants: an M that puts a stack back (`spill` in `slots.rs`), and the thread
//! (`scavenger` in `scavenge.rs`). [`Burst`] is under the pool's lock, [`Call`] under the lock of
//! the thread's state. No side holds both.
//!
//! The M:
//!
//! 1. puts the stack into the pool, and in the same section asks [`begins`](Burst::begins). Of all
//!    that find many, one gets true;
//! 2. that one takes the other lock, raises the call, and wakes the thread.
//!
//! The thread, with nothing left to give back:
//!
//! 1. asks [`goes_on`](Burst::goes_on). False: few are free, and the next burst tells it anew;
//! 2. takes the other lock, and sleeps unless the call is up; then it takes the call down.
//!
//! A burst between the two steps finds the thread awake, so waking it does nothing. The call is what
//! it finds instead, and there is no second one for this burst.
//!
//! Model: `tests/loom/src/scavenge.rs` runs this file. Tests: those of
//! `stage1-coop/src/stack/scavenge.rs`.

/// Whether the thread looks after the free stacks, because there are many.
pub(crate) struct Burst(bool);

impl Burst {
    /// It does not.
    pub(crate) const fn new() -> Burst {
        Burst(false)
    }

    /// A stack has become free, and now there are `many` or not. True: the caller tells the
    /// thread, or says that it [could not](Burst::not_told).
    #[must_use = "the thread is told by this caller only"]
    pub(crate) fn begins(&mut self, many: bool) -> bool {
        many && !std::mem::replace(&mut self.0, true)
    }

    /// The thread could not be told, or there is none any more: the next one that finds many tries
    /// again.
    pub(crate) fn not_told(&mut self) {
        self.0 = false;
    }

    /// The thread asks whether there are still `many`. False: it leaves them alone from here on.
    #[must_use = "the thread sleeps if not"]
    pub(crate) fn goes_on(&mut self, many: bool) -> bool {
        self.0 = many;
        many
    }
}

/// The thread was told, and has not looked since.
pub(crate) struct Call(bool);

impl Call {
    /// It was not.
    pub(crate) const fn new() -> Call {
        Call(false)
    }

    /// There are many again.
    pub(crate) fn raise(&mut self) {
        self.0 = true;
    }

    /// Whether the thread must not sleep.
    pub(crate) fn is_up(&self) -> bool {
        self.0
    }

    /// The thread has heard it.
    pub(crate) fn lower(&mut self) {
        self.0 = false;
    }
}
