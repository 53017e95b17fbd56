//! The delicate dance: work that is made while the last searcher goes to sleep is not left in
//! its queue. Runs `searchers.rs`, with one queue of one item around it: `runqput` and `wakep`
//! on one side, the end of `findrunnable` on the other.
//!
//! A second model has an M that never counted as a searcher and gives its P up all the same,
//! because enough others searched. Three tests take a barrier or a look away and show that the
//! model notices.

use crate::searchers::Searchers;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use loom::thread;

struct World {
    queue: AtomicBool,
    searchers: Searchers,
    npidle: AtomicU32,
}

/// One M searches for work; its P is idle already (`findrunnable` gave it up).
fn world() -> Arc<World> {
    let w = World {
        queue: AtomicBool::new(false),
        searchers: Searchers::new(),
        npidle: AtomicU32::new(1),
    };
    w.searchers.join();
    Arc::new(w)
}

impl World {
    fn a_p_is_idle(&self) -> bool {
        self.npidle.load(Relaxed) != 0
    }

    /// `runqput` releases the tail, and `wakep`: returns whether it would start an M.
    fn submit(&self) -> bool {
        self.queue.store(true, Release);
        self.searchers.needed(|| self.a_p_is_idle())
    }

    /// The same without the barrier.
    fn submit_without_the_barrier(&self) -> bool {
        self.queue.store(true, Release);
        self.a_p_is_idle() && self.searchers.join_if_none()
    }

    /// The end of `findrunnable`: returns whether the looker saw the work after all.
    fn go_to_sleep(&self) -> bool {
        self.searchers.last_look(true, || self.queue.load(Acquire))
    }

    /// The same without the barrier.
    fn go_to_sleep_without_the_barrier(&self) -> bool {
        self.searchers.leave();
        self.queue.load(Acquire)
    }
}

fn model(submit: fn(&World) -> bool, go_to_sleep: fn(&World) -> bool) {
    loom::model(move || {
        let w = world();
        let looker = {
            let w = w.clone();
            thread::spawn(move || go_to_sleep(&w))
        };
        let started = submit(&w);
        let seen = looker.join().unwrap();
        assert!(started || seen, "work is in the queue and every M sleeps");
    });
}

#[test]
fn work_made_while_the_last_looker_goes_to_sleep_is_seen_by_one_of_them() {
    model(World::submit, World::go_to_sleep);
}

/// Without the submitter's barrier the store to the queue and the load of the counter may
/// change places: the model must find that.
#[test]
#[should_panic(expected = "every M sleeps")]
fn without_the_submitter_s_barrier_work_is_lost() {
    model(World::submit_without_the_barrier, World::go_to_sleep);
}

/// And without the looker's, although it leaves by an exchange.
#[test]
#[should_panic(expected = "every M sleeps")]
fn without_the_looker_s_barrier_work_is_lost() {
    model(World::submit, World::go_to_sleep_without_the_barrier);
}

#[test]
fn two_submitters_start_at_most_one_m() {
    loom::model(|| {
        let w = world();
        w.searchers.leave();
        let other = {
            let w = w.clone();
            thread::spawn(move || w.submit())
        };
        let one = w.submit();
        let two = other.join().unwrap();
        assert!(one ^ two, "exactly one of them starts an M");
        assert_eq!(w.searchers.count(), 1);
    });
}

/// Three Ms. One has made a goroutine and makes another, one counts as a searcher and takes one
/// of them, and one is not counted (enough others searched when it began) and gives its P up.
struct Busy {
    /// Goroutines in the submitter's queue.
    queue: AtomicU32,
    searchers: Searchers,
    npidle: AtomicU32,
}

impl Busy {
    /// Returns whether it would start an M.
    fn wakep(&self) -> bool {
        self.searchers.needed(|| self.npidle.load(Relaxed) != 0)
    }

    fn work_is_queued(&self) -> bool {
        self.queue.load(Acquire) != 0
    }

    /// A searcher: steals and tells the next (`resetspinning`), or gives its P up and looks
    /// once more. Returns whether an M looks at the queues after this.
    fn counted(&self) -> bool {
        let stolen = self
            .queue
            .fetch_update(AcqRel, Acquire, |n| n.checked_sub(1))
            .is_ok();
        if stolen {
            self.searchers.leave();
            return self.wakep();
        }
        self.npidle.fetch_add(1, SeqCst);
        self.searchers.last_look(true, || self.work_is_queued())
    }

    /// An M that is not counted gives its P up: with Go 1.15's rule it looks once more.
    fn not_counted(&self, looks: bool) -> bool {
        self.npidle.fetch_add(1, SeqCst);
        looks && self.searchers.last_look(false, || self.work_is_queued())
    }
}

fn beside_an_m_that_is_not_counted(looks: bool) {
    loom::model(move || {
        let w = Arc::new(Busy {
            queue: AtomicU32::new(1),
            searchers: Searchers::new(),
            npidle: AtomicU32::new(0),
        });
        w.searchers.join();
        let counted = {
            let w = w.clone();
            thread::spawn(move || w.counted())
        };
        let uncounted = {
            let w = w.clone();
            thread::spawn(move || w.not_counted(looks))
        };
        // `runqput` and `wakep`.
        w.queue.fetch_add(1, Release);
        let mut found = w.wakep();
        found |= counted.join().unwrap();
        found |= uncounted.join().unwrap();
        let (queued, idle) = (w.queue.load(SeqCst), w.npidle.load(SeqCst));
        assert!(
            queued == 0 || idle == 0 || found,
            "{queued} in the queue, {idle} P idle, and every M sleeps"
        );
    });
}

#[test]
fn an_m_that_was_not_counted_as_a_searcher_looks_too() {
    beside_an_m_that_is_not_counted(true);
}

/// The rule that only an M that was counted looks once more, without Go 1.21's
/// `needspinning`: the model must find the goroutine that it loses.
#[test]
#[should_panic(expected = "every M sleeps")]
fn if_only_searchers_look_a_goroutine_is_lost() {
    beside_an_m_that_is_not_counted(false);
}
