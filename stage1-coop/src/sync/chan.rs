//! Channels: a value goes from one goroutine to another, and the one that comes first waits.
//! Mirrors `makechan` of `chan.go`, and what Go's compiler makes of `chan T`; the chapter is
//! *Blocking, and the one unsafe word*.
//!
//! What depends on the type of the value is here: moving its bytes in and out, and dropping those
//! that were never received. Everything else is [`Hchan`].
//!
//! Tests: `chan`.

use crate::prologue;
use crate::sync::hchan::{Hchan, Outcome};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::Arc;

/// A channel of values of type `T`. Clones are the same channel. Go's `chan T`.
///
/// Without a buffer, a send waits until there is a receiver; with one, until there is room.
/// Receiving from a closed channel gives what is left in the buffer and then `None`.
pub struct Chan<T> {
    shared: Arc<Shared<T>>,
    _values: PhantomData<T>,
}

// SAFETY: values move through the channel from thread to thread, which `T: Send` allows;
// no reference into it is ever given out.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above: all access goes through the channel's lock.
unsafe impl<T: Send> Sync for Chan<T> {}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Chan<T> {
        Chan {
            shared: self.shared.clone(),
            _values: PhantomData,
        }
    }
}

impl<T: Send> Chan<T> {
    /// A channel with room for `cap` values; 0 for none. Go's `make(chan T, cap)`.
    ///
    /// # Panics
    /// If so many bytes cannot be counted. More than the machine has ends the process, as every
    /// such request does in Rust.
    pub fn new(cap: usize) -> Chan<T> {
        prologue!();
        // Reserved, not written: the time does not depend on `cap`.
        let buf = Buffer(Box::into_raw(Box::<[T]>::new_uninit_slice(cap)));
        // SAFETY: the buffer has `cap` places for a `T`, and is dropped together with the channel.
        let hchan = unsafe { Hchan::new(cap, size_of::<T>(), buf.0.cast()) };
        Chan {
            shared: Arc::new(Shared { hchan, buf }),
            _values: PhantomData,
        }
    }

    pub(crate) fn hchan(&self) -> &Hchan {
        &self.shared.hchan
    }

    /// Sends `value`, parking the goroutine until it can go. Go's `c <- value`.
    ///
    /// # Panics
    /// Go's `send on closed channel`; and off a goroutine.
    #[track_caller]
    pub fn send(&self, value: T) {
        let value = ManuallyDrop::new(value);
        // SAFETY: the value is of the channel's type and is not used again once moved.
        match unsafe { self.hchan().send((&raw const value).cast(), true) } {
            Outcome::Done => {}
            _ => {
                drop(ManuallyDrop::into_inner(value));
                panic!("send on closed channel");
            }
        }
    }

    /// Sends `value` if it can go at once; else gives it back.
    ///
    /// # Errors
    /// The value, when one would have to wait.
    ///
    /// # Panics
    /// Go's `send on closed channel`.
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: as in `send`.
        match unsafe { self.hchan().send((&raw const value).cast(), false) } {
            Outcome::Done => Ok(()),
            Outcome::WouldBlock => Err(ManuallyDrop::into_inner(value)),
            Outcome::Closed => {
                drop(ManuallyDrop::into_inner(value));
                panic!("send on closed channel");
            }
        }
    }

    /// Receives a value, parking the goroutine until there is one; `None` when the channel
    /// is closed and empty. Go's `v, ok := <-c`.
    ///
    /// # Panics
    /// Off a goroutine.
    pub fn recv(&self) -> Option<T> {
        let mut slot = MaybeUninit::<T>::uninit();
        // SAFETY: the room is of the channel's type, and filled when the outcome says so.
        unsafe {
            match self.hchan().recv(slot.as_mut_ptr().cast(), true) {
                Outcome::Done => Some(slot.assume_init()),
                _ => None,
            }
        }
    }

    /// Receives a value if there is one now: `Ok(None)` when the channel is closed and
    /// empty.
    ///
    /// # Errors
    /// When one would have to wait.
    pub fn try_recv(&self) -> Result<Option<T>, WouldBlock> {
        let mut slot = MaybeUninit::<T>::uninit();
        // SAFETY: as in `recv`.
        unsafe {
            match self.hchan().recv(slot.as_mut_ptr().cast(), false) {
                Outcome::Done => Ok(Some(slot.assume_init())),
                Outcome::Closed => Ok(None),
                Outcome::WouldBlock => Err(WouldBlock),
            }
        }
    }

    /// Closes the channel: nothing more will be sent. Go's `close(c)`.
    ///
    /// # Panics
    /// Go's `close of closed channel`.
    #[track_caller]
    pub fn close(&self) {
        assert!(self.hchan().close(), "close of closed channel");
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        prologue!();
        self.hchan().is_closed()
    }

    /// Values in the buffer. Go's `len(c)`.
    pub fn len(&self) -> usize {
        self.hchan().count()
    }

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Room of the buffer. Go's `cap(c)`.
    pub fn cap(&self) -> usize {
        self.shared.buf.0.len()
    }

    /// Receives until the channel is closed and empty. Go's `for v := range c`.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv())
    }
}

/// Nothing to receive, and the channel is not closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WouldBlock;

struct Shared<T> {
    hchan: Hchan,
    buf: Buffer<T>,
}

/// The places of a channel's values, from a `Box`. A raw pointer, because `hchan` has a copy
/// of it, and a `Box` promises that there is none.
struct Buffer<T>(*mut [MaybeUninit<T>]);

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: it came from a `Box`, and the only other pointer to it is in `hchan`, which
        // nothing uses any more: both are fields of one `Shared`, whose own `drop` is over.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // This was the last handle of the channel.
        self.hchan.each_left(|place| {
            // SAFETY: what is in the buffer was sent and never received; it is dropped once.
            unsafe { std::ptr::drop_in_place(place.cast::<T>()) };
        });
    }
}
