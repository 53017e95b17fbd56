//! A timer fires however busy the Ps are: beside long slices, searchers and loops.

use super::LATE;
use crate::fixture::MS;
use crate::fixture::stage2::{on, step};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Instant;
use tests::LIMIT;

#[test]
fn a_timer_fires_while_two_goroutines_wake_each_other() {
    let late = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let (there, back) = (Chan::new(0), Chan::new(0));
        let (a, b, s) = (there.clone(), back.clone(), stop.clone());
        go("ping", move || {
            while !s.load(Relaxed) {
                a.send(());
                b.recv();
            }
            a.close();
        });
        go("pong", move || {
            while there.recv().is_some() {
                back.send(());
            }
        });
        let begin = Instant::now();
        sleep(20 * MS);
        let took = begin.elapsed();
        stop.store(true, Relaxed);
        took - 20 * MS
    });
    assert!(late < LATE, "{late:?}");
}

#[test]
fn a_timer_fires_beside_a_loop_that_only_calls() {
    let late = on(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let s = stop.clone();
        go("hog", move || {
            while !s.load(Relaxed) {
                step();
            }
        });
        let begin = Instant::now();
        sleep(5 * MS);
        let took = begin.elapsed();
        stop.store(true, Relaxed);
        took - 5 * MS
    });
    assert!(late < LATE, "{late:?}");
}

/// The P that has the timer does nothing but its loop; another one is idle, and nobody
/// sleeps for the timers. That is sysmon's to see.
#[test]
fn the_timer_of_a_p_in_a_long_slice_fires_elsewhere() {
    let took = on(2, || {
        // The other M looks for work, finds none, and sleeps.
        sleep(20 * MS);
        let (fired, took) = (after(2 * MS), Arc::new(AtomicUsize::new(0)));
        let (begin, t) = (Instant::now(), took.clone());
        go("waiter", move || {
            fired.recv();
            t.store(begin.elapsed().as_millis() as usize, SeqCst);
        });
        // No check for as long as it takes.
        while took.load(SeqCst) == 0 && begin.elapsed() < LATE {
            spin(100_000);
        }
        took.load(SeqCst)
    });
    assert!(took > 0, "nobody ran the timer");
}

/// One more M counts as searching than there are: as if it had been woken and had no CPU yet.
struct Searcher;

impl Searcher {
    fn new() -> Searcher {
        rt::gmp::SCHED.searchers.join();
        Searcher
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        rt::gmp::SCHED.searchers.leave();
    }
}

/// Main computes and holds its P; the other M sleeps in the poller, and does not get the right
/// to steal. Whether it does what main leaves undone: runs a timer of main's P and, with
/// `queued`, a goroutine of its queue.
fn beside_a_searcher_without_a_cpu(queued: bool) -> bool {
    on(2, move || {
        go("long", || sleep(LIMIT));
        let until = Instant::now() + LATE;
        let wait = |done: &dyn Fn() -> bool| {
            while !done() && Instant::now() < until {
                std::hint::spin_loop();
            }
            done()
        };
        // The other M has run it, and is idle again.
        let idle = || {
            rt::timers::time_sleep_until() != rt::timers::NEVER
                && rt::gmp::SCHED.npidle.load(SeqCst) == 1
        };
        assert!(wait(&idle), "the other M does not come");
        let _searcher = Searcher::new();
        let left = Arc::new(AtomicUsize::new(1 + usize::from(queued)));
        let one_less = || {
            let left = left.clone();
            move || {
                left.fetch_sub(1, SeqCst);
            }
        };
        if queued {
            go("queued", one_less());
        }
        let _timer = after_func(5 * MS, one_less());
        wait(&|| left.load(SeqCst) == 0)
    })
}

#[test]
fn an_m_that_was_woken_and_has_no_cpu_holds_up_no_timer() {
    assert!(beside_a_searcher_without_a_cpu(false));
}

#[test]
fn an_m_that_was_woken_and_has_no_cpu_holds_up_no_queue() {
    assert!(beside_a_searcher_without_a_cpu(true));
}
