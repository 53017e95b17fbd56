//! Searching, resting and waking, as they show in threads and processor time.

use crate::{forever, run, start, work};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::Duration;
use tests::{Random, threads};

crate::scenarios!(spinners, ctrl_c, idle, rounds);

/// How many Ms look for work at once, at most, as everybody sees it who runs. (Lockstep: so
/// nobody can join between a look at the number and its change.)
fn spinners(_: &[String]) {
    static MOST: AtomicUsize = AtomicUsize::new(0);
    static LATE: AtomicUsize = AtomicUsize::new(0);
    run(8, || {
        let mut random = Random::new(1);
        for _ in 0..200 {
            let all = WaitGroup::new();
            for _ in 0..1 + random.below(12) {
                all.add(1);
                let (all, turns) = (all.clone(), 1_000 * random.below(60));
                go("worker", move || {
                    for _ in 0..3 {
                        let spinning = rt::gmp::SCHED.searchers.count() as usize;
                        MOST.fetch_max(spinning, SeqCst);
                        work(turns);
                    }
                    all.done();
                });
            }
            all.wait();
            work(20_000);
        }
        // Everybody has gone to rest by now, and nobody counts as looking any more.
        for _ in 0..20 {
            work(100_000);
        }
        LATE.store(rt::gmp::SCHED.searchers.count() as usize, SeqCst);
        println!(
            "most: {}, in the end: {}",
            MOST.load(SeqCst),
            LATE.load(SeqCst)
        );
    });
}

/// Ctrl-C raises the flag while there is a third party, and does what it did before when the
/// run is over.
fn ctrl_c(_: &[String]) {
    static THERE: AtomicBool = AtomicBool::new(false);
    static TURN: AtomicBool = AtomicBool::new(false);
    fn press() {
        // SAFETY: signals this process only.
        unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
    }
    let runtime = Runtime::new(&STAGE).procs(1).third_party(|me| {
        THERE.store(true, SeqCst);
        while me.sleep(Duration::from_secs(3600)) {}
    });
    start(runtime, || {
        while !THERE.load(SeqCst) {
            std::thread::yield_now();
        }
        go("bystander", || {
            println!("the bystander has its turn");
            TURN.store(true, SeqCst);
        });
        press();
        // Only a request makes this one yield.
        while !TURN.load(SeqCst) {
            work(10_000);
        }
    });
    println!("the run is over");
    press();
    std::thread::sleep(Duration::from_secs(20));
    println!("Ctrl-C does nothing any more");
}

/// Work on all Ps first, then nothing to do for anybody.
fn idle(_: &[String]) {
    run(8, || {
        let all = WaitGroup::new();
        for _ in 0..1000 {
            all.add(1);
            let all = all.clone();
            go("worker", move || {
                gosched();
                all.done();
            });
        }
        all.wait();
        go("waiter", forever);
        gosched();
        // Main keeps a P, asleep in the kernel; all others have nothing. A moment, for
        // those that still look for work.
        std::thread::sleep(Duration::from_millis(100));
        let before = cpu_time();
        std::thread::sleep(Duration::from_millis(500));
        println!("microseconds: {}", (cpu_time() - before).as_micros());
    });
}

/// Everybody sleeps and is woken, again and again: by the same threads.
fn rounds(arguments: &[String]) {
    let rounds: usize = arguments[0].parse().unwrap_or(0);
    run(4, move || {
        let mut after_100 = 0;
        let mut most = 0;
        for round in 0..rounds {
            let all = WaitGroup::new();
            for _ in 0..8 {
                all.add(1);
                let all = all.clone();
                go("worker", move || {
                    black_box(spin(10_000));
                    all.done();
                });
            }
            all.wait();
            if round % 20 == 0 {
                most = most.max(threads().len());
            }
            if round == 100 {
                after_100 = threads().len();
            }
            if round % 10 == 0 {
                // Long enough for all others to fall asleep.
                std::thread::sleep(Duration::from_micros(300));
            }
        }
        println!("threads: {after_100} after 100 rounds, at most {most}");
    });
}

/// Processor time of the whole process.
fn cpu_time() -> Duration {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}
