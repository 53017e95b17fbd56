//! Timers as behavior: nobody wakes too early, nobody is forgotten, and who sleeps costs no
//! thread. Row 51 of the list of mechanisms, and the timers' part of 35, 39, 44 and 52.

use crate::fixture::MS;
use crate::fixture::stage2::{on, step};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, Random, scenario, threads};

/// What a busy machine may add.
const LATE: Duration = Duration::from_secs(5);

/// All are due when the only P asks: the earliest comes first, whatever the machine did.
#[test]
fn who_is_due_at_the_same_look_wakes_in_order() {
    for n in [5, 100] {
        // Not in time if the machine stood still while they lay down.
        let order = (0..100).find_map(|_| on(1, move || wake_order(n)));
        let order = order.expect("in time once");
        assert_eq!(order, (0..n).collect::<Vec<u32>>());
    }
}

/// The order in which `n` goroutines wake whose times have all come when the P looks; `None`
/// if they had come before the last one slept.
fn wake_order(n: u32) -> Option<Vec<u32>> {
    let (woken, slept) = (Woken::default(), Arc::new(AtomicUsize::new(0)));
    let begin = Instant::now();
    // In an order of their own: 7 has no divisor in common with 5 and 100.
    for i in (0..n).map(|i| i * 7 % n) {
        let (woken, slept) = (woken.clone(), slept.clone());
        go("sleeper", move || {
            slept.fetch_add(1, SeqCst);
            sleep(((20 + i) * MS).saturating_sub(begin.elapsed()));
            woken.note(i);
        });
    }
    while slept.load(SeqCst) < n as usize {
        gosched();
    }
    if begin.elapsed() >= 20 * MS {
        return None;
    }
    while begin.elapsed() < (20 + n) * MS {
        spin(10_000);
    }
    Some(woken.wait_for(n as usize))
}

/// Who woke, in this order. It is noted without a check: the first one of a look shares the
/// slice of the goroutine before it, so at a check it may have to yield for that one's age, and
/// comes behind all others.
#[derive(Clone, Default)]
struct Woken(Arc<std::sync::Mutex<Vec<u32>>>);

impl Woken {
    fn note(&self, i: u32) {
        self.0.lock().expect("no panic while it is held").push(i);
    }

    fn wait_for(&self, n: usize) -> Vec<u32> {
        loop {
            let woken = self.0.lock().expect("no panic while it is held").clone();
            if woken.len() == n {
                return woken;
            }
            gosched();
        }
    }
}

/// In which order is the test's above and the snapshot's (`sleepers`) to say: here some are
/// due at one look and some at the next, as the machine likes.
#[test]
fn nobody_wakes_too_early_and_nobody_is_forgotten() {
    for procs in [1, 3] {
        let mut woken = on(procs, || {
            let woken = Chan::new(8);
            let begin = Instant::now();
            for n in [60, 20, 100, 40, 80] {
                let woken = woken.clone();
                go("sleeper", move || {
                    sleep(n * MS);
                    assert!(begin.elapsed() >= n * MS);
                    woken.send(n);
                });
            }
            (0..5).filter_map(|_| woken.recv()).collect::<Vec<u32>>()
        });
        woken.sort_unstable();
        assert_eq!(woken, [20, 40, 60, 80, 100]);
    }
}

/// Lets goroutines on one P sleep for `times` milliseconds, and returns in which order they
/// woke. All begin to sleep within less than a millisecond: if the machine
/// was too busy for that, they try again.
fn woken_in_order(times: &'static [u32]) -> Vec<u32> {
    on(1, move || {
        for _ in 0..500 {
            let (woken, asleep) = (Woken::default(), Arc::new(AtomicUsize::new(0)));
            let begin = Instant::now();
            for &n in times {
                let (woken, asleep) = (woken.clone(), asleep.clone());
                go("sleeper", move || {
                    asleep.fetch_add(1, Relaxed);
                    sleep(n * MS);
                    woken.note(n);
                });
            }
            while asleep.load(Relaxed) < times.len() {
                gosched();
            }
            let in_time = begin.elapsed() < MS * 9 / 10;
            let woken = woken.wait_for(times.len());
            if in_time {
                return woken;
            }
        }
        panic!("the machine is too busy to begin a few sleeps within a millisecond");
    })
}

/// On one P this much is certain: timers fire in the order of their times. Of those that are
/// due at one look the first goes in front of the queue, and the others to its end. So whoever
/// ran from the front is later than all of them before him, and the others too.
#[test]
fn on_one_p_timers_fire_in_the_order_of_their_times() {
    let woken = woken_in_order(&[18, 1, 14, 6, 11, 3, 20, 8, 5, 16, 9, 12]);
    assert_eq!(woken.len(), 12);
    // Whoever ran from the front is later than all before him; the others have queued.
    let (mut front, mut queued) = (0, 0);
    for &n in &woken {
        if n > front {
            front = n;
        } else {
            assert!(n > queued, "{n} comes too late: {woken:?}");
            queued = n;
        }
    }
}

#[test]
fn a_sleep_of_nothing_does_not_park() {
    on(1, || {
        let seen = Arc::new(AtomicBool::new(false));
        let s = seen.clone();
        go("other", move || s.store(true, SeqCst));
        sleep(Duration::ZERO);
        assert!(!seen.load(SeqCst));
        sleep(MS);
        assert!(seen.load(SeqCst));
    });
}

#[test]
fn a_sleep_for_ever_is_one() {
    on(1, || {
        go("sleeper", || {
            sleep(Duration::MAX);
            panic!("for ever is over");
        });
        sleep(30 * MS);
    });
}

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

#[test]
fn after_sends_once() {
    on(2, || {
        let begin = Instant::now();
        let c = after(10 * MS);
        assert_eq!(c.try_recv(), Err(WouldBlock));
        assert_eq!(c.recv(), Some(()));
        assert!(begin.elapsed() >= 10 * MS);
        sleep(20 * MS);
        assert_eq!(c.try_recv(), Err(WouldBlock));
        assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
    });
}

/// Since Go 1.23 a timer that is due fires when its channel is asked, whoever asks; with
/// `asynctimerchan` when a P looks at its timers.
#[test]
fn a_timer_that_is_due_is_there_when_its_channel_is_asked() {
    for seed in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(seed, "due_timers");
        assert_eq!(
            ended.stdout, "1 Ok(Some(()))\nSome(()) Some((0, Some(())))\n",
            "{ended:#?}"
        );
        let mut env = seed;
        env.push(("GODEBUG", "asynctimerchan=1"));
        let ended = scenario!(env, "due_timers");
        assert_eq!(ended.stdout, "0 Err(WouldBlock)\nNone None\n", "{ended:#?}");
    }
}

#[test]
fn a_timer_can_be_called_off_and_set_again() {
    for procs in [1, 3] {
        on(procs, || {
            let begin = Instant::now();
            let timer = Timer::new(Duration::from_secs(3600));
            assert!(timer.stop() && !timer.stop());
            assert!(!timer.reset(20 * MS), "it was stopped");
            assert!(timer.reset(10 * MS), "it was still to come");
            assert_eq!(timer.c().recv(), Some(()));
            assert!(begin.elapsed() >= 10 * MS);
            assert!(!timer.stop(), "it has come");
            // One that has come and was not received is gone after a stop.
            timer.reset(Duration::ZERO);
            while timer.c().is_empty() {
                gosched();
            }
            assert!(!timer.stop());
            assert_eq!(timer.c().try_recv(), Err(WouldBlock));
            assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
        });
    }
}

/// Drops of what the program owns run on goroutines, wherever the timer fires or is taken away.
struct OnAGoroutine(Arc<AtomicUsize>);

impl Drop for OnAGoroutine {
    fn drop(&mut self) {
        assert!(rt::arch::on_goroutine());
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_function_is_called_on_a_goroutine_of_its_own() {
    for procs in [1, 3] {
        on(procs, || {
            let (called, dropped) = (Chan::new(1), Arc::new(AtomicUsize::new(0)));
            let (ring, owned) = (called.clone(), OnAGoroutine(dropped.clone()));
            let main = rt::arch::getg().goid.get();
            let alarm = after_func(MS, move || {
                let _ = &owned;
                assert_ne!(rt::arch::getg().goid.get(), main);
                ring.send(());
            });
            assert_eq!(called.recv(), Some(()));
            assert!(!alarm.stop());
            assert!(!alarm.reset(MS), "it may be called again");
            assert_eq!(called.recv(), Some(()));
            drop(alarm);
            while dropped.load(SeqCst) == 0 {
                gosched();
            }
            let owned = OnAGoroutine(dropped.clone());
            let never = after_func(Duration::from_secs(3600), move || _ = &owned);
            assert!(never.stop());
            drop(never);
            assert_eq!(dropped.load(SeqCst), 2);
            assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
        });
    }
}

/// Set again, stopped and fired at the same moments, on several Ps: a stop that says "it was
/// still to come" is never followed by a value, and no timer is left behind.
#[test]
fn after_a_stop_nothing_comes() {
    on(4, || {
        let done = WaitGroup::new();
        for i in 0..20 {
            done.add(1);
            let done = done.clone();
            go("owner", move || {
                let mut random = Random::new(i + 1);
                let timer = Timer::new(MS);
                for _ in 0..200 {
                    timer.reset(Duration::from_micros(random.below(60)));
                    if random.below(2) == 0 {
                        gosched();
                    } else {
                        spin(random.below(60_000));
                    }
                    timer.stop();
                    assert_eq!(timer.c().try_recv(), Err(WouldBlock));
                    gosched();
                    assert_eq!(timer.c().try_recv(), Err(WouldBlock));
                }
                done.done();
            });
        }
        done.wait();
        assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
    });
}

/// A timer is taken out of the middle of its heap without a search: a hundred thousand of them
/// took a quarter of a minute before.
#[test]
fn many_timers_are_called_off_in_no_time() {
    on(1, || {
        let time = |i: u64| Duration::from_secs(3600 + i * 7919 % 3600);
        let all: Vec<Ticker> = (0..100_000).map(|i| Ticker::new(time(i))).collect();
        let begin = Instant::now();
        drop(all);
        assert!(begin.elapsed() < LATE, "{:?}", begin.elapsed());
        assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
    });
}

#[test]
fn an_after_that_nobody_can_receive_is_taken_away() {
    on(2, || {
        let c = after(Duration::from_secs(3600));
        let other = c.clone();
        drop(c);
        assert_ne!(rt::timers::time_sleep_until(), rt::timers::NEVER);
        drop(other);
        assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
    });
}

#[test]
fn a_ticker_ticks_until_it_is_dropped_and_does_not_catch_up() {
    on(2, || {
        let begin = Instant::now();
        let ticker = Ticker::new(4 * MS);
        for _ in 0..5 {
            ticker.c().recv();
        }
        assert!(begin.elapsed() >= 20 * MS);
        // Nobody takes these; one of them is kept. (The ticker may be another P's, so our sleep
        // alone does not say that it has fired.)
        while ticker.c().is_empty() {
            assert!(begin.elapsed() < LATE);
            sleep(4 * MS);
        }
        sleep(40 * MS);
        let c = ticker.c().clone();
        drop(ticker);
        // What came before and was not taken is gone, as in Go since 1.23.
        assert_eq!(c.try_recv(), Err(WouldBlock));
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
    });
}

#[test]
fn tickers_can_be_dropped_while_they_fire() {
    on(4, || {
        let done = WaitGroup::new();
        for i in 0..40 {
            done.add(1);
            let done = done.clone();
            go("owner", move || {
                for _ in 0..20 {
                    let ticker = Ticker::new(Duration::from_micros(50 + i));
                    ticker.c().recv();
                    drop(ticker);
                }
                done.done();
            });
        }
        done.wait();
        assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
    });
}

/// Whether something comes, and does so in time.
fn comes(c: &Receiver<()>) -> bool {
    select! {
        recv(c) -> got => got.is_some(),
        recv(after(LATE)) => false,
    }
}

#[test]
fn a_timer_that_is_kept_over_two_runs_fires_in_the_second() {
    for procs in [1, 3] {
        let hour = Duration::from_secs(3600);
        let set = move || {
            (
                Timer::new(hour),
                Timer::new(50 * MS),
                Timer::new(Duration::ZERO),
            )
        };
        let (again, to_come, due) = on(procs, set);
        let kept = on(procs, move || {
            assert!(again.reset(MS), "it was still to come");
            assert!(comes(again.c()) && comes(to_come.c()) && comes(due.c()));
            assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
            // One that the next run only calls off.
            again.reset(hour);
            again
        });
        on(procs, move || {
            assert!(kept.stop() && !kept.stop());
            drop(kept);
            assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
        });
    }
}

/// In the second run many ask at the same moment, and the ticker moves once.
#[test]
fn a_ticker_that_is_kept_over_two_runs_ticks_in_the_second() {
    for procs in [1, 3] {
        let mut ticker = on(procs, || {
            let ticker = Ticker::new(2 * MS);
            ticker.c().recv();
            ticker
        });
        for _ in 0..5 {
            ticker = on(procs, move || {
                let (c, done) = (ticker.c().clone(), WaitGroup::new());
                for _ in 0..8 {
                    done.add(1);
                    let (c, done) = (c.clone(), done.clone());
                    go("asks", move || {
                        assert!(comes(&c));
                        done.done();
                    });
                }
                done.wait();
                ticker
            });
        }
        on(procs, move || {
            drop(ticker);
            assert_eq!(rt::timers::time_sleep_until(), rt::timers::NEVER);
        });
    }
}

#[test]
fn a_function_of_an_earlier_run_is_called_when_it_is_set_again() {
    let (called, c) = (Arc::new(AtomicUsize::new(0)), Chan::new(1));
    let (n, ring) = (called.clone(), c.clone());
    let alarm = on(2, move || {
        after_func(MS / 10, move || {
            n.fetch_add(1, SeqCst);
            let _ = ring.try_send(());
        })
    });
    // Main may have returned first, or not.
    let before = called.load(SeqCst);
    on(2, move || {
        while c.try_recv().is_ok() {}
        sleep(5 * MS);
        assert_eq!(called.load(SeqCst), before, "its run is over");
        alarm.reset(MS);
        assert!(comes(&c.clone().into()));
        assert_eq!(called.load(SeqCst), before + 1);
        assert!(!alarm.stop());
    });
}

#[test]
fn who_sleeps_costs_no_thread() {
    let most = on(2, || {
        let done = WaitGroup::new();
        done.add(2_000);
        for _ in 0..2_000 {
            let done = done.clone();
            go("sleeper", move || {
                sleep(100 * MS);
                done.done();
            });
        }
        sleep(50 * MS);
        let most = threads().len();
        done.wait();
        most
    });
    // Main, the test, its watcher, sysmon, two for the Ps, and one that sleeps for them; and
    // the same again for each test that runs beside this one.
    assert!(most < 200, "{most} threads");
}

#[test]
fn many_sleeps_on_many_ps_all_end() {
    for procs in [1, 2, 4] {
        let sum = on(procs, move || {
            let (sum, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
            for i in 0..1_000 {
                done.add(1);
                let (sum, done) = (sum.clone(), done.clone());
                go("sleeper", move || {
                    let mut random = Random::new(i + 1);
                    for _ in 0..5 {
                        let us = random.below(8_000);
                        if us.is_multiple_of(7) {
                            nanosleep(Duration::from_micros(us / 10));
                        } else {
                            sleep(Duration::from_micros(us));
                        }
                        sum.fetch_add(1, Relaxed);
                    }
                    done.done();
                });
            }
            done.wait();
            sum.load(Relaxed)
        });
        assert_eq!(sum, 5_000);
    }
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

// ---- Contexts.

use ContextError::{Canceled, DeadlineExceeded};

#[test]
fn a_context_that_is_canceled_ends_those_below_it() {
    for seed in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(seed, "contexts");
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(ended.stdout, "canceled, then out of time\n");
    }
}

/// Those that wait for a context, those that make one below it, and two that cancel it.
#[test]
fn canceling_races_with_new_children() {
    on(4, || {
        for i in 0..200 {
            let root = Context::background();
            let (top, cancel) = Context::with_cancel(&root);
            let (done, cancel) = (WaitGroup::new(), Arc::new(cancel));
            done.add(10);
            for n in 0..8 {
                let (top, done) = (top.clone(), done.clone());
                go("child", move || {
                    spin((i * n) % 997);
                    let (one, _cancel) = Context::with_timeout(&top, Duration::from_secs(3600));
                    let (two, _cancel) = Context::with_cancel(&one);
                    assert_eq!(two.done().recv(), None);
                    assert_eq!((one.err(), two.err()), (Some(Canceled), Some(Canceled)));
                    done.done();
                });
            }
            for _ in 0..2 {
                let (cancel, done) = (cancel.clone(), done.clone());
                go("cancels", move || {
                    spin(1_000);
                    cancel.cancel();
                    done.done();
                });
            }
            done.wait();
            assert_eq!(
                rt::timers::time_sleep_until(),
                rt::timers::NEVER,
                "a timer was left behind"
            );
        }
    });
}

/// A context whose time comes at the very moment at which it is canceled is over for one reason.
#[test]
fn a_deadline_races_with_a_cancel() {
    on(2, || {
        let root = Context::background();
        for us in 0..500 {
            let (c, cancel) = Context::with_timeout(&root, Duration::from_micros(us % 50));
            spin(us * 20);
            let before = c.err();
            cancel.cancel();
            let after = c.err();
            assert!(after == Some(Canceled) || after == Some(DeadlineExceeded));
            assert!(before.is_none() || before == after);
            assert_eq!(c.done().recv(), None);
        }
    });
}

/// A context that nobody has any more takes its timer along, and its place below its parent; a
/// line of ten thousand does not need ten thousand frames for it.
#[test]
fn contexts_that_nobody_has_leave_nothing_behind() {
    on(1, || {
        let hour = Duration::from_secs(3600);
        let (mut last, first) = Context::with_timeout(&Context::background(), 10_000 * hour);
        for n in (1..10_000).rev() {
            // Without its cancel: dropping that would end the line at once.
            let (next, cancel) = Context::with_timeout(&last, n * hour);
            std::mem::forget(cancel);
            last = next;
        }
        first.cancel();
        assert_eq!(last.err(), Some(Canceled));
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
        drop(last);
    });
}
