//! The receiving end of a channel, which can neither send nor close: Go's `<-chan T`. Nothing
//! in Go's runtime corresponds to this file; there the compiler refuses.
//!
//! Tests: `timers::runs`, `heard`.

use crate::sync::chan::{Chan, WouldBlock};
use std::ops::Deref;
use std::sync::Arc;

/// What feeds a channel and must live as long as there is a receiver for it.
pub trait Source: Send + Sync {
    /// A goroutine is about to receive, or to ask how much there is: what is due comes now.
    fn look(&self);
}

/// A channel from which one can only receive. Clones are the same channel. Go's `<-chan T`.
///
/// It receives as a [`Chan`] does, in `select!` too. A holder of only this end cannot close
/// the channel under its sender's feet:
///
/// ```compile_fail
/// # fn f(c: stage1_coop::Receiver<u32>) {
/// c.close();
/// # }
/// ```
pub struct Receiver<T> {
    chan: Chan<T>,
    source: Option<Arc<dyn Source>>,
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver {
            chan: self.chan.clone(),
            source: self.source.clone(),
        }
    }
}

impl<T: Send> Receiver<T> {
    /// The receiving end of `chan`, of which `source` is dropped with the last clone.
    pub fn with_source(chan: Chan<T>, source: Arc<dyn Source>) -> Receiver<T> {
        let source = Some(source);
        Receiver { chan, source }
    }

    /// The channel, when what is due has come.
    #[inline]
    fn chan(&self) -> &Chan<T> {
        if let Some(source) = &self.source {
            source.look();
        }
        &self.chan
    }

    /// As [`Chan::recv`].
    ///
    /// # Panics
    /// Off a goroutine.
    pub fn recv(&self) -> Option<T> {
        self.chan().recv()
    }

    /// As [`Chan::try_recv`].
    ///
    /// # Errors
    /// When one would have to wait.
    pub fn try_recv(&self) -> Result<Option<T>, WouldBlock> {
        self.chan().try_recv()
    }

    /// Whether the channel was closed.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// Values that wait to be received.
    pub fn len(&self) -> usize {
        self.chan().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Receives until the channel is closed and empty.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv())
    }
}

impl<T: Send> From<Chan<T>> for Receiver<T> {
    fn from(chan: Chan<T>) -> Receiver<T> {
        let source = None;
        Receiver { chan, source }
    }
}

/// A channel that only this crate can do something with. See [`Receive::end`].
pub struct End<'a, T>(pub(crate) &'a Chan<T>);

/// What a `recv` arm of `select!` takes: a channel, its receiving end, or a reference to one.
#[diagnostic::on_unimplemented(
    message = "select!: one cannot receive from a `{Self}`",
    label = "this is no channel",
    note = "an arm receives from a `Chan` or a `Receiver`; a thing that has a channel in it gives it by a method, often `c()`: `recv(thing.c())`"
)]
pub trait Receive {
    /// What comes.
    type Item: Send;
    /// The channel to receive from, sealed: the scheduler sends on the one of a timer, and must
    /// not find it closed, so programs only hand it on.
    ///
    /// ```compile_fail,E0599
    /// # use stage1_coop::{Receiver, rt::Receive};
    /// # fn f(c: Receiver<u32>) {
    /// c.end().close();
    /// # }
    /// ```
    fn end(&self) -> End<'_, Self::Item>;
    /// What may have something for it that is due, if anything does: [`end`](Self::end) has
    /// asked, and code that keeps the channel for later asks again.
    fn source(&self) -> Option<&dyn Source> {
        None
    }
}

impl<T: Send> Receive for Chan<T> {
    type Item = T;
    fn end(&self) -> End<'_, T> {
        End(self)
    }
}

impl<T: Send> Receive for Receiver<T> {
    type Item = T;
    fn end(&self) -> End<'_, T> {
        End(self.chan())
    }
    fn source(&self) -> Option<&dyn Source> {
        self.source.as_deref()
    }
}

impl<D: Deref<Target: Receive>> Receive for D {
    type Item = <D::Target as Receive>::Item;
    fn end(&self) -> End<'_, Self::Item> {
        (**self).end()
    }
    fn source(&self) -> Option<&dyn Source> {
        (**self).source()
    }
}
