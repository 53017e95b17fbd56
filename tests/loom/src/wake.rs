//! The delicate dance: work that is made while the last looker goes to sleep is not left
//! lying. Models `runqput` + `wakep` on one side and the end of `findrunnable` on the other
//! (`sched/wake.rs`, `sched/schedule.rs`), with one queue of one item.
//!
//! The submitter: queue, barrier, look at `nmspinning`. The looker: `nmspinning` down,
//! barrier, look at the queue. If both barriers stand, one of them sees the other. A second
//! model has an M that never counted as a looker and gives its P up all the same, because
//! enough others were looking. Two tests take a barrier or a look away and show that the
//! model notices.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*, fence};
use loom::thread;

struct World {
    queue: AtomicBool,
    nmspinning: AtomicU32,
    npidle: AtomicU32,
}

fn world() -> Arc<World> {
    Arc::new(World {
        queue: AtomicBool::new(false),
        // One M looks for work; its P is idle already (findrunnable gave it up).
        nmspinning: AtomicU32::new(1),
        npidle: AtomicU32::new(1),
    })
}

/// `wakep`: returns whether it would start an M.
fn submit(w: &World, barrier: bool) -> bool {
    // runqput's release of the tail.
    w.queue.store(true, Release);
    if barrier {
        fence(SeqCst);
    }
    w.npidle.load(Relaxed) != 0
        && w.nmspinning.load(Relaxed) == 0
        && w.nmspinning.compare_exchange(0, 1, SeqCst, Relaxed).is_ok()
}

/// The end of `findrunnable`: returns whether the looker saw the work after all.
fn go_to_sleep(w: &World) -> bool {
    w.nmspinning.fetch_sub(1, SeqCst);
    fence(SeqCst);
    w.queue.load(Acquire)
}

#[test]
fn work_made_while_the_last_looker_goes_to_sleep_is_seen_by_one_of_them() {
    loom::model(|| {
        let w = world();
        let looker = {
            let w = w.clone();
            thread::spawn(move || go_to_sleep(&w))
        };
        let started = submit(&w, true);
        let seen = looker.join().unwrap();
        assert!(
            started || seen,
            "work lies in the queue and everybody sleeps"
        );
    });
}

#[test]
fn two_submitters_start_at_most_one_m() {
    loom::model(|| {
        let w = world();
        w.nmspinning.store(0, SeqCst);
        let other = {
            let w = w.clone();
            thread::spawn(move || submit(&w, true))
        };
        let one = submit(&w, true);
        let two = other.join().unwrap();
        assert!(one ^ two, "exactly one of them wakes somebody");
    });
}

/// Without the submitter's barrier the store to the queue and the load of the counter may
/// change places: the model must find that.
#[test]
#[should_panic(expected = "everybody sleeps")]
fn without_the_barrier_work_is_lost() {
    loom::model(|| {
        let w = world();
        let looker = {
            let w = w.clone();
            thread::spawn(move || go_to_sleep(&w))
        };
        let started = submit(&w, false);
        let seen = looker.join().unwrap();
        assert!(
            started || seen,
            "work lies in the queue and everybody sleeps"
        );
    });
}

/// Three Ms. One has made a goroutine and makes another, one counts as a looker and takes one
/// of them, and one is not counted (enough others searched when it began) and gives its P up.
struct Busy {
    /// Goroutines in the submitter's queue.
    queue: AtomicU32,
    nmspinning: AtomicU32,
    npidle: AtomicU32,
}

/// `wakep`: returns whether it would start an M.
fn wakep(w: &Busy) -> bool {
    fence(SeqCst);
    w.npidle.load(Relaxed) != 0
        && w.nmspinning.load(Relaxed) == 0
        && w.nmspinning.compare_exchange(0, 1, SeqCst, Relaxed).is_ok()
}

/// A looker: steals and tells the next (`resetspinning`), or gives its P up and looks once
/// more. Returns whether an M looks at the queues after this.
fn looker(w: &Busy) -> bool {
    let stolen = w
        .queue
        .fetch_update(AcqRel, Acquire, |n| n.checked_sub(1))
        .is_ok();
    if stolen {
        w.nmspinning.fetch_sub(1, SeqCst);
        return wakep(w);
    }
    w.npidle.fetch_add(1, SeqCst);
    w.nmspinning.fetch_sub(1, SeqCst);
    fence(SeqCst);
    w.queue.load(Acquire) != 0
}

/// An M that is not counted gives its P up: with Go 1.15's rule it looks once more.
fn not_counted(w: &Busy, looks: bool) -> bool {
    w.npidle.fetch_add(1, SeqCst);
    fence(SeqCst);
    looks && w.queue.load(Acquire) != 0
}

fn beside_one_who_is_not_counted(looks: bool) {
    loom::model(move || {
        let w = Arc::new(Busy {
            queue: AtomicU32::new(1),
            nmspinning: AtomicU32::new(1),
            npidle: AtomicU32::new(0),
        });
        let counted = {
            let w = w.clone();
            thread::spawn(move || looker(&w))
        };
        let uncounted = {
            let w = w.clone();
            thread::spawn(move || not_counted(&w, looks))
        };
        // `runqput` and `wakep`.
        w.queue.fetch_add(1, Release);
        let mut found = wakep(&w);
        found |= counted.join().unwrap();
        found |= uncounted.join().unwrap();
        let (queued, idle) = (w.queue.load(SeqCst), w.npidle.load(SeqCst));
        assert!(
            queued == 0 || idle == 0 || found,
            "{queued} in the queue, {idle} P idle, and everybody sleeps"
        );
    });
}

#[test]
fn an_m_that_was_not_counted_as_a_looker_looks_too() {
    beside_one_who_is_not_counted(true);
}

/// The rule that only an M that was counted looks once more, without Go 1.21's
/// `needspinning`: the model must find the goroutine that it loses.
#[test]
#[should_panic(expected = "everybody sleeps")]
fn if_only_those_who_were_counted_look_a_goroutine_is_lost() {
    beside_one_who_is_not_counted(false);
}
