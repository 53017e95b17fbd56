//! Programs of stage 2 that are asked where everybody is, that run out of threads, or that
//! stand in a storm of signals.

use crate::start;
use stage2_sysmon::*;
use std::hint::black_box;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::{Duration, Instant};

crate::scenarios!(
    quit,
    quit_outside,
    quit_between,
    quit_own,
    detailed,
    detailed_end,
    threads_limit,
    user_limit,
    storm,
    long_call_at_the_end,
    stranger,
    dies_beside,
);

const LONG: Duration = Duration::from_secs(30);

fn on(procs: usize) -> Runtime {
    Runtime::new(&STAGE).procs(procs)
}

/// Sends SIGQUIT to this process, from a thread that the runtime does not know.
fn quit_after(ms: u64, times: usize) {
    for _ in 0..times {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(ms));
            kill(libc::SIGQUIT);
        });
    }
}

fn kill(signal: i32) {
    // SAFETY: kill and getpid take numbers.
    unsafe { libc::kill(libc::getpid(), signal) };
}

#[gofunc]
fn checked(turns: u64) -> u64 {
    spin(turns)
}

#[gofunc]
fn deaf() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns + 1);
    }
}

#[inline(never)]
fn obedient() {
    loop {
        checked(1_000);
    }
}

#[inline(never)]
fn in_the_kernel() {
    nanosleep(LONG);
    black_box(());
}

/// `quit WHEN`: the signal comes while everybody does this.
fn quit(args: &[String]) {
    let when = args.first().map_or("", |w| w.as_str()).to_owned();
    let times = if when == "twice" { 2 } else { 1 };
    quit_after(
        args.get(1).and_then(|n| n.parse().ok()).unwrap_or(150),
        times,
    );
    start(on(2), move || {
        match when.as_str() {
            "idle" | "twice" => {}
            "deaf" => (0..2).for_each(|_| go("deaf", deaf)),
            "obedient" => (0..3).for_each(|_| go("obedient", obedient)),
            "call" => go("caller", in_the_kernel),
            "calls" => (0..40).for_each(|_| {
                go("caller", || {
                    loop {
                        nanosleep(Duration::from_micros(50));
                        syscall(|| ());
                        syscall_block(|| ());
                    }
                });
            }),
            "allocator" => (0..2).for_each(|_| {
                go("allocator", || {
                    let mut all = Vec::new();
                    loop {
                        all.push(vec![0_u8; checked(10) as usize % 512 + 1]);
                        if all.len() > 1_000 {
                            all.clear();
                        }
                    }
                });
            }),
            "unwinding" => {
                std::panic::set_hook(Box::new(|_| {}));
                for _ in 0..2 {
                    go("unwinding", || {
                        loop {
                            let _ = std::panic::catch_unwind(|| {
                                let _guard = Yields;
                                panic!("again");
                            });
                        }
                    });
                }
            }
            "panicking" => go("panicking", || {
                spin(150_000_000);
                panic!("at the same moment");
            }),
            "stderr" => go("holder", || {
                let mut stderr = std::io::stderr().lock();
                let _ = writeln!(stderr, "mine");
                nanosleep(LONG);
            }),
            "lock" => go("holder", || {
                let _sched = rt::gmp::SCHED.lock();
                deaf();
            }),
            "crowd" => (0..5_000).for_each(|_| go("one_of_many", || sleep(LONG))),
            other => panic!("quit: there is no {other}"),
        }
        sleep(LONG);
    });
}

struct Yields;

impl Drop for Yields {
    fn drop(&mut self) {
        checked(10_000);
        gosched();
    }
}

/// `quit_outside WHEN`: the signal comes before or after a run.
fn quit_outside(args: &[String]) {
    let before = args.first().is_some_and(|w| w == "before");
    if before {
        kill(libc::SIGQUIT);
    }
    start(on(2), || sleep(Duration::from_millis(5)));
    kill(libc::SIGQUIT);
    println!("lives on");
}

/// `quit_between US`: one short run after the other, and the signal somewhere.
fn quit_between(args: &[String]) {
    let us = args.first().and_then(|n| n.parse().ok()).unwrap_or(0);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_micros(us));
        kill(libc::SIGQUIT);
    });
    loop {
        start(on(2), || {
            go("short", || sleep(Duration::from_micros(50)));
            sleep(Duration::from_micros(100));
        });
    }
}

/// The program's own handler of SIGQUIT stays.
fn quit_own(_: &[String]) {
    static HEARD: AtomicBool = AtomicBool::new(false);
    extern "C" fn hear(_: i32) {
        HEARD.store(true, SeqCst);
    }
    // SAFETY: the handler stores a word.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = hear as extern "C" fn(i32) as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(libc::SIGQUIT, &action, std::ptr::null_mut());
    }
    start(on(2), || {
        kill(libc::SIGQUIT);
        while !HEARD.load(SeqCst) {
            gosched();
        }
    });
    println!("heard");
}

/// A little of everything, for `scheddetail`.
fn detailed(_: &[String]) {
    start(on(2), || {
        go("sleeper", || sleep(LONG));
        go("caller", || nanosleep(Duration::from_millis(120)));
        go("locked", || {
            lock_os_thread();
            sleep(LONG);
        });
        go("hog", obedient);
        sleep(Duration::from_millis(120));
    });
}

/// Threads end while others look at them.
fn detailed_end(_: &[String]) {
    start(on(2), || {
        let done = WaitGroup::new();
        for _ in 0..300 {
            done.add(1);
            let d = done.clone();
            go("ends_its_thread", move || {
                lock_os_thread();
                syscall_block(|| ());
                d.done();
            });
            gosched();
        }
        done.wait();
    });
    println!("all ended");
}

/// `threads_limit LIMIT CALLS`: so many threads wait in calls.
fn threads_limit(args: &[String]) {
    let number = |i: usize| args.get(i).and_then(|n| n.parse().ok()).unwrap_or(1);
    let calls: usize = number(1);
    start(on(1).max_threads(number(0)), move || many_calls(calls));
    println!("enough threads");
}

fn many_calls(calls: usize) {
    let done = WaitGroup::new();
    for _ in 0..calls {
        done.add(1);
        let done = done.clone();
        go("caller", move || {
            // Long enough for all the others to come here, too.
            syscall_block(|| rt::os::usleep(500_000));
            done.done();
        });
    }
    done.wait();
}

/// As another user with a limit on processes.
fn user_limit(_: &[String]) {
    const NOBODY_ELSE: libc::uid_t = 54_321;
    // SAFETY: geteuid takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can become a user of whom nobody else has threads");
        return;
    }
    let limit = libc::rlimit {
        rlim_cur: 6,
        rlim_max: 6,
    };
    // SAFETY: the structure is ours; the other calls take numbers.
    let refused = unsafe {
        libc::setrlimit(libc::RLIMIT_NPROC, &limit) != 0
            || libc::setresuid(NOBODY_ELSE, NOBODY_ELSE, NOBODY_ELSE) != 0
    };
    if refused {
        println!("skipped: {}", std::io::Error::last_os_error());
        return;
    }
    start(on(1), || many_calls(20));
    println!("nobody limits threads here");
}

/// `storm SIGNAL HANDLED`: another process sends signals while timers, system calls and
/// sysmon do their work.
fn storm(args: &[String]) {
    extern "C" fn nothing(_: i32) {}
    let signal = args.first().map_or("URG", |s| s.as_str());
    if signal == "USR1" {
        // SAFETY: the handler does nothing; without SA_RESTART calls end with EINTR.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        }
    }
    let script = format!("while kill -{signal} {}; do :; done", std::process::id());
    let mut sender = Command::new("sh")
        .args(["-c", &script])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a shell");
    let (mut total, mut asked) = (0, false);
    start(on(2), move || {
        let results = Chan::new(0);
        for n in 0..8_u64 {
            let results = results.clone();
            go("worker", move || {
                for i in 0..20 {
                    sleep(Duration::from_millis(1 + (n + i) % 3));
                    nanosleep(Duration::from_millis(1));
                    // Interrupted, it waits for the rest only: else a storm never ends it.
                    let until = Instant::now() + Duration::from_millis(2);
                    let n = libc_call(|| {
                        let mut none = libc::pollfd {
                            fd: -1,
                            events: 0,
                            revents: 0,
                        };
                        let ms = until.saturating_duration_since(Instant::now()).as_millis();
                        // SAFETY: an entry of our own that names no descriptor.
                        unsafe { libc::poll(&mut none, 1, ms as i32) }
                    });
                    assert_eq!(n.expect("no EINTR"), 0);
                    checked(10_000);
                }
                results.send(n);
            });
        }
        let hog = results.clone();
        go("hog", move || {
            // Somebody asks it to yield in spite of the storm.
            while !rt::arch::getg().preempt.load(Relaxed) {
                spin(10_000);
            }
            hog.send(100);
        });
        for _ in 0..9 {
            match results.recv() {
                Some(100) => asked = true,
                Some(n) => total += n,
                None => {}
            }
        }
        println!("{total} {asked}");
    });
    let _ = sender.kill();
    let _ = sender.wait();
}

/// Main returns, and somebody sits in a call, or loops.
fn long_call_at_the_end(args: &[String]) {
    let how = args.first().map_or("", |w| w.as_str()).to_owned();
    start(on(2), move || {
        go("stays", move || match how.as_str() {
            "call" => nanosleep(LONG),
            "block" => syscall_block(|| std::thread::sleep(LONG)),
            _ => deaf(),
        });
        sleep(Duration::from_millis(20));
    });
    println!("never printed");
}

/// `stranger HOW`: main waits for a thread that the runtime does not know.
fn stranger(args: &[String]) {
    let right = args.first().is_some_and(|w| w == "right");
    start(on(1), move || {
        let answer = Chan::new(1);
        let send = answer.clone();
        let stranger = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            if !right {
                let _ = send.try_send(42);
            }
            42
        });
        if right {
            let send = answer.clone();
            go("waits", move || {
                let joined = syscall(|| stranger.join());
                send.send(joined.unwrap_or(0));
            });
        }
        println!("{:?}", answer.recv());
    });
}

/// `dies_beside HOW WHO`: a fatal error while others are in calls or deaf.
fn dies_beside(args: &[String]) {
    let word = |i: usize| args.get(i).map_or("", |w| w.as_str()).to_owned();
    let (how, who) = (word(0), word(1));
    start(on(3), move || {
        for _ in 0..2 {
            match who.as_str() {
                "calls" => go("caller", in_the_kernel),
                _ => go("deaf", deaf),
            }
        }
        sleep(Duration::from_millis(30));
        match how.as_str() {
            "throw" => rt::last_words::throw("enough"),
            "call" => syscall(|| rt::last_words::throw("enough")),
            _ => panic!("enough"),
        }
    });
}
