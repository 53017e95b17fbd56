//! Waking and resting: as many goroutines run at once as there are Ps, a wake-up is never lost,
//! few Ms search, and an idle program costs nothing.

use crate::fixture::stage1::{asked, on};
use crate::fixture::{number, step, with};
use stage1_coop::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{gettid, scenario};

// ---- Rows 1 and 23: so many at once, not one more, and not fewer.

#[test]
fn at_most_gomaxprocs_goroutines_run_at_once() {
    for procs in [1, 2, 5] {
        let most = asked(procs, move || {
            let (active, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let all = WaitGroup::new();
            for _ in 0..4 * procs {
                all.add(1);
                let (active, most, all) = (active.clone(), most.clone(), all.clone());
                go("active", move || {
                    for _ in 0..200 {
                        most.fetch_max(active.fetch_add(1, SeqCst) + 1, SeqCst);
                        spin(2_000);
                        active.fetch_sub(1, SeqCst);
                        step();
                    }
                    all.done();
                });
            }
            all.wait();
            most.load(SeqCst)
        });
        assert!((1..=procs).contains(&most), "{most} on {procs} Ps");
    }
}

#[test]
fn a_burst_of_n_goroutines_reaches_n_ps() {
    for procs in [2, 4, 8] {
        let rounds = on(procs, move || {
            let mut rounds = 0;
            for _ in 0..20 {
                let here = Arc::new(AtomicUsize::new(0));
                let (all, late) = (WaitGroup::new(), Arc::new(AtomicBool::new(false)));
                for _ in 0..procs {
                    all.add(1);
                    let (here, late, all) = (here.clone(), late.clone(), all.clone());
                    go("arrives", move || {
                        // Nobody goes before all are there: each needs a P of its own.
                        here.fetch_add(1, SeqCst);
                        let deadline = Instant::now() + Duration::from_secs(20);
                        while here.load(SeqCst) < procs && !late.load(SeqCst) {
                            std::thread::yield_now();
                            late.store(Instant::now() > deadline, SeqCst);
                        }
                        all.done();
                    });
                }
                all.wait();
                rounds += usize::from(!late.load(SeqCst));
            }
            rounds
        });
        assert_eq!(rounds, 20, "a wake-up was lost on {procs} Ps");
    }
}

/// Three goroutines become runnable while two Ms search and the third is about to give its P
/// up: it was never counted as a searcher, because two were enough. Each searcher takes one
/// goroutine and sees no idle P; so nobody but the third M can find the last one.
///
/// `sched.lock` is what makes the moment last: the third M waits for it.
#[test]
fn an_m_that_did_not_search_looks_at_all_queues_before_it_sleeps() {
    static SEARCHERS: AtomicUsize = AtomicUsize::new(0);
    static GATE: AtomicBool = AtomicBool::new(true);
    fn steal_later(
        pp: &'static rt::gmp::P,
        order: rt::queues::Order,
    ) -> Option<(&'static rt::gmp::G, bool)> {
        if !GATE.load(SeqCst) {
            SEARCHERS.fetch_add(1, SeqCst);
            until(|| GATE.load(SeqCst));
        }
        rt::queues::stealwork(pp, order)
    }
    const GATED: Stage = Stage {
        name: "gated",
        stealwork: steal_later,
        ..STAGE
    };
    /// Burns time until it is true: the P is kept.
    fn until(done: impl Fn() -> bool) -> bool {
        until_or(Duration::from_secs(40), done)
    }
    fn until_or(limit: Duration, done: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        while !done() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        done()
    }
    let began = with(Runtime::new(&GATED).procs(4), || {
        let (stop, running) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let all = WaitGroup::new();
        // Parked goroutines: to wake one needs no lock of the scheduler's.
        let wake: Vec<Chan<()>> = (0..3).map(|_| Chan::new(0)).collect();
        for c in &wake {
            all.add(1);
            let (c, stop, running, all) = (c.clone(), stop.clone(), running.clone(), all.clone());
            go("hog", move || {
                c.recv();
                running.fetch_add(1, SeqCst);
                until(|| stop.load(SeqCst));
                all.done();
            });
        }
        let parked = |gp: &&rt::gmp::G| {
            gp.name.get() == "hog" && rt::gmp::readgstatus(gp) == rt::gmp::GWAITING
        };
        while rt::gmp::SCHED
            .lock()
            .allgs
            .iter()
            .copied()
            .filter(parked)
            .count()
            < 3
        {
            gosched();
        }
        // Something short on each of the other Ps.
        let (here, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for n in 0..3 {
            let (here, gone) = (here.clone(), gone.clone());
            go("short", move || {
                here.fetch_add(1, SeqCst);
                until(|| gone.load(SeqCst) > n);
            });
        }
        assert!(until(|| here.load(SeqCst) == 3));
        assert!(until(|| rt::gmp::SCHED.searchers.count() == 0));
        GATE.store(false, SeqCst);
        let lock = rt::gmp::SCHED.lock();
        // The first two search, and the third goes straight to the lock.
        for n in 1..=2 {
            gone.store(n, SeqCst);
            assert!(until(|| SEARCHERS.load(SeqCst) == n));
        }
        gone.store(3, SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        for c in &wake {
            let _ = c.try_send(());
        }
        GATE.store(true, SeqCst);
        until(|| running.load(SeqCst) == 2);
        std::thread::sleep(Duration::from_millis(20));
        drop(lock);
        // The hogs are still there when this gives up.
        until_or(Duration::from_secs(10), || running.load(SeqCst) == 3);
        let began = running.load(SeqCst);
        stop.store(true, SeqCst);
        all.wait();
        began
    });
    assert_eq!(SEARCHERS.load(SeqCst), 2, "the third M searched after all");
    assert_eq!(began, 3, "a goroutine waits beside an idle P");
}

#[test]
fn there_are_exactly_gomaxprocs_ps() {
    for procs in [1, 3, 8] {
        let (ids, max) = on(procs, || {
            let ids: Vec<usize> = rt::gmp::allp().iter().map(|p| p.id.get()).collect();
            (ids, rt::gmp::gomaxprocs())
        });
        assert_eq!(ids, (0..procs).collect::<Vec<_>>());
        assert_eq!(max, procs);
    }
}

#[test]
fn the_third_party_runs_no_goroutine() {
    static THIRD: AtomicI32 = AtomicI32::new(0);
    fn third(me: &mut ThirdParty) {
        THIRD.store(gettid(), SeqCst);
        while me.sleep(Duration::from_micros(200)) {
            me.raise_the_flag();
        }
    }
    let there = with(Runtime::new(&STAGE).procs(3).third_party(third), || {
        let there = Arc::new(AtomicUsize::new(0));
        let all = WaitGroup::new();
        for _ in 0..20 {
            all.add(1);
            let (there, all) = (there.clone(), all.clone());
            go("anywhere", move || {
                for _ in 0..100 {
                    there.fetch_add(usize::from(gettid() == THIRD.load(SeqCst)), SeqCst);
                    gosched();
                }
                all.done();
            });
        }
        all.wait();
        there.load(SeqCst)
    });
    assert_eq!(there, 0);
}

#[test]
fn an_idle_program_uses_no_processor_time() {
    let ended = scenario!([], "idle");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // Of 500,000. One thread that polled every 20 us would need ten times that.
    let used = number(&ended.stdout, "microseconds: ");
    assert!(used < 5_000, "{used} us of 500,000");
}

#[test]
fn at_most_half_of_the_busy_ps_have_somebody_who_looks_for_work() {
    for seed in ["1", "2", "3"] {
        let ended = scenario!([("SAFEPOINT_SEED", seed), ("GOMAXPROCS", "8")], "spinners");
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        // One joins while twice the number is less than that of the busy Ps, 8 at most.
        let most = number(&ended.stdout, "most: ");
        assert!((1..=4).contains(&most), "{ended:#?}");
        assert_eq!(number(&ended.stdout, "in the end: "), 0);
    }
}

#[test]
fn ctrl_c_raises_the_flag_until_the_run_is_over() {
    let ended = scenario!([], "ctrl_c");
    assert_eq!(
        ended.stdout,
        "the bystander has its turn\nthe run is over\n"
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    assert!(ended.stderr.contains("the flag is up on 1 P"), "{ended:#?}");
    assert_eq!(ended.signal, Some(libc::SIGINT), "{ended:#?}");
}

#[test]
fn sleeping_threads_are_used_again() {
    let ended = scenario!([], "rounds", "1000");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let most = number(&ended.stdout, "at most ");
    // Four with a P, the watcher, and one that may be on its way.
    assert!(most <= 6, "{ended:#?}");
}
