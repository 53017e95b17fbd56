//! `after`, timers and tickers: set, called off, set again, dropped.

use super::LATE;
use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{Random, scenario};

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
