//! The thread that gives memory back sleeps until many stacks are free, and is told once per
//! burst. Runs `stack/burst.rs`; around its two words are `spill` of `slots.rs` with `begin` of
//! `scavenge.rs` on the one side, and the end of the loop of `scavenger` with `few_are_free` and
//! `sleep` on the other.

use crate::burst::{Burst, Call};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Free stacks from which on there are many.
const BEGIN: usize = 1;

struct Pool {
    free: usize,
    burst: Burst,
}

struct Many {
    call: Call,
    /// The thread sleeps ([`Scavenger::lie_down`]).
    asleep: bool,
}

struct Scavenger {
    pool: Mutex<Pool>,
    many: Mutex<Many>,
    wake: Condvar,
    /// Whether `many` is kept for a thread that does not sleep yet.
    kept: bool,
}

impl Scavenger {
    /// A burst has been given back; the thread goes to sleep.
    fn new(kept: bool) -> Scavenger {
        let mut burst = Burst::new();
        assert!(burst.begins(true));
        Scavenger {
            pool: Mutex::new(Pool { free: 0, burst }),
            many: Mutex::new(Many {
                call: Call::new(),
                asleep: false,
            }),
            wake: Condvar::new(),
            kept,
        }
    }

    /// A goroutine's stack becomes free.
    fn spill(&self) {
        let told = {
            let mut pool = self.pool.lock().unwrap();
            pool.free += 1;
            let many = pool.free >= BEGIN;
            pool.burst.begins(many)
        };
        if told {
            let mut many = self.many.lock().unwrap();
            if self.kept {
                many.call.raise();
            }
            many.asleep = false;
            self.wake.notify_one();
        }
    }

    fn few_are_free(&self) -> bool {
        let mut pool = self.pool.lock().unwrap();
        let many = pool.free >= BEGIN;
        !pool.burst.goes_on(many)
    }

    fn sleep(&self) {
        let mut many = self.many.lock().unwrap();
        if !many.call.is_up() {
            many = self.wake.wait(many).unwrap();
        }
        many.call.lower();
    }

    /// As `sleep`, up to the moment at which it would wait.
    fn lie_down(&self) {
        let mut many = self.many.lock().unwrap();
        many.asleep = !many.call.is_up();
    }

    /// The thread, until it has given `bursts` back.
    fn scavenge(&self, mut bursts: usize) {
        while bursts > 0 {
            if self.few_are_free() {
                self.sleep();
            }
            let free = std::mem::take(&mut self.pool.lock().unwrap().free);
            bursts -= free;
        }
    }
}

/// Two bursts: the second comes while the thread is at the first, or has gone to sleep again.
fn two_bursts(kept: bool) {
    loom::model(move || {
        let shared = Arc::new(Scavenger::new(kept));
        let other = shared.clone();
        let thread = thread::spawn(move || other.scavenge(2));
        shared.spill();
        shared.spill();
        thread.join().unwrap();
    });
}

#[test]
fn every_burst_is_given_back() {
    two_bursts(true);
}

/// One burst, while the thread is on its way to sleep: when both are done, it is awake.
fn one_burst(kept: bool) {
    loom::model(move || {
        let shared = Arc::new(Scavenger::new(kept));
        let other = shared.clone();
        let thread = thread::spawn(move || {
            if other.few_are_free() {
                other.lie_down();
            }
        });
        shared.spill();
        thread.join().unwrap();
        assert!(!shared.many.lock().unwrap().asleep, "it sleeps for ever");
    });
}

#[test]
fn a_call_before_the_thread_sleeps_is_kept() {
    one_burst(true);
}

/// Without the word: a call between the look and the sleep wakes nothing.
#[test]
#[should_panic(expected = "it sleeps for ever")]
fn a_call_that_is_not_kept_is_lost() {
    one_burst(false);
}
