//! The word of a [`Note`](super::Note): a one-time event, woken or not.
//!
//! # Protocol
//!
//! Participants: the *sleeper*, one thread; *wakers*, any number.
//!
//! A waker:
//!
//! 1. writes what the sleeper is to see (`m.nextp`, a bit of `sched.attention`);
//! 2. sets the word ([`set`](NoteWord::set)): an exchange, a release;
//! 3. if the word was not set before, it makes the kernel wake the thread that sleeps on it.
//!    If it was, another waker does that, or no thread sleeps.
//!
//! The sleeper:
//!
//! 1. sleeps in the kernel while the word is not set. The kernel looks at the word and puts the
//!    thread to sleep in one step, so a word that is set before that is not missed: a thread
//!    that is woken before it sleeps does not sleep;
//! 2. clears the word ([`clear`](NoteWord::clear)): an exchange, an acquire;
//! 3. *then* looks at what the wakers wrote. A waker that found the word set in its step 2 did
//!    not wake it again. It came before the clearing, so what it wrote is seen here.
//!
//! Model: `tests/loom/src/note.rs` runs this file. Tests:
//! `waking::sleeping_threads_are_used_again`.

use crate::word::AtomicU32;
use std::sync::atomic::Ordering::*;

/// The word. See the module.
#[repr(transparent)]
pub struct NoteWord(AtomicU32);

impl NoteWord {
    /// The value of a word that is not set: a thread sleeps while it is this.
    pub const CLEAR: u32 = 0;
    const SET: u32 = 1;

    /// A word that is not set.
    #[cfg(not(loom))]
    pub const fn new() -> NoteWord {
        NoteWord(AtomicU32::new(NoteWord::CLEAR))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> NoteWord {
        NoteWord(AtomicU32::new(NoteWord::CLEAR))
    }

    /// Whether it is set. Acquire: what the waker wrote is seen.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Acquire) == NoteWord::SET
    }

    /// Sets the word. True: it was not set, and a thread may sleep on it.
    #[inline]
    #[must_use = "a thread may sleep on it"]
    pub fn set(&self) -> bool {
        self.0.swap(NoteWord::SET, AcqRel) == NoteWord::CLEAR
    }

    /// Clears the word. A swap and no store: it sees what the wakers wrote that came before.
    #[inline]
    pub fn clear(&self) {
        self.0.swap(NoteWord::CLEAR, AcqRel);
    }

    /// The word itself, which the kernel takes for the name of the place to sleep at.
    #[inline]
    pub fn key(&self) -> &AtomicU32 {
        &self.0
    }
}

impl Default for NoteWord {
    fn default() -> NoteWord {
        NoteWord::new()
    }
}
