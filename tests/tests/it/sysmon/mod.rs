//! Stage 2's mechanisms as behavior: who notices that a goroutine runs for too long, that a
//! thread sits in a system call, that nobody is left. Rows 32 to 53 of the list of
//! mechanisms, as far as they are built.
mod calls;
mod deadlock;
mod slices;
mod unwinding;

use crate::fixture::on_stage;
use crate::fixture::stage2::{on, step};
use stage2_sysmon::rt;
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::scenario;

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
    let (calls, hog) = on_stage(&RECORDED, 1, move || {
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
            let asleep = rt::gmp::SCHED.attention.has(rt::sysmon::ATTENTION_SYSMON);
            assert!(!asleep, "an M that takes a P wakes sysmon");
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
