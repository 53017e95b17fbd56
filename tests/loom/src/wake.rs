//! The delicate dance: work that is made while the last looker goes to sleep is not left
//! lying. Models `runqput` + `wakep` on one side and the end of `findrunnable` on the other
//! (`proc.rs`, `schedule.rs`), with one queue of one item.
//!
//! The submitter: queue, barrier, look at `nmspinning`. The looker: `nmspinning` down,
//! barrier, look at the queue. If both barriers stand, one of them sees the other. The last
//! test takes one away and shows that the model notices.

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
