//! The state of a goroutine says which M may touch it. Runs `gstatus.rs`; around it is what
//! `gosched_impl`, `execute`, `park_m` and `ready` do.
//!
//! The goroutine's stack is a plain cell here. Two Ms on it at once, or an M that does not see
//! what the last one wrote, are a data race, and loom finds it.

use crate::gstatus::{GDEAD, GIDLE, GRUNNABLE, GRUNNING, GStatus, GWAITING};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// What an M does with a goroutine's stack: it runs there. Returns how often that was done
/// before.
fn run(stack: &UnsafeCell<u32>) -> u32 {
    // SAFETY: the caller made the goroutine running; loom checks it.
    stack.with_mut(|n| unsafe {
        *n += 1;
        *n - 1
    })
}

struct G {
    status: GStatus,
    stack: UnsafeCell<u32>,
}

/// The exchange of the runtime's own file.
fn change<const OLD: u32, const NEW: u32>(status: &GStatus) -> bool {
    // SAFETY: there is no stack behind a model's state; its cell notices a second user.
    unsafe { status.try_change::<OLD, NEW>() }
}

/// A state that has come to running, as every goroutine's does.
pub(crate) fn running() -> GStatus {
    let status = GStatus::new();
    assert!(change::<GIDLE, GDEAD>(&status));
    assert!(change::<GDEAD, GRUNNABLE>(&status));
    assert!(change::<GRUNNABLE, GRUNNING>(&status));
    status
}

/// A goroutine that the caller runs.
fn goroutine() -> Arc<G> {
    Arc::new(G {
        status: running(),
        stack: UnsafeCell::new(0),
    })
}

impl G {
    /// `execute`: whether the caller may run it.
    fn execute(&self) -> bool {
        change::<GRUNNABLE, GRUNNING>(&self.status)
    }
}

/// It was put into two queues, which is a bug: two Ms find it, and one goes there.
#[test]
fn of_two_ms_that_find_a_goroutine_one_runs_it() {
    loom::model(|| {
        let gp = goroutine();
        run(&gp.stack);
        assert!(change::<GRUNNING, GRUNNABLE>(&gp.status));
        let other = {
            let gp = gp.clone();
            thread::spawn(move || {
                let mine = gp.execute();
                if mine {
                    assert_eq!(run(&gp.stack), 1);
                }
                mine
            })
        };
        let mine = gp.execute();
        if mine {
            assert_eq!(run(&gp.stack), 1);
        }
        assert!(mine ^ other.join().unwrap(), "exactly one runs it");
    });
}

/// No queue orders anything here: the exchange alone carries the goroutine's memory.
#[test]
fn the_next_m_sees_what_the_last_one_did() {
    loom::model(|| {
        let gp = goroutine();
        let next = {
            let gp = gp.clone();
            thread::spawn(move || {
                if gp.execute() {
                    assert_eq!(run(&gp.stack), 1);
                }
            })
        };
        run(&gp.stack);
        assert!(change::<GRUNNING, GRUNNABLE>(&gp.status));
        next.join().unwrap();
    });
}

/// The model notices when the exchange orders nothing.
#[test]
#[should_panic(expected = "Causality violation")]
fn with_a_relaxed_exchange_the_next_m_is_too_early() {
    loom::model(|| {
        let gp = Arc::new((AtomicU32::new(GRUNNING), UnsafeCell::new(0)));
        let change = |status: &AtomicU32, old, new| {
            status.compare_exchange(old, new, Relaxed, Relaxed).is_ok()
        };
        let next = {
            let gp = gp.clone();
            thread::spawn(move || {
                if change(&gp.0, GRUNNABLE, GRUNNING) {
                    run(&gp.1);
                }
            })
        };
        run(&gp.1);
        change(&gp.0, GRUNNING, GRUNNABLE);
        next.join().unwrap();
    });
}

/// `gopark` with a channel's lock, and a waker that takes it. `waiting_first`: the order in
/// `park_m`.
fn park_and_ready(waiting_first: bool) {
    loom::model(move || {
        let gp = goroutine();
        // The lock that `unlockf` releases, and whether the goroutine is in the list under it.
        let list = Arc::new((Mutex::new(()), AtomicBool::new(false)));
        let waker = {
            let (gp, list) = (gp.clone(), list.clone());
            thread::spawn(move || {
                let _held = list.0.lock().unwrap();
                if list.1.load(Relaxed) {
                    let found = change::<GWAITING, GRUNNABLE>(&gp.status);
                    assert!(found, "it is found and does not wait");
                    assert!(gp.execute());
                    run(&gp.stack);
                }
            })
        };
        let held = list.0.lock().unwrap();
        list.1.store(true, Relaxed);
        run(&gp.stack);
        if waiting_first {
            assert!(change::<GRUNNING, GWAITING>(&gp.status));
            drop(held);
        } else {
            drop(held);
            assert!(change::<GRUNNING, GWAITING>(&gp.status));
        }
        waker.join().unwrap();
    });
}

#[test]
fn a_waker_finds_the_goroutine_waiting() {
    park_and_ready(true);
}

/// The model notices when the lock is released before the goroutine counts as waiting.
#[test]
#[should_panic(expected = "it is found and does not wait")]
fn if_the_lock_is_released_first_the_waker_is_too_early() {
    park_and_ready(false);
}
