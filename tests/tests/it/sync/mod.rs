//! Mutexes, wait groups, reader-writer locks, `Once`, `Cond` and scopes: they park goroutines,
//! not threads, and in the order in which these came.

use crate::fixture::stage1::{asked, on};
use crate::fixture::{Log, step, with};
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::{in_order, scenario};

#[test]
fn a_mutex_admits_one_at_a_time_on_any_thread() {
    let (count, most) = asked(4, || {
        let counter = Arc::new(Mutex::new(0_u64));
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = WaitGroup::new();
        for id in 0..8 {
            all.add(1);
            let (counter, all) = (counter.clone(), all.clone());
            let (inside, most) = (inside.clone(), most.clone());
            go("locks", move || {
                for round in 0..500 {
                    let mut n = counter.lock();
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    let before = *n;
                    if (round + id) % 7 == 0 {
                        // The guard comes along to whatever thread this comes back on.
                        gosched();
                    }
                    step();
                    *n = before + 1;
                    inside.fetch_sub(1, SeqCst);
                    drop(n);
                }
                all.done();
            });
        }
        all.wait();
        (*counter.lock(), most.load(SeqCst))
    });
    assert_eq!((count, most), (4000, 1));
}

#[test]
fn a_try_lock_that_fails_leaves_the_mutex_held() {
    let got = on(1, || {
        let mutex = Mutex::new(0);
        let guard = mutex.lock();
        let refused = [mutex.try_lock().is_some(), mutex.try_lock().is_some()];
        drop(guard);
        let taken = mutex.try_lock();
        (refused, taken.is_some(), mutex.try_lock().is_some())
    });
    assert_eq!(got, ([false, false], true, false));
}

#[test]
fn a_mutex_is_handed_to_those_who_wait_in_their_order() {
    let log = on(1, || {
        let log = Log::default();
        let mutex = Arc::new(Mutex::new(()));
        let all = WaitGroup::new();
        let first = mutex.lock();
        for i in 0..4 {
            all.add(1);
            let (l, m, all) = (log.clone(), mutex.clone(), all.clone());
            go("waits", move || {
                let _guard = m.lock();
                l.say(i);
                all.done();
            });
            gosched();
        }
        let refused = mutex.try_lock().is_none();
        drop(first);
        // It belongs to the first who waits already, though that one has not run yet.
        let handed_over = mutex.try_lock().is_none();
        log.say(format!("{refused} {handed_over}"));
        all.wait();
        log.say(mutex.try_lock().is_some());
        log
    });
    assert_eq!(log.all(), ["true true", "0", "1", "2", "3", "true"]);
}

#[test]
fn a_wait_group_lets_all_go_at_once() {
    let (early, woken) = on(2, || {
        let group = WaitGroup::new();
        group.wait();
        group.add(2);
        let (finished, early) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let woken = Chan::new(5);
        for _ in 0..5 {
            let (group, woken) = (group.clone(), woken.clone());
            let (finished, early) = (finished.clone(), early.clone());
            go("waits", move || {
                group.wait();
                early.fetch_add(usize::from(!finished.load(SeqCst)), SeqCst);
                woken.send(());
            });
        }
        gosched();
        group.done();
        gosched();
        finished.store(true, SeqCst);
        group.done();
        let n = (0..5).filter_map(|_| woken.recv()).count();
        (early.load(SeqCst), n)
    });
    assert_eq!((early, woken), (0, 5));
}

/// Whoever has been woken may use the group for the next round, while the last `done` of the
/// round before is still on its way out. That `done` must not wake the new round.
#[test]
fn a_wait_group_may_be_used_again_while_the_last_done_returns() {
    static ARMED: AtomicBool = AtomicBool::new(false);
    static RELEASED: AtomicBool = AtomicBool::new(false);
    static NEXT_ROUND: AtomicBool = AtomicBool::new(false);
    static OVER: AtomicBool = AtomicBool::new(false);
    fn until(flag: &AtomicBool) {
        while !flag.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // Holds `done` between waking the waiter and what it does next: the ring is full then,
    // so this row is called. Nobody else can run until it is.
    fn hold(pp: &'static rt::gmp::P, batch: &[&'static rt::gmp::G]) {
        rt::queues::runqputslow(pp, batch);
        if ARMED.swap(false, SeqCst) {
            RELEASED.store(true, SeqCst);
            until(&NEXT_ROUND);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    const HOLDING: Stage = Stage {
        name: "holding",
        runqputslow: hold,
        ..STAGE
    };
    let runtime = Runtime::new(&HOLDING).procs(2);
    let rounds = with(runtime, || {
        static BUSY: AtomicBool = AtomicBool::new(false);
        go("keeps the other P", || {
            BUSY.store(true, SeqCst);
            until(&RELEASED);
        });
        while !BUSY.load(SeqCst) {
            gosched();
        }
        let group = WaitGroup::new();
        group.add(1);
        let first = group.clone();
        go("first round", move || {
            // Runnext and the whole ring.
            for _ in 0..=rt::queues::RUNQ_SIZE {
                go("filler", || {});
            }
            ARMED.store(true, SeqCst);
            first.done();
            // Were the waiter awake now, it would run here.
            for _ in 0..3 {
                gosched();
                std::thread::sleep(Duration::from_millis(5));
            }
            OVER.store(true, SeqCst);
        });
        group.wait();
        let held = RELEASED.load(SeqCst);
        group.add(1);
        let second = group.clone();
        go("second round", move || {
            until(&OVER);
            second.done();
        });
        NEXT_ROUND.store(true, SeqCst);
        group.wait();
        (held, OVER.swap(true, SeqCst))
    });
    assert!(rounds.0, "the row was not called: this test shows nothing");
    assert!(rounds.1, "the second wait has returned without its done");
}

/// Off a goroutine there is nobody to park: what would have to wait is refused, and so is
/// what would have to wake somebody, *before* anything has changed hands.

#[test]
fn what_parks_and_what_borrows_does_so_in_both_worlds() {
    let lent = "lent: 1 have used it\n";
    for (name, words) in [
        (
            "scope_waits_for_all",
            "[Some(0), Some(1), Some(4), Some(9), Some(16)]\nlent: 21 have used it\n",
        ),
        ("scope_and_goexit", "None\nlent: 2 have used it\n"),
        (
            "scope_and_goexit_outside",
            &format!("{lent}the run goes on\n"),
        ),
        ("scope_and_goexit_late", "lent: 2 have used it\n"),
        ("scope_and_panic", &format!("{lent}caught: true\n")),
        (
            "rwlock_story",
            "(150, 150), several readers at once: true\n[\"writer\", \"reader\"], free again: true\n",
        ),
        (
            "cond_story",
            "79800\none call wakes 1\nand one for all the rest: 10\n",
        ),
        ("once_story", "1 call, which 10 have seen\n"),
        (
            "names_and_numbers",
            "1 of 1\n150 numbers, 151 goroutines\njoined: true, off a goroutine: 0\n",
        ),
    ] {
        for env in [
            vec![],
            vec![("SAFEPOINT_SEED", "1")],
            vec![("SAFEPOINT_SEED", "2")],
        ] {
            let ended = scenario!(env, name);
            assert_eq!(ended.code, Some(0), "{name} {env:?}: {ended:#?}");
            assert_eq!(ended.stdout, words, "{name} {env:?}: {ended:#?}");
        }
    }
}

#[test]
fn a_panic_in_a_scope_s_goroutine_ends_the_process_and_lets_nobody_on() {
    for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(env, "scope_and_panic_inside");
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert_eq!(ended.stdout, "", "{ended:#?}");
        in_order(
            &ended.stderr,
            &["with the lent thing in hand", "goroutine "],
        );
    }
}

#[test]
fn what_a_scope_lent_stays_when_main_returns_beside_it() {
    // Free only: in lockstep no thread from outside may run on.
    let ended = scenario!([], "scope_and_main");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(
        ended.stdout, "seen after the run: 1\nand a second run\n",
        "{ended:#?}"
    );
}
