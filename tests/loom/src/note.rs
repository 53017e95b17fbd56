//! A note: a thread that is woken before it sleeps does not sleep. Runs `os/noteword.rs` over a
//! model of the kernel's futex, a mutex around the look at the word and the going to sleep;
//! around it are the loops of `Note::sleep` and `wakeup` of `os/futex.rs`.

use crate::noteword::NoteWord;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

pub(crate) struct Note {
    word: NoteWord,
    kernel: Mutex<()>,
    sleepers: Condvar,
}

impl Note {
    pub(crate) fn new() -> Note {
        Note {
            word: NoteWord::new(),
            kernel: Mutex::new(()),
            sleepers: Condvar::new(),
        }
    }

    /// FUTEX_WAIT: sleeps if the word is still clear, as one step of the kernel.
    fn futex_wait(&self) {
        let kernel = self.kernel.lock().unwrap();
        if self.word.key().load(Relaxed) == NoteWord::CLEAR {
            drop(self.sleepers.wait(kernel).unwrap());
        }
    }

    fn futex_wake(&self) {
        let _kernel = self.kernel.lock().unwrap();
        self.sleepers.notify_one();
    }

    pub(crate) fn wakeup(&self) {
        if self.word.set() {
            self.futex_wake();
        }
    }

    pub(crate) fn sleep(&self) {
        while !self.word.is_set() {
            self.futex_wait();
        }
    }

    pub(crate) fn clear(&self) {
        self.word.clear();
    }

    /// Whether the next sleep returns at once.
    pub(crate) fn is_set(&self) -> bool {
        self.word.is_set()
    }
}

#[test]
fn a_wakeup_is_never_lost_and_carries_what_was_written() {
    loom::model(|| {
        let shared = Arc::new((Note::new(), AtomicUsize::new(0)));
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1.store(7, Relaxed);
                shared.0.wakeup();
            })
        };
        shared.0.sleep();
        assert_eq!(shared.1.load(Relaxed), 7);
        waker.join().unwrap();
    });
}

/// The kernel's side alone: a thread that is asleep when the waker is done is never woken.
/// `one_step`: whether the look at the word and the going to sleep are one.
fn looks_and_sleeps(one_step: bool) {
    loom::model(move || {
        let shared = Arc::new((NoteWord::new(), Mutex::new(false)));
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                let (word, asleep) = &*shared;
                if word.set() {
                    *asleep.lock().unwrap() = false;
                }
            })
        };
        let (word, asleep) = &*shared;
        if one_step {
            let mut asleep = asleep.lock().unwrap();
            *asleep = !word.is_set();
        } else if !word.is_set() {
            *asleep.lock().unwrap() = true;
        }
        waker.join().unwrap();
        assert!(!*asleep.lock().unwrap(), "it sleeps for ever");
    });
}

#[test]
fn a_sleeper_that_looks_and_sleeps_in_one_step_is_woken() {
    looks_and_sleeps(true);
}

/// The model notices when the kernel does that in two steps.
#[test]
#[should_panic(expected = "it sleeps for ever")]
fn a_sleeper_that_looks_and_sleeps_in_two_steps_misses_the_wakeup() {
    looks_and_sleeps(false);
}
