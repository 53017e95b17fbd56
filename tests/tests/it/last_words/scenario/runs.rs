//! Runs that end, and what they leave behind.

use super::step;
use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{memory, threads};

crate::scenarios!(
    handlers,
    runs_watched,
    runs,
    runs_at_once,
    nested,
    nested_in_third_party,
    main_returns,
    main_returns_at_random,
    exits,
);

/// What a run must leave as it was: handlers, mask and signal stack.
fn signals() -> String {
    let mut out = String::new();
    // SAFETY: zeroed structures are valid values of their types, the calls only fill them.
    unsafe {
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGINT,
            libc::SIGTRAP,
            libc::SIGVTALRM,
            libc::SIGURG,
            libc::SIGQUIT,
        ] {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action);
            let mask: Vec<i32> = (1..65)
                .map(|s| libc::sigismember(&action.sa_mask, s))
                .collect();
            // libc adds this flag whenever a handler is set, whatever it is.
            const SA_RESTORER: i32 = 0x0400_0000;
            let flags = action.sa_flags & !SA_RESTORER;
            out += &format!("{signal}: {:#x} {flags:#x} {mask:?}\n", action.sa_sigaction);
        }
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        let blocked: Vec<i32> = (1..65)
            .filter(|&s| libc::sigismember(&mask, s) == 1)
            .collect();
        let mut stack: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &mut stack);
        out += &format!(
            "blocked {blocked:?}\nstack {:?} {} {:#x}\n",
            stack.ss_sp, stack.ss_size, stack.ss_flags
        );
    }
    out
}

fn handlers(_: &[String]) {
    // A mask that is not the usual one: it must come back, and be that of every M.
    // SAFETY: a zeroed set is valid, and blocking a signal of our own thread harms nobody.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    for round in 0..3 {
        let before = signals();
        let inside = Arc::new(std::sync::Mutex::new(String::new()));
        let put = inside.clone();
        let runtime = Runtime::new(&STAGE)
            .procs(2)
            .third_party(|me| while me.sleep(Duration::from_millis(1)) {});
        start(runtime, move || {
            for _ in 0..10 {
                go("worker", || {
                    spin(1_000_000);
                });
            }
            gosched();
            spin(1_000_000);
            *put.lock().expect("no panic while it is held") = signals();
        });
        let after = signals();
        println!(
            "{round}: changed inside: {}",
            *inside.lock().expect("as above") != before
        );
        if before == after {
            println!("{round}: as before");
        } else {
            println!("{round}: before\n{before}after\n{after}");
        }
    }
}

/// A thread that is not of the runtime looks on, as one does that is about to wake a
/// goroutine: as soon as the gate is open, M0 counts and is in the list.
fn runs_watched(_: &[String]) {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    static BAD: AtomicUsize = AtomicUsize::new(0);
    const RUNS: usize = 300;
    let over = || rt::gmp::SCHED.attention.has(rt::gmp::ATTENTION_STOP);
    start(Runtime::new(&STAGE).procs(1), || {});
    std::thread::spawn(move || {
        for n in 1..=RUNS {
            while over() {
                std::hint::spin_loop();
            }
            let live = rt::gmp::SCHED.live.load(SeqCst);
            let ms = rt::gmp::allm().filter(|m| m.id.get() == 0).count();
            BAD.fetch_add(usize::from(live == 0 || ms != 1), SeqCst);
            BEGUN.store(n, SeqCst);
            while !over() {
                std::hint::spin_loop();
            }
            ENDED.store(n, SeqCst);
        }
    });
    for n in 1..=RUNS {
        start(Runtime::new(&STAGE).procs(4), move || {
            while BEGUN.load(SeqCst) < n {
                std::thread::yield_now();
            }
        });
        while ENDED.load(SeqCst) < n {
            std::thread::yield_now();
        }
    }
    println!("{} bad", BAD.load(SeqCst));
}

/// Many runs, one after the other.
fn runs(arguments: &[String]) {
    let rounds: usize = arguments[0].parse().unwrap_or(0);
    let mut at_20 = (0, 0);
    let mut sum = 0;
    let total = Arc::new(AtomicUsize::new(0));
    for round in 0..rounds {
        let total = total.clone();
        let runtime = Runtime::new(&STAGE).procs(1 + round % 4).third_party(|me| {
            while me.sleep(Duration::from_millis(1)) {
                me.raise_the_flag();
            }
        });
        start(runtime, move || {
            let c = Chan::new(round % 3);
            let all = WaitGroup::new();
            for n in 0..10 {
                all.add(1);
                let (c, all) = (c.clone(), all.clone());
                go("sender", move || {
                    c.send(n);
                    if n == 3 {
                        lock_os_thread();
                    }
                    all.done();
                });
            }
            for _ in 0..10 {
                total.fetch_add(c.recv().unwrap_or(0), SeqCst);
            }
            all.wait();
        });
        sum += 45;
        if round == 20 {
            at_20 = memory();
        }
    }
    let end = memory();
    println!("sum right: {}", total.load(SeqCst) == sum);
    println!("threads left: {}", threads().len());
    println!(
        "resident KiB a run: {}",
        end.0.saturating_sub(at_20.0) / rounds
    );
    println!(
        "address space KiB a run: {}",
        end.1.saturating_sub(at_20.1) / rounds
    );
}

/// Two threads that run the runtime: one waits for the other.
fn runs_at_once(_: &[String]) {
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..20 {
                    run(2, || {
                        MOST.fetch_max(INSIDE.fetch_add(1, SeqCst) + 1, SeqCst);
                        go("worker", || {});
                        std::thread::sleep(Duration::from_millis(1));
                        INSIDE.fetch_sub(1, SeqCst);
                    });
                }
            })
        })
        .collect();
    let ended = threads.into_iter().filter_map(|t| t.join().ok()).count();
    println!(
        "threads that ended well: {ended}, runs at once: {}",
        MOST.load(SeqCst)
    );
}

fn nested(_: &[String]) {
    run(1, || run(1, || println!("inside")));
}

fn nested_in_third_party(_: &[String]) {
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .third_party(|_| run(1, || println!("inside")));
    start(runtime, forever);
}

/// Main returns while others are in every state that there is.
fn main_returns(arguments: &[String]) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let begin = Instant::now();
    let what = arguments[0].clone();
    let third: fn(&mut ThirdParty) = if what == "stubborn_third_party" {
        |_| std::thread::sleep(Duration::from_secs(20))
    } else {
        |me| while me.sleep(Duration::from_millis(1)) {}
    };
    start(
        Runtime::new(&STAGE).procs(3).third_party(third),
        move || {
            match what.as_str() {
                "parked" => {
                    for _ in 0..10 {
                        go("waiter", forever);
                        go("locked", || {
                            lock_os_thread();
                            forever();
                        });
                    }
                    for _ in 0..20 {
                        gosched();
                    }
                }
                "runnable" => {
                    for _ in 0..1000 {
                        go("never", || {});
                    }
                }
                "hogs" => {
                    for _ in 0..2 {
                        go("hog", || {
                            RUNS.fetch_add(1, SeqCst);
                            loop {
                                step();
                            }
                        });
                    }
                    while RUNS.load(SeqCst) < 2 {
                        gosched();
                    }
                }
                "loop" => {
                    go("endless", || {
                        RUNS.fetch_add(1, SeqCst);
                        loop {
                            black_box(());
                        }
                    });
                    while RUNS.load(SeqCst) < 1 {
                        gosched();
                    }
                }
                _ => {}
            }
            println!("main returns");
        },
    );
    println!("run returns");
    if begin.elapsed() > Duration::from_secs(20) {
        println!("late");
    }
}

/// Main returns at a moment when others may be anywhere, between two goroutines too. All of
/// them come to a check, so every run must end, and without a word.
fn main_returns_at_random(arguments: &[String]) {
    static GO_ON: AtomicBool = AtomicBool::new(false);
    #[gofunc]
    fn hog() {
        loop {
            step();
        }
    }
    let rounds: usize = arguments[0].parse().unwrap_or(0);
    for _ in 0..rounds {
        GO_ON.store(false, SeqCst);
        run(4, || {
            for _ in 0..3 {
                go("hog", || {
                    while !GO_ON.load(Relaxed) {
                        gosched();
                    }
                    hog();
                });
            }
            for _ in 0..20 {
                gosched();
            }
            GO_ON.store(true, SeqCst);
        });
    }
    println!("{rounds} runs have ended");
}

/// Ends the process from a goroutine: the trace must be there.
fn exits(_: &[String]) {
    run(2, || {
        go("exits", || {
            user_log("the end");
            exit(7);
        });
        forever();
    });
}
