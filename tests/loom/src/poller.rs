//! An earlier timer is not slept over, and nobody sleeps for a timer that was taken away. Models `addtimer` and `wake_net_poller` of stage 2 on
//! one side, and on the other an M that is about to sleep until the earliest timer
//! (`before_stopm`).
//!
//! Who sets a timer: writes when it is due, barrier, looks whether somebody sleeps for the
//! timers. Who wants to sleep: says so, barrier, looks when the earliest is due. If both
//! barriers stand, one of them sees the other.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};
use loom::thread;

const NEVER: u64 = u64::MAX;
const FAR: u64 = 100;
const SOON: u64 = 1;

struct World {
    /// When the earliest timer is due: a P's `first`.
    first: AtomicU64,
    /// Somebody is the poller.
    polling: AtomicBool,
    /// Until when it sleeps, 0 if it has not decided.
    poll_until: AtomicU64,
}

/// Returns whether the poller was woken.
fn addtimer(w: &World, when: u64, barrier: bool) -> bool {
    w.first.store(when, Relaxed);
    if barrier {
        fence(SeqCst);
    }
    let until = w.poll_until.load(Relaxed);
    w.polling.load(Acquire) && (until == 0 || until > when)
}

/// `deltimer` of the only timer, and `one_reason_less`. Returns whether the poller was woken.
fn deltimer(w: &World) -> bool {
    w.first.store(NEVER, Relaxed);
    fence(SeqCst);
    w.polling.load(Acquire)
}

/// Returns until when the poller would sleep.
fn before_stopm(w: &World) -> u64 {
    w.polling.store(true, Relaxed);
    fence(SeqCst);
    let until = w.first.load(Relaxed);
    w.poll_until.store(until, Relaxed);
    until
}

fn model(first: u64, barrier: bool) {
    loom::model(move || {
        let w = Arc::new(World {
            first: AtomicU64::new(first),
            polling: AtomicBool::new(false),
            poll_until: AtomicU64::new(0),
        });
        let poller = {
            let w = w.clone();
            thread::spawn(move || before_stopm(&w))
        };
        let woken = addtimer(&w, SOON, barrier);
        let until = poller.join().unwrap();
        assert!(woken || until <= SOON, "slept over");
    });
}

#[test]
fn an_earlier_timer_is_not_slept_over() {
    model(FAR, true);
    model(NEVER, true);
}

#[test]
#[should_panic = "slept over"]
fn without_the_barrier_it_may_be() {
    model(FAR, false);
}

/// The last timer is taken away while somebody is on its way to sleep for it. `look_again`: the
/// sleeper asks once more whether there is anything to sleep for, as `before_stopm` does.
fn taken_away(look_again: bool) {
    loom::model(move || {
        let w = Arc::new(World {
            first: AtomicU64::new(SOON),
            polling: AtomicBool::new(false),
            poll_until: AtomicU64::new(0),
        });
        let poller = {
            let w = w.clone();
            thread::spawn(move || {
                if w.first.load(Relaxed) == NEVER {
                    return false;
                }
                let until = before_stopm(&w);
                !(look_again && until == NEVER)
            })
        };
        let woken = deltimer(&w);
        let sleeps = poller.join().unwrap();
        assert!(woken || !sleeps, "sleeps for nothing");
    });
}

#[test]
fn nobody_sleeps_for_a_timer_that_was_taken_away() {
    taken_away(true);
}

#[test]
#[should_panic = "sleeps for nothing"]
fn without_a_second_look_somebody_may() {
    taken_away(false);
}
