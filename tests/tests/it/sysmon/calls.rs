//! System calls: a P in a call is taken where it is needed, and whatever happens in a call finds
//! its way back.

use super::slices::hog;
use crate::fixture::on_stage;
use crate::fixture::stage2::{on, step, traced};
use stage2_sysmon::rt;
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{LIMIT, gettid, in_order, scenario};

/// Sysmon takes no P out of a call: what happens without it.
static NO_RETAKE: Stage = Stage {
    more: &[&Rows {
        retake: |_| 0,
        ..ROWS
    }],
    ..STAGE
};

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
    on_stage(&NO_RETAKE, 1, || {
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
    let ran = on_stage(&NO_RETAKE, 1, || {
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
    on_stage(&NO_RETAKE, 1, || {
        let (tid, m) = (gettid(), rt::arch::getm().id.get());
        for _ in 0..10_000 {
            syscall(|| ());
        }
        assert_eq!((gettid(), rt::arch::getm().id.get()), (tid, m));
        let pp = rt::arch::getm().p.get().expect("a goroutine has a P");
        assert!(rt::table::syscalltick(pp).get() >= 10_000);
        assert_eq!(pp.status.get(), rt::gmp::PRUNNING);
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
            "sysmon/scenario/calls.rs:",
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
        let n = on_stage(stage, procs, move || {
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
