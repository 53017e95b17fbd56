//! An earlier timer is not slept over, and no M sleeps for a timer that was taken away: the very
//! file of the runtime, with loom's words in it, and around it what `addtimer` and
//! `one_reason_less` of stage 2 do on one side, and on the other an M that is about to sleep
//! until the earliest timer (`before_stopm`).
//!
//! Setting a timer: write when it is due, barrier, look whether an M sleeps for the timers.
//! Going to sleep: say so, barrier, look when the earliest is due. If both barriers stand, one
//! of them sees the other.

use crate::sleeper::Sleeper;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;

const NEVER: u64 = u64::MAX;
const FAR: u64 = 100;
const SOON: u64 = 1;

struct World {
    /// When the earliest timer is due: a P's `first`.
    first: AtomicU64,
    sleeper: Sleeper,
}

fn world(first: u64) -> Arc<World> {
    Arc::new(World {
        first: AtomicU64::new(first),
        sleeper: Sleeper::new(),
    })
}

/// Returns whether the sleeper was woken.
fn addtimer(w: &World, when: u64, barrier: bool) -> bool {
    w.first.store(when, Relaxed);
    if barrier {
        w.sleeper.oversleeps(when)
    } else {
        w.sleeper.oversleeps_after_the_barrier(when)
    }
}

/// `deltimer` of the only timer, and `one_reason_less`. Returns whether the sleeper was woken.
fn deltimer(w: &World) -> bool {
    w.first.store(NEVER, Relaxed);
    w.sleeper.sleeps_for_timers_at_most()
}

/// Returns until when the sleeper would sleep.
fn before_stopm(w: &World) -> u64 {
    assert!(w.sleeper.lie_down(), "there is no other");
    let until = w.first.load(Relaxed);
    w.sleeper.sleeps_until(until);
    until
}

fn model(first: u64, barrier: bool) {
    loom::model(move || {
        let w = world(first);
        let sleeper = {
            let w = w.clone();
            thread::spawn(move || before_stopm(&w))
        };
        let woken = addtimer(&w, SOON, barrier);
        let until = sleeper.join().unwrap();
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

/// The last timer is taken away while an M is on its way to sleep for it. `look_again`: the
/// sleeper asks once more whether there is anything to sleep for, as `before_stopm` does.
fn taken_away(look_again: bool) {
    loom::model(move || {
        let w = world(SOON);
        let sleeper = {
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
        let sleeps = sleeper.join().unwrap();
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

/// Of two Ms that find no work at the same time, one is the sleeper.
#[test]
fn there_is_one_sleeper() {
    loom::model(|| {
        let w = world(SOON);
        let other = {
            let w = w.clone();
            thread::spawn(move || w.sleeper.lie_down())
        };
        let this = w.sleeper.lie_down();
        assert!(this != other.join().unwrap());
    });
}
