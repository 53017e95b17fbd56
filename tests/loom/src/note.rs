//! A note: who is woken before it sleeps does not sleep. Models `Note::sleep`, `wakeup` and
//! `clear` of `os/futex.rs` over a model of the kernel's futex: a mutex around the look at
//! the word and the going to sleep.

use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

struct Note {
    key: AtomicU32,
    kernel: Mutex<()>,
    sleepers: Condvar,
}

impl Note {
    fn new() -> Note {
        Note {
            key: AtomicU32::new(0),
            kernel: Mutex::new(()),
            sleepers: Condvar::new(),
        }
    }

    /// FUTEX_WAIT: sleeps if the word is still `expected`, as one step of the kernel.
    fn futex_wait(&self, expected: u32) {
        let kernel = self.kernel.lock().unwrap();
        if self.key.load(Relaxed) == expected {
            drop(self.sleepers.wait(kernel).unwrap());
        }
    }

    fn futex_wake(&self) {
        let _kernel = self.kernel.lock().unwrap();
        self.sleepers.notify_one();
    }

    fn wakeup(&self) {
        if self.key.swap(1, AcqRel) == 1 {
            return;
        }
        self.futex_wake();
    }

    fn sleep(&self) {
        while self.key.load(Acquire) == 0 {
            self.futex_wait(0);
        }
    }

    fn clear(&self) {
        self.key.swap(0, AcqRel);
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

/// The end of a run: two wakers may come at once (one gives work, one says stop), and the
/// sleeper, which clears the note and then looks, must not miss the stop.
#[test]
fn after_clear_a_stop_that_found_the_note_up_is_seen() {
    let mut model = loom::model::Builder::new();
    // Three threads and a loop: at most two switches away from a thread that could go on.
    model.preemption_bound = Some(2);
    model.check(|| {
        let shared = Arc::new((Note::new(), AtomicUsize::new(0)));
        let work = {
            let shared = shared.clone();
            thread::spawn(move || shared.0.wakeup())
        };
        let stop = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1.store(1, Relaxed);
                shared.0.wakeup();
            })
        };
        // mpark, as often as it takes: sleep, clear, look.
        loop {
            shared.0.sleep();
            shared.0.clear();
            if shared.1.load(Relaxed) == 1 {
                break;
            }
        }
        work.join().unwrap();
        stop.join().unwrap();
    });
}
