//! Programs that stage 3 shares a process with: their handlers, masks and limits.

use crate::start;
use stage3_signals::rt;
use stage3_signals::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::*};
use std::time::{Duration, Instant};

crate::scenarios!(
    given,
    in_place,
    chained_to_the_program,
    replaced,
    blocked,
    no_timers,
    threads_that_end,
    switched_off,
    shadow_stack,
    runs_of_stages,
);

/// SIGURG's action.
fn action() -> libc::sigaction {
    // SAFETY: a zeroed action is valid; without a new one nothing changes.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGURG, std::ptr::null(), &mut now);
        now
    }
}

/// Lets SIGURG call `handler`.
fn handle(handler: usize) {
    // SAFETY: SIG_IGN, or a handler of this form.
    unsafe { libc::signal(libc::SIGURG, handler) };
}

fn is_blocked() -> bool {
    // SAFETY: the set is ours.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        libc::sigismember(&mask, libc::SIGURG) == 1
    }
}

#[gofunc]
fn hog(stop: &AtomicBool) {
    while !stop.load(Relaxed) {}
}

/// Runs two hogs on one P until main has had its turn so many times, and returns whether it
/// has, in time.
fn two_hogs(turns: u32) -> bool {
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let stop = stop.clone();
        go("hog", move || hog(&stop));
    }
    let begin = Instant::now();
    (0..turns).for_each(|_| gosched());
    stop.store(true, Relaxed);
    begin.elapsed() < Duration::from_secs(20)
}

/// What this process was given, and what it does with SIGURG before, in and after a run.
fn given(_: &[String]) {
    let given = rt::signal::before_main();
    let bit = given.mask >> (libc::SIGURG - 1) & 1;
    println!("given: blocked {bit}, handler {}", given.handler);
    println!(
        "before: blocked {}, handler {}",
        is_blocked(),
        action().sa_sigaction
    );
    start(Runtime::new(&STAGE).procs(1), || {
        let yielded = two_hogs(5);
        println!("in the run: blocked {}, yielded {yielded}", is_blocked());
    });
    println!(
        "after: blocked {}, handler {}",
        is_blocked(),
        action().sa_sigaction
    );
}

/// The handler's action during a run.
fn in_place(_: &[String]) {
    start(Runtime::new(&STAGE).procs(1), || {
        let now = action();
        // SAFETY: the set is the kernel's.
        let masks = (1..=64).filter(|&n| unsafe { libc::sigismember(&now.sa_mask, n) } == 1);
        // The kernel never blocks these two, and the C library keeps two for itself.
        let missing = 64 - 2 - 2 - masks.count();
        let flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        println!(
            "flags {}, not masked {missing}",
            now.sa_flags & flags == flags
        );
    });
}

static LANDED: AtomicU32 = AtomicU32::new(0);

extern "C" fn program_s(_: i32) {
    LANDED.fetch_add(1, Relaxed);
}

/// A program with a handler of its own: it sees every signal, and goroutines are stopped.
fn chained_to_the_program(_: &[String]) {
    handle(program_s as *const () as usize);
    start(Runtime::new(&STAGE).procs(1), || {
        let yielded = two_hogs(5);
        let own = rt::table::own(rt::arch::getm()).expect("a run of stage 3");
        let landed = own.signal.generation();
        let seen = LANDED.load(Relaxed);
        println!(
            "yielded {yielded}, all seen {}",
            seen > 5 && seen + 1 >= landed
        );
    });
    println!(
        "back {}",
        action().sa_sigaction == program_s as *const () as usize
    );
}

/// The program takes the signal away in the middle of the run, and then gives it back.
fn replaced(_: &[String]) {
    static STOP: AtomicBool = AtomicBool::new(false);
    static TURNS: AtomicI32 = AtomicI32::new(0);
    let old = action();
    start(Runtime::new(&STAGE).procs(2), move || {
        let ours = action();
        go("hog", || hog(&STOP));
        go("patient", || {
            TURNS.fetch_add(1, Relaxed);
        });
        // From here on nothing answers: a thread that is asked does not know of it.
        handle(program_s as *const () as usize);
        let other = std::thread::spawn(|| {
            let until = Instant::now() + Duration::from_millis(700);
            while Instant::now() < until {
                rt::stack::preemptall();
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        // main keeps the other P meanwhile.
        other.join().expect("no panic");
        // SAFETY: what the runtime had put there.
        unsafe { libc::sigaction(libc::SIGURG, &ours, std::ptr::null_mut()) };
        println!("program's {}", LANDED.load(Relaxed) > 0);
        STOP.store(true, Relaxed);
    });
    println!("as before {}", action().sa_sigaction == old.sa_sigaction);
}

/// The thread that calls `run` blocks SIGURG.
fn blocked(_: &[String]) {
    // SAFETY: the set is ours.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
    for _ in 0..2 {
        start(Runtime::new(&STAGE).procs(1), || {
            let yielded = two_hogs(5);
            println!("in the run: blocked {}, yielded {yielded}", is_blocked());
        });
        println!("after: blocked {}", is_blocked());
    }
}

/// The user may have no timers.
fn no_timers(_: &[String]) {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &none) };
    start(Runtime::new(&STAGE).procs(2), || {
        println!("yielded {}", two_hogs(5));
    });
}

/// Threads end while they are asked: with the goroutine that is locked to them.
fn threads_that_end(_: &[String]) {
    static OVER: AtomicBool = AtomicBool::new(false);
    start(Runtime::new(&STAGE).procs(2), || {
        let asker = std::thread::spawn(|| {
            while !OVER.load(Relaxed) {
                for mp in rt::gmp::living() {
                    rt::ask::preempt_m(mp);
                }
            }
        });
        for _ in 0..100 {
            let done = WaitGroup::new();
            done.add(1);
            let end = done.clone();
            go("locked", move || {
                lock_os_thread();
                spin(10_000);
                end.done();
            });
            done.wait();
        }
        OVER.store(true, Relaxed);
        asker.join().expect("no panic");
        println!("yielded {}", two_hogs(5));
    });
}

static TURN: AtomicBool = AtomicBool::new(false);

/// Comes to no check, once it has begun, until the patient goroutine has had its turn, or for so
/// long.
#[gofunc]
fn busy(time: Duration) {
    let until = Instant::now() + time;
    while !TURN.load(Relaxed) && Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// `switched_off LIMIT`: a loop that calls nothing, for so many milliseconds.
fn switched_off(args: &[String]) {
    let limit = args.first().and_then(|n| n.parse().ok()).unwrap_or(0);
    start(Runtime::new(&STAGE).procs(1), move || {
        go("patient", || TURN.store(true, Relaxed));
        busy(Duration::from_millis(limit));
        println!("patient had a turn: {}", TURN.load(Relaxed));
    });
}

/// A processor that compares return addresses, and then one that does not: the handler ignores
/// requests, and none is sent.
fn shadow_stack(_: &[String]) {
    rt::safepoint::pretend_shadow_stack();
    for _ in 0..2 {
        start(Runtime::new(&STAGE).procs(1), || {
            let section = acquirem();
            let mp = rt::arch::getm();
            let own = rt::table::own(mp).expect("a run of stage 3");
            rt::arch::getg().preempt.store(true, Relaxed);
            // SAFETY: raise takes a number.
            unsafe { libc::raise(libc::SIGURG) };
            let locks = rt::safepoint::refused("locks");
            let asker = std::thread::spawn(move || {
                rt::ask::preempt_m(mp);
            });
            asker.join().expect("no panic");
            let sent = own.flow.load(Relaxed) != 0 || rt::safepoint::refused("locks") > locks;
            println!(
                "off {:?}, in flight {sent}, refused {}",
                rt::ask::off(),
                rt::safepoint::refused(rt::safepoint::SHADOW_STACK)
            );
            drop(section);
        });
    }
}

/// Runs of all stages, one after the other: only ours has a handler, and only while it lasts.
fn runs_of_stages(_: &[String]) {
    let handled = || action().sa_sigaction > libc::SIG_IGN;
    for _ in 0..5 {
        for stage in [&STAGE, &stage2_sysmon::STAGE, &stage1_coop::STAGE] {
            start(Runtime::new(stage).procs(2), move || {
                let done = WaitGroup::new();
                for _ in 0..20 {
                    done.add(1);
                    let done = done.clone();
                    go("works", move || {
                        spin(10_000);
                        done.done();
                    });
                }
                done.wait();
                print!("{} {} ", stage.name, handled());
            });
            println!("{}", handled());
        }
    }
}
