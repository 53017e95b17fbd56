//! The cases of a select with their types: those of `select!`, and [`Select`], a list of any length.
//! Mirrors `reflect.Select`; for the others Go's compiler stands in. The chapter is *Blocking, and
//! the one unsafe word*.
//!
//! A case holds the value to send, or the room for what comes, while `selectgo` works on it without
//! its type, and says afterwards what became of it.
//!
//! Tests: `chan::select`.

use crate::sync::chan::Chan;
use crate::sync::receiver::{Receive, Source};
use crate::sync::select::{Case, Picked, selectgo_list};
use std::mem::{ManuallyDrop, MaybeUninit};

/// A case that receives, and the room for what it gets. Made by `select!`.
pub struct RecvCase<'a, T> {
    chan: &'a Chan<T>,
    slot: MaybeUninit<T>,
}

impl<'a, T: Send> RecvCase<'a, T> {
    /// A case that receives from `from`.
    pub fn new(from: &'a impl Receive<Item = T>) -> Self {
        RecvCase {
            chan: from.end().0,
            slot: MaybeUninit::uninit(),
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        Case::recv(self.chan.hchan(), self.slot.as_mut_ptr().cast())
    }
    /// What was received, if this case was chosen: `Some(None)` when the channel is closed.
    ///
    /// # Safety
    /// `picked` is what `selectgo` returned, and this the case with the number `n`; call it
    /// once.
    pub unsafe fn end(&mut self, picked: Picked, n: usize) -> Option<Option<T>> {
        let (_, ok) = picked.filter(|&(chosen, _)| chosen == n)?;
        // SAFETY: the slot was filled when `ok`, and is read once.
        Some(ok.then(|| unsafe { self.slot.assume_init_read() }))
    }
}

/// A case that sends, and the value. Made by `select!`.
pub struct SendCase<'a, T> {
    chan: &'a Chan<T>,
    /// Nothing when the case is off.
    value: Option<ManuallyDrop<T>>,
    sent: bool,
}

impl<'a, T: Send> SendCase<'a, T> {
    /// A case that sends `value` to `chan`.
    pub fn new(chan: &'a Chan<T>, value: T) -> Self {
        SendCase::of(chan, Some(value))
    }
    /// As [`new`](Self::new); without a value it is off.
    pub fn of(chan: &'a Chan<T>, value: Option<T>) -> Self {
        SendCase {
            chan,
            value: value.map(ManuallyDrop::new),
            sent: false,
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        let value = self.value.as_mut();
        Case::send(
            self.chan.hchan(),
            value.map(|value| std::ptr::from_mut(value).cast()),
        )
    }
    /// If this case was chosen, its value is the channel's now.
    ///
    /// # Safety
    /// As for [`RecvCase::end`].
    ///
    /// # Panics
    /// Go's `send on closed channel`, when it was chosen and not sent.
    #[track_caller]
    pub unsafe fn end(&mut self, picked: Picked, n: usize) {
        if let Some((chosen, ok)) = picked
            && chosen == n
        {
            self.sent = ok;
            assert!(ok, "send on closed channel");
        }
    }
}

impl<T> Drop for SendCase<'_, T> {
    fn drop(&mut self) {
        if !self.sent
            && let Some(value) = &mut self.value
        {
            // SAFETY: the value was not moved into the channel, and is dropped once.
            unsafe { ManuallyDrop::drop(value) };
        }
    }
}

/// Waits for the first of a list of channels: `select!` for as many as the program has at the
/// moment. All of them have values of one type. Go's `reflect.Select`.
///
/// ```
/// # use stage1_coop::{Chan, Runtime, STAGE, Select, go};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).procs(1).run(|| {
/// let chans: Vec<Chan<u32>> = (0..20).map(|_| Chan::new(0)).collect();
/// let one = chans[7].clone();
/// go("one of them", move || one.send(42));
///
/// let mut list = Select::new();
/// for c in &chans {
///     list.recv(c);
/// }
/// assert_eq!(list.wait(), (7, Some(42)));
/// # }) }
/// ```
pub struct Select<'a, T> {
    arms: Vec<Arm<'a, T>>,
}

enum Arm<'a, T> {
    Recv(RecvCase<'a, T>, Option<&'a dyn Source>),
    Send(SendCase<'a, T>),
}

impl<'a, T: Send> Select<'a, T> {
    /// A list without a case.
    pub fn new() -> Self {
        Select { arms: Vec::new() }
    }

    /// Adds a case that receives from a channel or a [`Receiver`](crate::Receiver), and returns
    /// its number: they count from 0.
    pub fn recv(&mut self, from: &'a impl Receive<Item = T>) -> usize {
        self.arms
            .push(Arm::Recv(RecvCase::new(from), from.source()));
        self.arms.len() - 1
    }

    /// Adds a case that sends, and returns its number.
    pub fn send(&mut self, to: &'a Chan<T>, value: T) -> usize {
        self.arms.push(Arm::Send(SendCase::new(to, value)));
        self.arms.len() - 1
    }

    /// Parks the goroutine until one of the cases can go, and returns its number, with what it
    /// received. Values that were not sent are dropped. An empty list waits for ever.
    ///
    /// # Panics
    /// Go's `send on closed channel`; and off a goroutine.
    #[track_caller]
    pub fn wait(mut self) -> (usize, Option<T>) {
        self.select(true)
            .unwrap_or_else(|| unreachable!("it has waited"))
    }

    /// As [`wait`](Self::wait), if a case can go at once: a `select!` with a `default`.
    ///
    /// # Panics
    /// As `wait`.
    #[track_caller]
    pub fn try_wait(mut self) -> Option<(usize, Option<T>)> {
        self.select(false)
    }

    #[track_caller]
    fn select(&mut self, block: bool) -> Option<(usize, Option<T>)> {
        let case = |arm| match arm {
            &mut Arm::Recv(ref mut arm, source) => {
                // The list may have been made long ago.
                if let Some(source) = source {
                    source.look();
                }
                arm.case()
            }
            Arm::Send(arm) => arm.case(),
        };
        let mut cases: Vec<_> = self.arms.iter_mut().map(case).collect();
        let picked = selectgo_list(&mut cases, block);
        let (n, _) = picked?;
        // SAFETY: `selectgo_list` chose this one, and it is asked once: the list is given up.
        let value = unsafe {
            match &mut self.arms[n] {
                Arm::Recv(arm, _) => arm.end(picked, n).flatten(),
                Arm::Send(arm) => {
                    arm.end(picked, n);
                    None
                }
            }
        };
        Some((n, value))
    }
}

impl<T: Send> Default for Select<'_, T> {
    fn default() -> Self {
        Select::new()
    }
}
