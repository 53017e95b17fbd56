//! Mechanisms that show from outside only: by threads, memory, processor time and traces.

use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{Random, gettid, memory, threads};

crate::scenarios!(
    mixture,
    hog_and_pair,
    spinners,
    ctrl_c,
    idle,
    rounds,
    masks,
    locked_end,
    locked_end_on_m0,
    short_ones,
    burst,
    caught_panics,
);

#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

/// A little of everything, for the trace.
fn mixture(_: &[String]) {
    fn raise_the_flag(me: &mut ThirdParty) {
        while me.sleep(Duration::from_micros(700)) {
            me.raise_the_flag();
        }
    }
    let runtime = Runtime::new(&STAGE).procs(2).third_party(raise_the_flag);
    start(runtime, || {
        let (c, mutex) = (Chan::new(2), Arc::new(Mutex::new(0_u64)));
        let all = WaitGroup::new();
        for id in 0..6 {
            all.add(1);
            let (c, mutex, all) = (c.clone(), mutex.clone(), all.clone());
            go("mixed", move || {
                let mut random = Random::new(id);
                for _ in 0..12 {
                    match random.below(6) {
                        0 => gosched(),
                        1 => select! {
                            send(c, id) => {},
                            recv(c) -> _ => {},
                        },
                        2 => {
                            let mut n = mutex.lock();
                            work(100_000);
                            *n += 1;
                        }
                        3 => {
                            lock_os_thread();
                            gosched();
                            unlock_os_thread();
                        }
                        4 => go("child", || {
                            work(50_000);
                        }),
                        _ => {
                            work(400_000);
                        }
                    }
                }
                all.done();
            });
        }
        // Somebody is always there to talk to.
        let serving = c.clone();
        go("server", move || {
            loop {
                select! {
                    send(serving, 9) => {},
                    recv(serving) -> _ => {},
                }
                gosched();
            }
        });
        all.wait();
    });
}

/// Two hogs, and a pair that hands a ball to each other for ever, on one P: in turns of
/// 10 ms, which the third party ends. How far does each get? (Lockstep.)
fn hog_and_pair(_: &[String]) {
    static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    fn raise_the_flag(me: &mut ThirdParty) {
        for _ in 0..60 {
            if !me.sleep(Duration::from_millis(10)) {
                return;
            }
            me.raise_the_flag();
        }
        let [a, b, pair] = COUNTS.each_ref().map(|c| c.load(Relaxed));
        println!("{a} {b} {pair}");
        exit(0);
    }
    let runtime = Runtime::new(&STAGE).procs(1).third_party(raise_the_flag);
    start(runtime, || {
        for count in &COUNTS[..2] {
            go("hog", move || {
                loop {
                    work(100_000);
                    count.fetch_add(1, Relaxed);
                }
            });
        }
        let (there, back) = (Chan::new(0), Chan::new(0));
        let (from, to) = (there.clone(), back.clone());
        go("pong", move || {
            loop {
                from.recv();
                work(100_000);
                to.send(());
            }
        });
        go("ping", move || {
            loop {
                there.send(());
                back.recv();
                COUNTS[2].fetch_add(1, Relaxed);
            }
        });
        forever();
    });
}

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
                        let spinning = rt::gmp::SCHED.nmspinning.load(SeqCst) as usize;
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
        LATE.store(rt::gmp::SCHED.nmspinning.load(SeqCst) as usize, SeqCst);
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

/// Which signals each thread of a run blocks: all the same, those of the thread that called
/// `run`, although they were all blocked while the thread was made.
fn masks(_: &[String]) {
    // SAFETY: a zeroed set is valid; blocking a signal of our own thread harms nobody.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    run(4, || {
        static THERE: AtomicUsize = AtomicUsize::new(0);
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            go("worker", move || {
                // All four at once, so there are four threads; main's P is one of them.
                THERE.fetch_add(1, SeqCst);
                while THERE.load(SeqCst) < 4 {
                    std::thread::yield_now();
                }
                all.done();
            });
        }
        all.wait();
        let mut masks: Vec<String> = rt::gmp::allm()
            .filter_map(|m| {
                let tid = m.procid.load(Acquire);
                let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status"));
                let status = status.ok()?;
                let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"))?;
                Some(mask.trim().to_owned())
            })
            .collect();
        println!("threads: {}", masks.len());
        masks.sort();
        masks.dedup();
        println!("masks: {}", masks.join(" "));
    });
}

/// Waits until `f` says yes, for ten seconds.
fn eventually(f: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !f() {
        if Instant::now() > deadline {
            return false;
        }
        gosched();
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A goroutine ends while it is locked to its thread: the thread ends with it.
fn locked_end(_: &[String]) {
    static TID: AtomicI32 = AtomicI32::new(0);
    run(4, || {
        // Main stays on M0, so the other goroutine gets another thread.
        lock_os_thread();
        let main_tid = gettid();
        for round in 0..20 {
            TID.store(0, SeqCst);
            let goes = round % 2 == 0;
            go("locked", move || {
                lock_os_thread();
                lock_os_thread();
                if goes {
                    unlock_os_thread();
                    unlock_os_thread();
                }
                TID.store(gettid(), SeqCst);
                if round % 4 == 1 {
                    goexit();
                }
            });
            if !eventually(|| TID.load(SeqCst) != 0) {
                println!("{round}: it never ran");
            }
            let tid = TID.load(SeqCst);
            if goes {
                std::thread::sleep(Duration::from_millis(5));
                if !threads().contains(&tid) {
                    println!("{round}: unlocked, and its thread ended");
                }
            } else if !eventually(|| !threads().contains(&tid)) {
                println!("{round}: locked, and its thread lives on");
            }
        }
        println!("main on its thread: {}", gettid() == main_tid);
        unlock_os_thread();
    });
}

/// The same on M0: that thread called `run` and must come back from it, but no goroutine may
/// run there any more.
fn locked_end_on_m0(_: &[String]) {
    static OTHERS: AtomicUsize = AtomicUsize::new(0);
    static ENDED: AtomicBool = AtomicBool::new(false);
    let m0 = gettid();
    for _ in 0..3 {
        ENDED.store(false, SeqCst);
        run(1, move || {
            let on_m0 = gettid() == m0;
            go("locked", || {
                lock_os_thread();
                ENDED.store(true, SeqCst);
            });
            gosched();
            for _ in 0..100 {
                go("other", move || {
                    OTHERS.fetch_add(usize::from(gettid() == m0), SeqCst);
                });
                gosched();
            }
            println!(
                "began on m0: {on_m0}, ended: {}, now on m0: {}, others there: {}",
                ENDED.load(SeqCst),
                gettid() == m0,
                OTHERS.load(SeqCst)
            );
        });
        println!("back on m0: {}", gettid() == m0);
    }
}

/// A hundred thousand goroutines, one after the other and in bursts: their Gs and stacks are
/// used again.
fn short_ones(_: &[String]) {
    run(2, || {
        let burst = |n: usize| {
            let all = WaitGroup::new();
            for _ in 0..n {
                all.add(1);
                let all = all.clone();
                go("short", move || all.done());
            }
            all.wait();
        };
        for _ in 0..10 {
            burst(1000);
        }
        let before = memory();
        for _ in 0..80 {
            burst(1000);
        }
        for _ in 0..20_000 {
            burst(1);
        }
        let after = memory();
        println!("KiB: {}", after.0.saturating_sub(before.0));
    });
}

/// Goroutines that catch a panic each: nothing remains of it.
fn caught_panics(_: &[String]) {
    std::panic::set_hook(Box::new(|_| {}));
    run(1, || {
        let burst = |n: usize| {
            for _ in 0..n {
                let all = WaitGroup::new();
                all.add(1);
                let a = all.clone();
                go("panics", move || {
                    let _ = std::panic::catch_unwind(|| panic!("caught"));
                    a.done();
                });
                all.wait();
            }
        };
        burst(2000);
        let before = memory();
        burst(30_000);
        println!("KiB: {}", memory().0.saturating_sub(before.0));
    });
}

/// `burst N`: so many wait at once and end; what they leave behind, then and a little later.
/// Their slots serve again, also as the end of what overflows.
fn burst(args: &[String]) {
    let n: usize = args.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let begin = memory().0;
    let grown = move || memory().0.saturating_sub(begin);
    rt::stack::give_back_after(100);
    run(2, move || {
        for round in 0..2 {
            parked(n);
            let most = grown();
            let limit = 32 << 10;
            eventually(|| grown() < limit);
            println!(
                "round {round}: after {n}: {most} KiB, later: {} KiB",
                grown()
            );
        }
        parked(n);
    });
    println!("after the run: {} KiB", grown());
    run(1, || {
        fn fall(n: u64) -> u64 {
            let here = black_box([n; 64]);
            if n == u64::MAX {
                0
            } else {
                fall(n + 1) + here[black_box(3)]
            }
        }
        for _ in 0..200 {
            go("bystander", forever);
        }
        gosched();
        go("culprit", || {
            black_box(fall(0));
        });
        forever();
    });
}

/// Starts `n` goroutines, and lets them go on when all wait.
fn parked(n: usize) {
    let (gate, here, all) = (Chan::<()>::new(0), WaitGroup::new(), WaitGroup::new());
    here.add(n);
    all.add(n);
    for _ in 0..n {
        let (gate, here, all) = (gate.clone(), here.clone(), all.clone());
        go("parked", move || {
            here.done();
            gate.recv();
            all.done();
        });
    }
    here.wait();
    gate.close();
    all.wait();
}
