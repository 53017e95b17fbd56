//! A panic in a call, a call in a destructor, a call of a locked goroutine: the way back is to the
//! right thread.

use super::slices::hog;
use crate::fixture::stage2::{on, step};
use stage2_sysmon::rt;
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;
use tests::{gettid, in_order, scenario};

#[test]
fn a_locked_goroutine_comes_back_to_its_thread_from_a_call() {
    on(1, || {
        let done = WaitGroup::new();
        done.add(2);
        let (a, b) = (done.clone(), done.clone());
        go("locked", move || {
            lock_os_thread();
            let tid = gettid();
            for _ in 0..20 {
                nanosleep(Duration::from_millis(1));
                assert_eq!(gettid(), tid);
                syscall_block(|| assert_eq!(gettid(), tid));
                assert_eq!(gettid(), tid);
            }
            unlock_os_thread();
            a.done();
        });
        go("other", move || {
            for _ in 0..20_000 {
                step();
            }
            b.done();
        });
        done.wait();
    });
}

#[test]
fn a_panic_in_a_call_finds_its_way_back() {
    let caught = on(1, || {
        go("other", || {
            for _ in 0..3_000 {
                step();
            }
        });
        let caught = std::panic::catch_unwind(|| {
            syscall(|| {
                std::thread::sleep(Duration::from_millis(20));
                std::panic::resume_unwind(Box::new("boom"))
            })
        });
        // A goroutine like any other again.
        step();
        gosched();
        caught.is_err()
    });
    assert!(caught);
}

/// With a real panic, whose hook speaks in the call; after it std counts no panic any more,
/// and the next one is caught as well.
#[test]
fn a_panic_in_a_call_is_counted_up_and_down_on_one_thread() {
    on(2, || {
        for round in 0..20 {
            let tid = gettid();
            let caught = std::panic::catch_unwind(|| {
                syscall(|| {
                    // In the call anything may be caught that was thrown there.
                    assert!(std::panic::catch_unwind(|| panic!("inner {round}")).is_err());
                    // Long enough to lose the P, every other time.
                    std::thread::sleep(Duration::from_millis(round % 2 * 3));
                    assert_eq!(gettid(), tid);
                    panic!("outer {round}")
                })
            });
            let payload = caught.expect_err("it panicked");
            let text = payload.downcast_ref::<String>().expect("a formatted text");
            assert_eq!(*text, format!("outer {round}"));
            assert!(!std::thread::panicking());
            let unwinding = rt::arch::getg().unwinding.load(Relaxed);
            gosched();
            assert!(!rt::arch::getg().unwinding.load(Relaxed), "was {unwinding}");
            assert!(
                rt::arch::getg().lockedm.get().is_none(),
                "still tied to its thread"
            );
        }
    });
}

/// A destructor may make a call while its goroutine unwinds; the panics of a thread are
/// counted there, so the goroutine has to come back to it.
#[test]
fn a_call_while_unwinding_comes_back_to_its_thread() {
    struct Calls(i32);
    impl Drop for Calls {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            nanosleep(Duration::from_millis(2));
            assert_eq!(gettid(), self.0);
            syscall_block(|| ());
            assert_eq!(gettid(), self.0);
            assert!(std::thread::panicking());
        }
    }
    on(2, || {
        let stop = Arc::new(AtomicBool::new(false));
        let done = WaitGroup::new();
        for _ in 0..2 {
            done.add(1);
            let (stop, done) = (stop.clone(), done.clone());
            go("hog", move || {
                hog(&stop);
                done.done();
            });
        }
        for _ in 0..10 {
            let caught = std::panic::catch_unwind(|| {
                let _calls = Calls(gettid());
                std::panic::resume_unwind(Box::new("boom"))
            });
            assert!(caught.is_err());
            assert!(!std::thread::panicking());
            gosched();
            assert!(rt::arch::getg().lockedm.get().is_none());
        }
        stop.store(true, Relaxed);
        done.wait();
    });
}

#[test]
fn a_panic_in_a_call_that_nobody_catches_ends_the_process() {
    let ended = scenario!([], "panic_in_a_call");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(
        &ended.stderr,
        &["panic: out of the kernel\n", "\ngoroutine 1 [running]:\n"],
    );
}

/// Goroutines that are locked to their threads, in calls, while others want the Ps.
#[test]
fn locked_goroutines_and_calls_share_the_ps() {
    for procs in [1, 2] {
        on(procs, || {
            let done = WaitGroup::new();
            for i in 0..6 {
                done.add(1);
                let done = done.clone();
                go("locked", move || {
                    lock_os_thread();
                    let tid = gettid();
                    for k in 0..60 {
                        match (i + k) % 5 {
                            0 => nanosleep(Duration::from_micros(300)),
                            1 => syscall_block(|| ()),
                            2 => syscall(|| ()),
                            3 => sleep(Duration::from_micros(200)),
                            _ => gosched(),
                        }
                        assert_eq!(gettid(), tid);
                    }
                    // Every other one takes its thread with it.
                    if i % 2 == 0 {
                        unlock_os_thread();
                    }
                    done.done();
                });
            }
            for _ in 0..4 {
                done.add(1);
                let done = done.clone();
                go("other", move || {
                    for _ in 0..2_000 {
                        step();
                    }
                    done.done();
                });
            }
            done.wait();
        });
    }
}
