//! Goroutines that sleep: woken in order, none too early, none forgotten, and no thread for them.

use crate::fixture::MS;
use crate::fixture::stage2::on;
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{Random, threads};

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
