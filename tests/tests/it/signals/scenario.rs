//! Handlers of a made-up stage that uses SIGURG, beside those of the program.

use crate::{eventually, start};
use stage2_sysmon::rt::arch::{getg, getm_opt};
use stage2_sysmon::rt::gmp::{M, SCHED, allm, living};
use stage2_sysmon::rt::os::{Chained, Handler, handle_during_run, never_block};
use stage2_sysmon::rt::trace::{emit, emit_in_handler};
use stage2_sysmon::*;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::*};
use tests::gettid;

mod kinds;

crate::scenarios!(
    chained,
    records,
    covered,
    never_blocked,
    never_blocked_late,
    own_signal,
    numbers,
    mended_fault,
    rain,
);

static URGENT: Chained = Chained::new(libc::SIGURG, on_urgent);

/// Stage 2, with a handler for SIGURG.
static URGENT_2: Stage = Stage { minit, ..STAGE };
fn minit(mp: &'static M) {
    (STAGE.minit)(mp);
    first_m(mp);
}

fn first_m(mp: &'static M) {
    if mp.id.get() == 0 {
        never_block(libc::SIGURG);
        URGENT.install().expect("there is a run");
    }
}

/// Signals that the stage's handler has seen, and the program's two.
static SEEN: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
const STAGE_S: usize = 0;
const PROGRAM_S: usize = 1;
const OVER: usize = 2;
/// What no handler may see.
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn seen(which: usize) -> usize {
    SEEN[which].swap(0, SeqCst)
}

fn wrong(yes: bool) {
    WRONG.fetch_add(usize::from(yes), SeqCst);
}

fn errno() -> &'static AtomicI32 {
    // SAFETY: this thread's errno, which is used on it only.
    unsafe { AtomicI32::from_ptr(libc::__errno_location()) }
}

extern "C" fn on_urgent(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SEEN[STAGE_S].fetch_add(1, SeqCst);
    wrong(signal != libc::SIGURG || info.is_null() || context.is_null());
    errno().store(1, Relaxed);
}

extern "C" fn on_number(signal: i32) {
    SEEN[PROGRAM_S].fetch_add(1, SeqCst);
    // It runs on no goroutine, whatever it has interrupted.
    wrong(signal != libc::SIGURG || getg().goid.get() != 0);
    errno().store(2, Relaxed);
}

extern "C" fn on_whole(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    wrong(info.is_null() || context.is_null());
    on_number(signal);
}

/// The action with which the program put [`on_top`] there: what it found.
static FOUND: AtomicUsize = AtomicUsize::new(0);

/// Of a program that calls what it found.
extern "C" fn on_top(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    SEEN[OVER].fetch_add(1, SeqCst);
    let found = FOUND.load(SeqCst);
    if found != 0 {
        // SAFETY: the handler of the stage's, which sees the whole.
        unsafe { std::mem::transmute::<usize, Handler>(found)(signal, info, context) };
    }
}

/// Makes `signal` call `handler`, and returns what it did.
fn act(signal: i32, handler: usize, flags: i32) -> libc::sigaction {
    // SAFETY: zeroed actions are valid, and the handler has the form that the flags say.
    unsafe {
        let (mut new, mut old): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
        new.sa_sigaction = handler;
        new.sa_flags = flags;
        libc::sigaddset(&mut new.sa_mask, libc::SIGUSR1);
        libc::sigaction(signal, &new, &mut old);
        old
    }
}

/// What `signal` does.
fn action(signal: i32) -> (usize, i32, bool) {
    // SAFETY: a zeroed action is valid; none is set.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now);
        let masks = libc::sigismember(&now.sa_mask, libc::SIGUSR1) == 1;
        (now.sa_sigaction, now.sa_flags, masks)
    }
}

/// Sends `signal` to the calling thread, which has handled it when this returns. The runtime's
/// handler keeps errno, whatever it calls.
#[inline(never)]
fn signal_me(signal: i32) {
    errno().store(77, Relaxed);
    // SAFETY: numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), gettid(), signal) };
    wrong(errno().load(Relaxed) != 77 && URGENT.is_in_place());
}

/// `chained KIND`: the program has such a handler. Three runs; each signals goroutines'
/// threads, and one that is not the runtime's.
fn chained(args: &[String]) {
    let (handler, flags) = match args.first().map(String::as_str) {
        Some("ignored") => (libc::SIG_IGN, 0),
        Some("number") => (on_number as *const () as usize, libc::SA_RESTART),
        Some("whole") => (on_whole as *const () as usize, libc::SA_SIGINFO),
        _ => (libc::SIG_DFL, 0),
    };
    act(libc::SIGURG, handler, flags);
    let before = action(libc::SIGURG);
    for _ in 0..3 {
        start(Runtime::new(&URGENT_2).procs(2), || {
            let all = WaitGroup::new();
            for _ in 0..6 {
                all.add(1);
                let all = all.clone();
                go("signalled", move || {
                    let goid = getg().goid.get();
                    for _ in 0..100 {
                        signal_me(libc::SIGURG);
                        wrong(getg().goid.get() != goid);
                        gosched();
                    }
                    all.done();
                });
            }
            all.wait();
            let stranger = std::thread::spawn(|| {
                for _ in 0..6 {
                    signal_me(libc::SIGURG);
                }
                getm_opt().is_some()
            });
            wrong(stranger.join().unwrap_or(true));
            println!(
                "stage: {} program: {} wrong: {}",
                seen(STAGE_S),
                seen(PROGRAM_S),
                WRONG.load(SeqCst)
            );
        });
        signal_me(libc::SIGURG);
        let still = seen(STAGE_S) == 0 && action(libc::SIGURG) == before;
        println!("as before: {}", still && WRONG.load(SeqCst) == 0);
        seen(PROGRAM_S);
    }
}

/// `records N`: a goroutine records so many events, while its thread is signalled every 30 us
/// and the handler records one, too. Prints how many those were.
fn records(args: &[String]) {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn struck(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        let n = HANDLED.fetch_add(1, SeqCst);
        let (text, len) = tests::trace::words("in the handler");
        emit_in_handler(&kinds::STRUCK, [n, text, len], 0, getg());
    }
    static TIMER: Chained = Chained::new(libc::SIGURG, struck);
    static RECORDS: Stage = Stage {
        minit: |mp| {
            (STAGE.minit)(mp);
            if mp.id.get() == 0 {
                never_block(libc::SIGURG);
                TIMER.install().expect("there is a run");
            }
        },
        ..STAGE
    };
    let n = args.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    start(Runtime::new(&RECORDS).procs(1), move || {
        lock_os_thread();
        let timer = every(30_000);
        for i in 0..n {
            emit(&kinds::TURN, [i, 0, 0], 0);
        }
        stop(timer);
        println!("handled: {}", HANDLED.load(SeqCst));
    });
}

/// Signals the calling thread every so many nanoseconds.
#[inline(never)]
fn every(ns: i64) -> usize {
    let period = libc::timespec {
        tv_sec: 0,
        tv_nsec: ns,
    };
    let setting = libc::itimerspec {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: a zeroed sigevent is valid; all structures are ours, and so is the timer.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGURG;
        event.sigev_notify_thread_id = gettid();
        let mut timer: libc::timer_t = std::ptr::null_mut();
        assert_eq!(
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer),
            0
        );
        libc::timer_settime(timer, 0, &setting, std::ptr::null_mut());
        timer as usize
    }
}

/// Ends what [`every`] has begun. A signal that was sent has been handled when it returns.
#[inline(never)]
fn stop(timer: usize) {
    // SAFETY: made by `every`, and deleted once.
    unsafe { libc::timer_delete(timer as libc::timer_t) };
}

/// What one signal to the calling thread comes to.
fn one() -> String {
    signal_me(libc::SIGURG);
    let (over, program) = (seen(OVER), seen(PROGRAM_S));
    format!("over: {over} program: {program} stage: {}", seen(STAGE_S))
}

/// The program puts a handler of its own over the stage's in the middle of the first run.
fn covered(_: &[String]) {
    act(
        libc::SIGURG,
        on_whole as *const () as usize,
        libc::SA_SIGINFO,
    );
    for round in 0..3 {
        start(Runtime::new(&URGENT_2).procs(1), move || {
            let there = URGENT.is_in_place();
            if round == 0 {
                println!("{}", one());
                let found = act(libc::SIGURG, on_top as *const () as usize, libc::SA_SIGINFO);
                FOUND.store(found.sa_sigaction, SeqCst);
                println!("in place: {there}, now {}", URGENT.is_in_place());
            } else {
                println!("in place: {there}");
            }
            println!("{}", one());
        });
        println!("after the run: {}", one());
    }
}

/// The names of those of three signals that `mask` holds.
fn names(mask: u64) -> String {
    let names: Vec<&str> = [
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGURG, "SIGURG"),
        (libc::SIGTERM, "SIGTERM"),
    ]
    .iter()
    .filter(|(signal, _)| mask >> (signal - 1) & 1 != 0)
    .map(|&(_, name)| name)
    .collect();
    names.join(" ")
}

/// The signals that a thread blocks.
fn mask_of(thread: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// A program that blocks the stage's signal, in two runs: which signals goroutines' threads
/// block, whether they are old or new; and the first thread afterwards.
fn never_blocked(_: &[String]) {
    // SAFETY: a zeroed set is empty; signals of our own thread.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::sigaddset(&mut set, libc::SIGURG);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    for _ in 0..2 {
        start(Runtime::new(&URGENT_2).procs(4), || {
            let masks = Chan::new(64);
            for _ in 0..20 {
                let to = masks.clone();
                go("looks", move || {
                    // Its thread ends with it, and another one is made.
                    lock_os_thread();
                    let here = mask_of(gettid());
                    signal_me(libc::SIGURG);
                    to.send((here, seen(STAGE_S)));
                });
            }
            let mut all = mask_of(gettid()).unwrap_or(0);
            let mut handled = 0;
            for (mask, n) in (0..20).filter_map(|_| masks.recv()) {
                all |= mask.unwrap_or(0);
                handled += n;
            }
            if handled != 20 {
                println!("{handled} of 20 were handled");
            }
            println!("blocked by an M: {}", names(all));
        });
        let after = mask_of(gettid()).unwrap_or(0);
        println!("blocked after the run: {}", names(after));
    }
}

/// A stage says too late that no M blocks its signal.
fn never_blocked_late(_: &[String]) {
    start(Runtime::new(&STAGE).procs(2), || {
        never_block(libc::SIGURG);
    });
}

/// A stage's handler that gives way to the program's.
fn own_signal(_: &[String]) {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    fn ended() {
        ENDED.fetch_add(1, SeqCst);
    }
    act(
        libc::SIGUSR1,
        on_whole as *const () as usize,
        libc::SA_SIGINFO,
    );
    start(Runtime::new(&STAGE).procs(1), || {
        let taken = handle_during_run(libc::SIGUSR1, on_urgent, ended);
        let free = handle_during_run(libc::SIGUSR2, on_urgent, ended);
        println!("taken: {taken}, free: {free}");
        signal_me(libc::SIGUSR1);
        signal_me(libc::SIGUSR2);
        println!("program: {} stage: {}", seen(PROGRAM_S), seen(STAGE_S));
    });
    println!("ended: {}", ENDED.load(SeqCst));
}

/// The numbers of threads that have ended.
fn numbers(_: &[String]) {
    start(Runtime::new(&STAGE).procs(2), || {
        // Main keeps its thread, so that M0's is not one of those that end.
        lock_os_thread();
        static THERE: AtomicUsize = AtomicUsize::new(0);
        for _ in 0..20 {
            go("ends locked", || {
                lock_os_thread();
                THERE.fetch_add(1, SeqCst);
                // All at once, so that each has an M of its own.
                syscall_block(|| {
                    while THERE.load(SeqCst) < 20 {
                        std::thread::yield_now();
                    }
                });
            });
        }
        let ended = || allm().filter(|mp| mp.freed.load(Acquire));
        // A few are used again for what comes after.
        if !eventually(|| ended().count() >= 10) {
            println!("they do not end");
        }
        let numbered = {
            // Under it none is used again.
            let _sched = SCHED.lock();
            ended().filter(|mp| mp.procid.load(Acquire) != 0).count()
        };
        println!("with a number: {numbered}");
        unlock_os_thread();
    });
    let m0 = allm().find(|mp| mp.id.get() == 0);
    println!("m0: {}", m0.map_or(-1, |mp| mp.procid.load(Acquire)));
}

/// A page that a thread of the program's own touches before it can be read, and the program's
/// handler makes it readable.
fn mended_fault(_: &[String]) {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn mend(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        let page = PAGE.load(SeqCst) as *mut libc::c_void;
        // SAFETY: our own page.
        unsafe { libc::mprotect(page, 4096, libc::PROT_READ) };
        errno().store(3, Relaxed);
    }
    // SAFETY: a mapping of our own.
    let page = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0)
    };
    PAGE.store(page as usize, SeqCst);
    act(libc::SIGSEGV, mend as *const () as usize, libc::SA_SIGINFO);
    start(Runtime::new(&STAGE).procs(1), || {
        let stranger = std::thread::spawn(|| {
            errno().store(77, Relaxed);
            // SAFETY: the page is there, and is made readable by the handler.
            unsafe { std::ptr::read_volatile(PAGE.load(SeqCst) as *const u8) };
            errno().load(Relaxed)
        });
        println!("mended, errno {}", stranger.join().unwrap_or(-1));
    });
}

/// Signals that the stage's handler saw before the program's.
static TOO_EARLY: AtomicUsize = AtomicUsize::new(0);

extern "C" fn rain_on_program(_: i32) {
    SEEN[PROGRAM_S].fetch_add(1, SeqCst);
}

extern "C" fn rain_on_stage(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // The program's has seen this one already, and so it has all that are counted here.
    let stage = SEEN[STAGE_S].fetch_add(1, SeqCst) + 1;
    let program = SEEN[PROGRAM_S].load(SeqCst);
    TOO_EARLY.fetch_add(usize::from(program < stage), SeqCst);
}

static RAIN: Chained = Chained::new(libc::SIGURG, rain_on_stage);
static RAINY_1: Stage = Stage {
    minit: |mp| under_rain(mp),
    ..stage1_coop::STAGE
};
static RAINY_2: Stage = Stage {
    minit: |mp| {
        (STAGE.minit)(mp);
        under_rain(mp);
    },
    ..STAGE
};

fn under_rain(mp: &'static M) {
    if mp.id.get() == 0 {
        never_block(libc::SIGURG);
        RAIN.install().expect("there is a run");
    }
}

/// Signals the process once, and every M that has a thread.
fn shower() {
    // SAFETY: numbers. A thread that ends has taken its number away before.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGURG);
        for mp in living() {
            let thread = mp.procid.load(Acquire);
            if thread != 0 {
                libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGURG);
            }
        }
    }
}

/// `rain STAGE ROUNDS`: a thread of the program's own signals the process and every M, as fast
/// as it can, while threads begin and end.
fn rain(args: &[String]) {
    static OVER_NOW: AtomicBool = AtomicBool::new(false);
    let rounds: usize = args.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    act(libc::SIGURG, rain_on_program as *const () as usize, 0);
    let stage = match args.first().map(String::as_str) {
        Some("1") => &RAINY_1,
        _ => &RAINY_2,
    };
    let cloud = std::thread::spawn(|| {
        while !OVER_NOW.load(SeqCst) {
            shower();
        }
    });
    for _ in 0..rounds / 10 {
        start(Runtime::new(stage).procs(3), || {
            for _ in 0..10 {
                let done = WaitGroup::new();
                done.add(4);
                for _ in 0..4 {
                    let done = done.clone();
                    go("ends locked", move || {
                        lock_os_thread();
                        gosched();
                        done.done();
                    });
                }
                done.wait();
            }
        });
    }
    OVER_NOW.store(true, SeqCst);
    let joined = cloud.join().is_ok();
    println!(
        "the program has seen every one: {}",
        joined && seen(PROGRAM_S) >= seen(STAGE_S) && TOO_EARLY.load(SeqCst) == 0
    );
}
