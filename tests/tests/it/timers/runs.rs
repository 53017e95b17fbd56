//! Timers that are kept from one run to the next.

use super::LATE;
use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

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
