//! An earlier timer is not slept over, and no M sleeps for a timer that was taken away. Runs
//! `sleepword.rs`; around it are `addtimer` and `deltimer` of stage 2 on one side, and on the
//! other an M that is about to sleep until the earliest timer (`before_stopm`).

use crate::sleepword::Sleeper;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::*};
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

impl World {
    /// `addtimer`: returns whether the sleeper was woken.
    fn addtimer(&self, when: u64) -> bool {
        self.first.store(when, Relaxed);
        self.sleeper.oversleeps(when)
    }

    /// The same without the barrier. (What it reads is less than `oversleeps` does: an M that
    /// is there at all is woken.)
    fn addtimer_without_the_barrier(&self, when: u64) -> bool {
        self.first.store(when, Relaxed);
        self.sleeper.is_there()
    }

    /// `deltimer` of the only timer, and `one_reason_less`: returns whether the sleeper was
    /// woken.
    fn deltimer(&self) -> bool {
        self.first.store(NEVER, Relaxed);
        self.sleeper
            .sleeps_in_vain(|| self.first.load(Relaxed) != NEVER)
    }

    /// Returns until when the M would sleep.
    fn before_stopm(&self) -> u64 {
        assert!(self.sleeper.lie_down(), "no other M sleeps");
        let until = self.first.load(Relaxed);
        self.sleeper.until(until);
        until
    }
}

fn model(first: u64, addtimer: fn(&World, u64) -> bool) {
    loom::model(move || {
        let w = world(first);
        let sleeper = {
            let w = w.clone();
            thread::spawn(move || w.before_stopm())
        };
        let woken = addtimer(&w, SOON);
        let until = sleeper.join().unwrap();
        assert!(woken || until <= SOON, "slept over");
    });
}

#[test]
fn an_earlier_timer_is_not_slept_over() {
    model(FAR, World::addtimer);
    model(NEVER, World::addtimer);
}

#[test]
#[should_panic(expected = "slept over")]
fn without_the_barrier_it_may_be() {
    model(FAR, World::addtimer_without_the_barrier);
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
                let until = w.before_stopm();
                let nothing_left = look_again && until == NEVER;
                if nothing_left {
                    w.sleeper.get_up(1);
                }
                !nothing_left
            })
        };
        let woken = w.deltimer();
        let sleeps = sleeper.join().unwrap();
        assert!(woken || !sleeps, "sleeps for nothing");
    });
}

#[test]
fn no_m_sleeps_for_a_timer_that_was_taken_away() {
    taken_away(true);
}

#[test]
#[should_panic(expected = "sleeps for nothing")]
fn without_a_second_look_an_m_may() {
    taken_away(false);
}

#[test]
fn of_two_ms_one_lies_down() {
    loom::model(|| {
        let w = world(NEVER);
        let other = {
            let w = w.clone();
            thread::spawn(move || w.sleeper.lie_down())
        };
        let one = w.sleeper.lie_down();
        assert!(one ^ other.join().unwrap());
    });
}
