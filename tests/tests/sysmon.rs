//! Stage 2's mechanisms as behaviour: who notices that a goroutine runs for too long, that a
//! thread sits in a system call, that nobody is left. Rows 32 to 53 of the list of
//! mechanisms, as far as they are built.

use stage2_sysmon::rt;
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, TraceOf, gettid, in_order, scenario, trace_of, within};

/// The trace of a closure on a stage's own table.
#[track_caller]
fn traced(main: impl FnOnce() + Send + 'static) -> TraceOf {
    // SAFETY: nothing in this file keeps anything that belongs to a thread across a yield.
    unsafe { trace_of(&TRACED, main) }
}
static TRACED: Stage = STAGE;

/// Runs `main` on `procs` Ps with the decisions of `stage` and returns its result.
fn with<R: Send + 'static>(
    stage: &'static Stage,
    procs: usize,
    main: impl FnOnce() -> R + Send + 'static,
) -> R {
    // SAFETY: nothing in this file keeps anything that belongs to a thread across a yield.
    unsafe { within(LIMIT, Runtime::new(stage).procs(procs), main) }
}

fn on<R: Send + 'static>(procs: usize, main: impl FnOnce() -> R + Send + 'static) -> R {
    with(&STAGE, procs, main)
}

/// Virtual time has an end, too, and a sleep beyond it is no sum that overflows.
#[test]
fn a_sleep_for_ever_is_one_in_lockstep_too() {
    for env in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(env, "sleeps_for_ever");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "main returns\n"),
            "{ended:#?}"
        );
        in_order(
            &ended.stderr,
            &[
                "main has returned, but goroutine 2 (for ever) is in a system call that does not return",
            ],
        );
    }
}

#[gofunc]
fn step() {
    spin(1_000);
}

/// Sysmon takes no P out of a call: what happens without it.
static NO_RETAKE: Stage = Stage {
    more: &[&Rows {
        retake: |_| 0,
        ..ROWS
    }],
    ..STAGE
};

// ---- Slices.

/// Loops until `stop`, and gives way only when asked. Returns its longest uninterrupted time.
fn hog(stop: &AtomicBool) -> Duration {
    let (mut longest, mut begin, mut last) = (Duration::ZERO, Instant::now(), Instant::now());
    while !stop.load(Relaxed) {
        step();
        let now = Instant::now();
        // Somebody else ran meanwhile: a step takes microseconds.
        if now - last > Duration::from_millis(4) {
            longest = longest.max(last - begin);
            begin = now;
        }
        last = now;
    }
    longest
}

#[test]
fn a_goroutine_that_runs_for_too_long_is_asked_by_nobody_s_hand() {
    let (turns, took) = on(1, || {
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
        // Main comes back ten times although the hogs never yield by themselves.
        let begin = Instant::now();
        for _ in 0..10 {
            gosched();
        }
        let took = begin.elapsed();
        stop.store(true, Relaxed);
        done.wait();
        (10, took)
    });
    // Two slices between two turns of main, of 10 ms at least each.
    assert!(took >= Duration::from_millis(10) * turns, "{took:?}");
}

#[test]
fn a_goroutine_that_yields_in_time_is_never_asked() {
    let asked = on(1, || {
        let mut asked = 0;
        let begin = Instant::now();
        go("other", || {
            for _ in 0..2_000 {
                gosched();
            }
        });
        while begin.elapsed() < Duration::from_millis(100) {
            for _ in 0..100 {
                step();
            }
            asked += usize::from(rt::arch::getg().preempt.load(Relaxed));
            gosched();
        }
        asked
    });
    // On a busy machine the thread itself may have been off the processor for a slice.
    assert!(asked <= 5, "{asked}");
}

// ---- System calls.

#[test]
fn a_thread_in_a_call_loses_its_p_to_whoever_has_work() {
    on(1, || {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let done = WaitGroup::new();
        done.add(1);
        let d = done.clone();
        go("reader", move || {
            let mut byte = [0_u8; 1];
            // SAFETY: the buffer lives until the call is over.
            let n = libc_call(|| unsafe {
                libc::read(theirs.as_raw_fd(), byte.as_mut_ptr().cast(), 1)
            });
            assert_eq!((n.expect("a byte"), byte[0]), (1, 7));
            d.done();
        });
        // The reader goes first, and blocks its thread. On the only P.
        gosched();
        ours.write_all(&[7]).expect("room for a byte");
        done.wait();
    });
}

#[test]
fn a_call_that_is_known_to_block_gives_its_p_away_at_once() {
    with(&NO_RETAKE, 1, || {
        let seen = Arc::new(AtomicBool::new(false));
        let s = seen.clone();
        go("other", move || s.store(true, SeqCst));
        syscall_block(|| {
            let begin = Instant::now();
            while !seen.load(SeqCst) {
                assert!(begin.elapsed() < LIMIT / 2, "nobody else runs");
                std::thread::yield_now();
            }
        });
    });
}

#[test]
fn without_sysmon_a_call_keeps_its_p() {
    let ran = with(&NO_RETAKE, 1, || {
        let seen = Arc::new(AtomicBool::new(false));
        let s = seen.clone();
        go("other", move || s.store(true, SeqCst));
        nanosleep(Duration::from_millis(50));
        seen.load(SeqCst)
    });
    assert!(!ran);
}

#[test]
fn a_call_that_nobody_takes_the_p_of_changes_nothing() {
    // Without sysmon's help: a busy machine can make any call a long one.
    with(&NO_RETAKE, 1, || {
        let (tid, m) = (gettid(), rt::arch::getm().id.get());
        for _ in 0..10_000 {
            syscall(|| ());
        }
        assert_eq!((gettid(), rt::arch::getm().id.get()), (tid, m));
        let pp = rt::arch::getm().p.get().expect("a goroutine has a P");
        assert!(rt::table::syscalltick(pp).get() >= 10_000);
        assert_eq!(pp.status.load(Relaxed), rt::gmp::PRUNNING);
    });
}

#[test]
fn calls_and_hogs_share_the_ps() {
    let counts = on(2, || {
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Arc<[AtomicUsize; 8]> = Arc::default();
        let done = WaitGroup::new();
        for i in 0..8 {
            done.add(1);
            let (stop, counts, done) = (stop.clone(), counts.clone(), done.clone());
            go("caller", move || {
                while !stop.load(Relaxed) {
                    syscall(std::thread::yield_now);
                    counts[i].fetch_add(1, Relaxed);
                    step();
                }
                done.done();
            });
        }
        for _ in 0..2 {
            done.add(1);
            let (stop, done) = (stop.clone(), done.clone());
            go("hog", move || {
                hog(&stop);
                done.done();
            });
        }
        nanosleep(Duration::from_millis(600));
        stop.store(true, Relaxed);
        done.wait();
        counts.each_ref().map(|c| c.load(Relaxed))
    });
    assert!(counts.iter().all(|&n| n > 0), "{counts:?}");
}

#[test]
fn many_calls_on_few_ps_lose_nobody() {
    for procs in [1, 2, 4] {
        let sum = on(procs, move || {
            let sum = Arc::new(AtomicUsize::new(0));
            let done = WaitGroup::new();
            for i in 0..200 {
                done.add(1);
                let (sum, done) = (sum.clone(), done.clone());
                go("caller", move || {
                    for k in 0..20 {
                        match (i + k) % 4 {
                            0 => nanosleep(Duration::from_micros(200)),
                            1 => syscall_block(|| ()),
                            2 => gosched(),
                            _ => syscall(|| ()),
                        }
                        sum.fetch_add(1, Relaxed);
                    }
                    done.done();
                });
            }
            done.wait();
            sum.load(Relaxed)
        });
        assert_eq!(sum, 200 * 20);
    }
}

/// Two goroutines, two calls, and the same P: the first loses it to sysmon, the second
/// enters a call with it, and the first, back before the second, takes it out of that call.
#[test]
fn who_comes_back_first_takes_its_old_p_out_of_another_s_call() {
    let trace = traced(|| {
        let done = WaitGroup::new();
        done.add(3);
        let (a, b, c) = (done.clone(), done.clone(), done.clone());
        go("spinner", move || {
            // Keeps the other P for a while, so that nobody is there for the second.
            spin(1_000_000);
            c.done();
        });
        go("second", move || {
            spin(2_000_000);
            nanosleep(Duration::from_millis(6));
            b.done();
        });
        go("first", move || {
            nanosleep(Duration::from_millis(3));
            a.done();
        });
        done.wait();
    })
    .procs(2)
    .trace();
    let by_an_m_with_a_p = |i: usize| trace.events[i].p.is_some();
    let steals: Vec<usize> = trace.find("ProcSteal").collect();
    assert!(
        steals.iter().any(|&i| !by_an_m_with_a_p(i)) && steals.iter().any(|&i| by_an_m_with_a_p(i)),
        "{}",
        trace.only(&[])
    );
}

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

#[test]
fn a_call_that_a_signal_interrupts_is_made_again() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: a zeroed sigaction is valid; the handler does nothing, and without SA_RESTART
    // the call that it interrupts ends with EINTR.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
    }
    on(2, || {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let tid = Arc::new(AtomicUsize::new(0));
        let done = WaitGroup::new();
        done.add(1);
        let (d, t) = (done.clone(), tid.clone());
        go("reader", move || {
            let mut byte = [0_u8; 1];
            let fd = theirs.as_raw_fd();
            // SAFETY: the buffer lives until the call is over.
            let n = libc_call(|| unsafe {
                t.store(gettid() as usize, SeqCst);
                libc::read(fd, byte.as_mut_ptr().cast(), 1)
            });
            assert_eq!(n.expect("a byte, and no EINTR"), 1);
            assert_eq!(theirs.read(&mut byte).expect("the other end is closed"), 0);
            d.done();
        });
        while tid.load(SeqCst) == 0 {
            gosched();
        }
        for _ in 0..20 {
            // SAFETY: the thread is one of this process, in its call.
            unsafe {
                libc::syscall(
                    libc::SYS_tgkill,
                    libc::getpid(),
                    tid.load(SeqCst),
                    libc::SIGUSR1,
                )
            };
            nanosleep(Duration::from_millis(1));
        }
        ours.write_all(&[7]).expect("room for a byte");
        drop(ours);
        done.wait();
    });
}

#[test]
fn a_call_s_error_is_what_errno_says() {
    let error = on(1, || {
        // SAFETY: closes a file that cannot be open.
        libc_call(|| unsafe { libc::close(-1) }).expect_err("there is no such file")
    });
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn off_a_goroutine_a_call_is_a_call() {
    assert_eq!(syscall(|| 7), 7);
    assert_eq!(syscall_block(|| 7), 7);
}

#[test]
fn in_a_call_a_goroutine_is_not_the_scheduler_s() {
    for (name, words) in [
        (
            "check_in_a_call",
            "fatal error: runtime: stack split at bad time\n",
        ),
        (
            "go_in_a_call",
            "fatal error: runtime: stack split at bad time\n",
        ),
        (
            "yield_in_a_call",
            "is syscall (0x3), expected running to become runnable\n",
        ),
        (
            "wait_in_a_call",
            "fatal error: runtime: stack split at bad time\n",
        ),
        (
            "call_in_a_call",
            "is syscall (0x3), expected running to become syscall\n",
        ),
    ] {
        for form in ["older", "wired"] {
            let ended = scenario!([], name, form);
            assert_eq!(ended.code, Some(2), "{name} {form}: {ended:#?}");
            assert!(ended.stderr.contains(words), "{name} {form}: {ended:#?}");
        }
    }
}

#[test]
fn a_dump_shows_who_is_in_a_call_and_where() {
    let ended = scenario!([], "dump_of_a_call");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    in_order(
        &ended.stderr,
        &[
            "fatal error: look around\n",
            "\ngoroutine 2 [syscall]:\n",
            "in_the_kernel",
            "sysmon.rs:",
            "\ncreated by main in goroutine 1 as caller\n",
        ],
    );
}

#[test]
fn a_run_ends_when_main_returns_although_somebody_is_in_a_call() {
    let ended = scenario!([], "main_returns_beside_a_call");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("and again\n", ""));
}

#[test]
fn runs_end_under_load_again_and_again() {
    let ended = scenario!([], "end_of_runs_under_load", "500");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("500 runs\n", ""));
}

#[test]
fn runs_of_both_stages_follow_each_other() {
    for round in 0..6 {
        let stage = if round % 2 == 0 {
            &STAGE
        } else {
            &stage1_coop::STAGE
        };
        let procs = 1 + round % 3;
        let n = with(stage, procs, move || {
            let (n, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
            for _ in 0..20 {
                done.add(1);
                let (n, done) = (n.clone(), done.clone());
                go("worker", move || {
                    gosched();
                    if round % 2 == 0 {
                        nanosleep(Duration::from_micros(300));
                        sleep(Duration::from_millis(1));
                    }
                    n.fetch_add(1, Relaxed);
                    done.done();
                });
            }
            done.wait();
            n.load(Relaxed)
        });
        assert_eq!(n, 20, "round {round}");
    }
}

// ---- Many at once.

#[test]
fn goroutines_that_are_injected_all_run() {
    for procs in [1, 3] {
        on(procs, move || {
            let (parked, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let all: Arc<std::sync::Mutex<Vec<&'static rt::gmp::G>>> = Arc::default();
            let done = WaitGroup::new();
            for _ in 0..300 {
                done.add(1);
                let (parked, woken, all, done) =
                    (parked.clone(), woken.clone(), all.clone(), done.clone());
                go("parked", move || {
                    all.lock()
                        .expect("no panic while it is held")
                        .push(rt::arch::getg());
                    parked.fetch_add(1, SeqCst);
                    // SAFETY: on a goroutine; main finds it in the list.
                    unsafe {
                        rt::sched::gopark(
                            None,
                            std::ptr::null_mut(),
                            rt::trace::WaitReason::SyncWaitGroupWait,
                        );
                    }
                    woken.fetch_add(1, SeqCst);
                    done.done();
                });
            }
            let list = loop {
                gosched();
                let list = all.lock().expect("no panic while it is held").clone();
                // Off its M, too: nothing else orders us after its parking.
                let asleep = |gp: &&rt::gmp::G| {
                    rt::gmp::readgstatus(gp) == rt::gmp::GWAITING && gp.m.get().is_none()
                };
                if list.len() == 300 && list.iter().all(asleep) {
                    break list;
                }
            };
            // SAFETY: all of them wait, and nobody else wakes them.
            unsafe { rt::syscall::injectglist(&list) };
            done.wait();
            assert_eq!(woken.load(SeqCst), 300);
        });
    }
}

// ---- Sysmon's own sleep.

#[test]
fn an_idle_process_does_not_wake_up() {
    let ended = scenario!([], "idle_with_sysmon");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let sleeps: u64 = ended.stdout.trim().parse().expect("a number");
    // Not one every 10 ms, which would be 50, and not one every 20 us.
    assert!(sleeps <= 5, "{sleeps} sleeps in half a second");
}

/// How long sysmon has slept before each of its rounds, in order, by the row that decides it.
#[test]
fn sysmon_looks_every_20_us_while_it_finds_calls_and_rarely_while_it_finds_nothing() {
    static SLEEPS: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());
    static RECORDED: Stage = Stage {
        more: &[&Rows {
            sysmon_delay: |idle, delay| {
                let delay = rt::sysmon::sysmon_delay(idle, delay);
                SLEEPS
                    .lock()
                    .expect("no panic while it is held")
                    .push(delay);
                delay
            },
            ..ROWS
        }],
        ..STAGE
    };
    let take = || std::mem::take(&mut *SLEEPS.lock().expect("no panic while it is held"));
    let (calls, hog) = with(&RECORDED, 1, move || {
        // One P and six goroutines that call without end: it is taken out of nearly each call.
        let done = WaitGroup::new();
        take();
        for _ in 0..6 {
            done.add(1);
            let done = done.clone();
            go("caller", move || {
                for _ in 0..100 {
                    nanosleep(Duration::from_micros(300));
                }
                done.done();
            });
        }
        done.wait();
        let calls = take();
        // Nobody yields and nobody calls: there is nothing to find but, now and then, a
        // slice that is over, and that does not count.
        spin(300_000_000);
        (calls, take())
    });
    // Some callers may have been off the processor for the 50 rounds that it takes.
    let longer = calls.iter().filter(|&&us| us > 20).count();
    assert!(longer * 5 < calls.len(), "{longer} of {}", calls.len());
    // Once it sleeps longer, it is never less until the longest.
    let longer = hog
        .iter()
        .position(|&us| us > 20)
        .expect("it sleeps longer");
    assert!(longer <= 51, "{hog:?}");
    let after = &hog[longer..];
    assert!(after.is_sorted(), "{hog:?}");
    assert_eq!(after.last(), Some(&rt::sysmon::DELAY_MAX), "{hog:?}");
}

#[test]
fn sysmon_wakes_when_a_p_is_used_again() {
    on(2, || {
        for _ in 0..3 {
            // Long enough for everybody to go to sleep, sysmon too.
            syscall_block(|| std::thread::sleep(Duration::from_millis(60)));
            let asleep = rt::gmp::SCHED.attention.load(SeqCst) & rt::sysmon::ATTENTION_SYSMON;
            assert_eq!(asleep, 0, "whoever takes a P wakes sysmon");
            // And it does its work: a hog is asked.
            let begin = Instant::now();
            while !rt::arch::getg().preempt.load(Relaxed) {
                assert!(begin.elapsed() < Duration::from_secs(5), "sysmon sleeps on");
                spin(10_000);
            }
            step();
        }
    });
}

#[test]
fn schedtrace_prints_go_s_line_again_and_again() {
    let ended = scenario!([("GODEBUG", "schedtrace=20")], "schedtraced");
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut times = Vec::new();
    for line in ended.stderr.lines() {
        let rest = line
            .strip_prefix("SCHED ")
            .expect("nothing else is printed");
        let (ms, rest) = rest.split_once("ms: ").expect("a time");
        times.push(ms.parse::<u64>().expect("a number"));
        let keys: Vec<&str> = rest
            .split_whitespace()
            .filter_map(|word| Some(word.split_once('=')?.0))
            .collect();
        assert_eq!(
            keys,
            [
                "gomaxprocs",
                "idleprocs",
                "threads",
                "spinningthreads",
                "idlethreads",
                "runqueue"
            ]
        );
        assert!(rest.starts_with("gomaxprocs=2 "), "{line}");
        let queues = rest.split_once('[').and_then(|(_, q)| q.strip_suffix(']'));
        assert_eq!(queues.map(|q| q.split(' ').count()), Some(2), "{line}");
    }
    assert!(times.len() >= 3, "{ended:#?}");
    assert_eq!(times[0], 0);
    assert!(times.windows(2).all(|t| t[1] >= t[0] + 20), "{times:?}");
}

// ---- Nobody is left.

/// A timer that was called off, a deadline that was taken away, a goroutine that does not wait
/// any more: none of them is a reason to go on, even if a thread sleeps for it already.
#[test]
fn nothing_that_was_called_off_hides_a_deadlock() {
    for what in ["after", "ticker", "timer", "deadline", "closed", "reader"] {
        for (procs, env) in [
            ("1", vec![]),
            ("2", vec![]),
            ("2", vec![("SAFEPOINT_SEED", "1")]),
        ] {
            let ended = scenario!(env, "asleep_with_leftovers", what, procs);
            assert_eq!(ended.code, Some(2), "{what} {procs} {env:?}: {ended:#?}");
            let words = "fatal error: all goroutines are asleep - deadlock!\n";
            assert!(
                ended.stderr.contains(words),
                "{what} {procs} {env:?}: {ended:#?}"
            );
        }
    }
}

#[test]
fn a_deadlock_is_told_and_ends_the_process() {
    for procs in ["1", "2", "8"] {
        let ended = scenario!([], "all_asleep", procs);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        in_order(
            &ended.stderr,
            &[
                "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\n",
                "goroutine 2 [chan receive]:\n",
                "created by main in goroutine 1 as sleeper\n",
            ],
        );
        assert!(ended.stderr.starts_with("fatal error: "), "{ended:#?}");
    }
    for name in [
        "asleep_after_a_call",
        "asleep_and_locked",
        "asleep_beside_a_third_party",
    ] {
        let ended = scenario!([], name);
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        let words = "fatal error: all goroutines are asleep - deadlock!\n";
        assert!(ended.stderr.starts_with(words), "{name}: {ended:#?}");
    }
}

#[test]
fn when_main_has_gone_and_nobody_is_left_that_is_told() {
    let ended = scenario!([], "main_goexits_last");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        "fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n"
    );
}

/// `checkdead` is asked whenever somebody goes to sleep or ends. Each of these moments, when
/// it is the last one.
#[test]
fn whoever_is_the_last_one_finds_that_nobody_is_left() {
    for (name, last) in [
        ("found_by_mput", "mput"),
        ("found_by_stoplockedm", "stoplockedm"),
        ("found_by_mexit", "mexit"),
        ("found_by_incidlelocked", "incidlelocked"),
    ] {
        let ended = scenario!([], name);
        assert_eq!(ended.code, Some(2), "{name}: {ended:#?}");
        let words = format!("{last} looks\nfatal error: all goroutines are asleep - deadlock!\n");
        assert!(ended.stderr.contains(&words), "{name}: {ended:#?}");
    }
}

/// All Ms but one are asleep most of the time, and that one is in a call, locked, or about
/// to be woken by a timer. None of that is the end.
#[test]
fn nobody_is_declared_dead_too_early() {
    for procs in [1, 2, 4] {
        on(procs, || {
            for round in 0..40 {
                let (c, answer) = (Chan::new(0), Chan::new(0));
                let (c2, answer2) = (c.clone(), answer.clone());
                go("locked", move || {
                    lock_os_thread();
                    while c2.recv().is_some() {
                        answer2.send(());
                    }
                });
                for k in 0..10 {
                    match (round + k) % 4 {
                        0 => nanosleep(Duration::from_micros(150)),
                        1 => sleep(Duration::from_micros(150)),
                        2 => drop(after(Duration::from_micros(100)).recv()),
                        _ => syscall_block(|| ()),
                    }
                    c.send(());
                    answer.recv();
                }
                c.close();
            }
        });
    }
}

/// A timer that wakes a goroutine on a P that lay idle starts it from `runnext`, so it inherits
/// a slice that began before the pause. Sysmon asks it at its next look.
#[test]
fn a_slice_may_be_older_than_its_goroutine() {
    #[gofunc]
    fn work() {
        spin(100_000);
    }
    let trace = traced(|| {
        for _ in 0..10 {
            sleep(Duration::from_millis(15));
            for _ in 0..10 {
                work();
            }
        }
    })
    .trace();
    // It works for a millisecond at a time, a tenth of what a slice may last.
    assert_eq!(trace.count("GoPreempt"), 9, "{}", trace.only(&[]));
}
