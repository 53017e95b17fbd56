//! A one-time event: one thread sleeps, another wakes it, and then the note must be cleared
//! before it is used again. Mirrors the notes of `lock_futex.go`.
//!
//! Tests: `waking::sleeping_threads_are_used_again`.

use super::futex::{futex_wait, futex_wake};
use super::monotonic;
use super::noteword::NoteWord;
use crate::arch::getm_opt;
use safepoint_lockstep as lab;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// A one-time event. Go's `note`. Its word and its protocol are in `noteword.rs`.
pub struct Note {
    word: NoteWord,
    /// In lockstep: the sleeper's actor plus one.
    sleeper: AtomicUsize,
}

impl Note {
    /// A note that has not been woken.
    pub const fn new() -> Note {
        Note {
            word: NoteWord::new(),
            sleeper: AtomicUsize::new(0),
        }
    }

    /// Makes the note ready for another sleep. No thread may be asleep on it. Go's `noteclear`.
    pub fn clear(&self) {
        self.word.clear();
    }

    /// Wakes the sleeper, or lets the next sleep return at once. Go's `notewakeup`, but a
    /// second call is no error: at the end of a run several may wake the same M.
    pub fn wakeup(&self) {
        if !self.word.set() {
            return;
        }
        if lab::enabled() {
            if let Some(actor) = self.sleeper.load(Relaxed).checked_sub(1) {
                lab::unblock(actor);
            }
        } else {
            futex_wake(self.word.key(), 1);
        }
    }

    /// Wakes the sleeper, from a signal handler (free-running only).
    pub fn wakeup_from_signal(&self) {
        if self.word.set() {
            futex_wake(self.word.key(), 1);
        }
    }

    /// Sleeps until the note is woken. Go's `notesleep`.
    pub fn sleep(&self) {
        if lab::enabled() {
            self.sleeper.store(me_plus_one(), Relaxed);
            while !self.word.is_set() {
                asleep(lab::block);
            }
            self.sleeper.store(0, Relaxed);
            return;
        }
        while !self.word.is_set() {
            asleep(|| futex_wait(self.word.key(), NoteWord::CLEAR, None));
        }
    }

    /// Sleeps until the note is woken or `ns` nanoseconds have passed; returns whether it
    /// was woken. Go's `notetsleep`.
    pub fn tsleep(&self, ns: u64) -> bool {
        if lab::enabled() {
            if !self.word.is_set() {
                self.sleeper.store(me_plus_one(), Relaxed);
                asleep(|| {
                    lab::block_until(lab::now().saturating_add(ns));
                });
                self.sleeper.store(0, Relaxed);
            }
            return self.word.is_set();
        }
        let deadline = monotonic().saturating_add(ns);
        loop {
            if self.word.is_set() {
                return true;
            }
            let now = monotonic();
            if now >= deadline {
                return false;
            }
            asleep(|| futex_wait(self.word.key(), NoteWord::CLEAR, Some(deadline - now)));
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
