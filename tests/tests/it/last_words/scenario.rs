//! Programs that end badly, and some that end well although it is not easy.

use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::time::{Duration, Instant};
use tests::{gettid, memory, threads};

crate::scenarios!(
    panic_with,
    panic_in_main,
    panic_beside_others,
    two_panics,
    panic_deep_down,
    panic_while_panicking,
    panic_in_a_function_that_lets_none_through,
    abort_on_a_goroutine,
    killed,
    killed_in_the_allocator,
    exit_of_std,
    fault_of_a_std_thread,
    large_file,
    throw_beside_a_held_lock,
    parked_without_frame_pointers,
    long_trace,
    goexit_is_caught,
    main_goexits_and_returns,
    goexit_in_a_destructor,
    blocked_while_unwinding,
    unwound_and_ended,
    goexit_through_a_yield,
    main_goexits,
    third_party_panics,
    row_panics,
    throw_row,
    throw_from_main,
    throw_deep_down,
    throw_beside_a_preempted_one,
    throw_from_a_foreign_thread,
    illegal_state,
    holding_locks,
    panic_under_the_lock,
    panic_in_a_section,
    stack_growth_after_fork,
    split_at_bad_time,
    morestack_on_g0,
    overflow_checked,
    overflow_unchecked,
    nil,
    bus,
    overflow_of_a_std_thread,
    own_handler,
    errno_in_lockstep,
    handlers,
    runs,
    runs_watched,
    runs_at_once,
    nested,
    nested_in_third_party,
    main_returns,
    main_returns_at_random,
    exits,
);

/// The stages of [`row_panics`], and on how many Ps each runs.
macro_rules! panicking {
    ($base:expr; $($name:ident on $procs:literal: $row:ident = $f:expr;)+) => {
        &[$((stringify!($name), {
            static MINE: Stage = Stage { $row: $f, ..$base };
            &MINE
        }, $procs)),+]
    };
    (rows; $($name:ident: $row:ident = $f:expr;)+) => {
        &[$((stringify!($name), {
            static ROWS: stage2_sysmon::rt::table::Rows = stage2_sysmon::rt::table::Rows {
                $row: $f,
                ..stage2_sysmon::rt::table::ROWS
            };
            static MINE: Stage = Stage { more: &[&ROWS], ..stage2_sysmon::STAGE };
            &MINE
        }, 2)),+]
    };
}

const OF_STAGE_1: &[(&str, &Stage, usize)] = panicking! { STAGE;
    poll_on_m0 on 1: poll = |_| panic!("a bug in a row");
    poll on 2: poll = |_| panic!("a bug in a row");
    stealwork on 2: stealwork = |_, _| panic!("a bug in a row");
    runqgrab on 2: runqgrab = |_, _, _, _| panic!("a bug in a row");
    before_stopm on 2: before_stopm = |_| panic!("a bug in a row");
    m_idle on 2: m_idle = |_| panic!("a bug in a row");
    handoffp on 2: handoffp = |_| panic!("a bug in a row");
    preempted on 1: preempted = |_| panic!("a bug in a row");
    newstack on 1: newstack = |_| panic!("a bug in a row");
    schedule_slow on 1: schedule_slow = |_| panic!("a bug in a row");
    minit on 2: minit = |mp| assert!(mp.id.get() == 0, "a bug in a row");
    minit_on_m0 on 1: minit = |_| panic!("a bug in a row");
    unminit on 1: unminit = |_| panic!("a bug in a row");
};

const OF_STAGE_2: &[(&str, &Stage, usize)] = panicking! { rows;
    sysmon_delay: sysmon_delay = |_, _| panic!("a bug in a row");
    sysmon_tick: sysmon_tick = |_| panic!("a bug in a row");
    retake: retake = |_| panic!("a bug in a row");
};

/// A row of the stage table panics, on an M's own stack; or something else does that runs
/// there. What the goroutines do reaches every row above.
fn row_panics(words: &[String]) {
    let name = words.first().map_or("", |w| w);
    let mut all = OF_STAGE_1.iter().chain(OF_STAGE_2);
    let found = all.find(|(n, ..)| *n == name);
    let (stage, procs) = found.map_or((&STAGE, 1), |(_, stage, procs)| (*stage, *procs));
    let name = name.to_owned();
    #[gofunc]
    fn step() {}
    start(Runtime::new(stage).procs(procs), move || {
        match &*name {
            // Then this M finds nothing in its queue.
            "poll_on_m0" => forever(),
            "systemstack" => rt::arch::systemstack(|| panic!("a bug in a row")),
            "mstartfn" => {
                rt::sched::newm(Some(Box::new(|| panic!("a bug in a row"))), None, false);
            }
            _ => {}
        }
        for _ in 0..4 {
            go("worker", || {
                std::thread::sleep(Duration::from_millis(2));
                gosched();
            });
        }
        // A locked goroutine that parks gives its P away.
        let c = Chan::new(0);
        let d = c.clone();
        go("locked", move || {
            lock_os_thread();
            d.recv();
        });
        rt::arch::getg().preempt.store(true, Relaxed);
        rt::arch::getg()
            .stackguard0
            .store(rt::stack::STACK_PREEMPT, Relaxed);
        step();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(1));
            gosched();
        }
        c.send(());
        if matches!(&*name, "schedule_slow" | "unminit") {
            return;
        }
        for _ in 0..1_000 {
            std::thread::sleep(Duration::from_millis(20));
            gosched();
        }
        println!("main goes on");
    });
    println!("the run has ended");
}

/// Goroutine 2 of the runs below.
fn culprit(f: impl FnOnce() + Send + 'static) {
    run(1, || {
        go("culprit", f);
        forever();
    });
}

#[inline(never)]
fn thrower(kind: &str) {
    match kind {
        "str" => panic!("boom"),
        "string" => panic!("boom {}", black_box(7)),
        "lines" => panic!("one\ntwo\n\ngoroutine 1 [running]:"),
        "number" => std::panic::panic_any(42),
        "index" => {
            black_box([1, 2, 3][black_box(7)]);
        }
        _ => panic!("{}", "x".repeat(100_000)),
    }
}

fn panic_with(arguments: &[String]) {
    let kind = arguments[0].clone();
    culprit(move || {
        thrower(&kind);
        println!("goes on");
    });
}

fn panic_in_main(_: &[String]) {
    run(2, || thrower("str"));
}

#[gofunc]
fn step() {}

/// One goroutine runs on another thread, one waits, one could run; and one panics.
fn panic_beside_others(_: &[String]) {
    static RUNS: AtomicBool = AtomicBool::new(false);
    run(2, || {
        go("spinner", || {
            RUNS.store(true, SeqCst);
            loop {
                black_box(());
            }
        });
        while !RUNS.load(SeqCst) {
            gosched();
        }
        go("waiter", forever);
        gosched();
        go("runnable", || {});
        thrower("str");
    });
}

/// Two at the same moment, on two threads: one of them speaks.
fn two_panics(_: &[String]) {
    static READY: AtomicUsize = AtomicUsize::new(0);
    fn both() {
        READY.fetch_add(1, SeqCst);
        while READY.load(SeqCst) < 2 {
            std::thread::yield_now();
        }
        thrower("str");
    }
    run(2, || {
        go("other", both);
        both();
    });
}

#[gofunc]
fn dive(levels: u64, f: fn()) {
    if levels == 0 {
        f();
    } else {
        with_frame(1024, || dive(levels - 1, f));
        black_box(levels);
    }
}

/// Levels of `dive` that just fit.
const DEEP: u64 = 210;

fn panic_deep_down(_: &[String]) {
    culprit(|| dive(DEEP, || thrower("str")));
}

fn panic_while_panicking(_: &[String]) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("and again");
        }
    }
    culprit(|| {
        let _bomb = Bomb;
        thrower("str");
    });
}

/// A destructor blocks while its goroutine unwinds; other goroutines look meanwhile, on all
/// threads, whether *they* are taken for panicking.
fn blocked_while_unwinding(arguments: &[String]) {
    static WRONG: AtomicUsize = AtomicUsize::new(0);
    static OVER: AtomicBool = AtomicBool::new(false);
    struct Waits(Chan<()>, Chan<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let tid = gettid();
            for _ in 0..50 {
                self.0.send(());
                self.1.recv();
                gosched();
                let right = std::thread::panicking() && gettid() == tid;
                WRONG.fetch_add(usize::from(!right), SeqCst);
            }
        }
    }
    let caught = arguments[0] == "caught";
    fn raise_the_flag(me: &mut ThirdParty) {
        while me.sleep(Duration::from_millis(1)) {
            me.raise_the_flag();
        }
    }
    let runtime = Runtime::new(&STAGE).procs(4).third_party(raise_the_flag);
    start(runtime, move || {
        let all = WaitGroup::new();
        for _ in 0..6 {
            all.add(1);
            let all = all.clone();
            go("onlooker", move || {
                while !OVER.load(SeqCst) {
                    for _ in 0..100 {
                        step();
                        WRONG.fetch_add(usize::from(std::thread::panicking()), SeqCst);
                    }
                    gosched();
                }
                all.done();
            });
        }
        let (there, back) = (Chan::new(0), Chan::new(0));
        let (from, to) = (there.clone(), back.clone());
        go("partner", move || {
            while from.recv().is_some() {
                to.send(());
            }
        });
        let waits = Waits(there.clone(), back);
        let unwinds = move || {
            let _waits = waits;
            thrower("str");
        };
        if caught {
            all.add(1);
            let a = all.clone();
            go("unwinds", move || {
                let caught = catch_unwind(AssertUnwindSafe(unwinds)).is_err();
                gosched();
                println!("caught: {caught}, panicking: {}", std::thread::panicking());
                OVER.store(true, SeqCst);
                there.close();
                a.done();
            });
            all.wait();
            println!("wrong: {}", WRONG.load(SeqCst));
        } else {
            go("culprit", unwinds);
            forever();
        }
    });
}

/// Goroutines that unwind through a yield, catch it and end: they were tied to their thread
/// only while they unwound, so the thread does not end with them, and the next ones, which
/// use the same Gs again, are as free as any.
fn unwound_and_ended(_: &[String]) {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            gosched();
        }
    }
    run(1, || {
        let (tid, mut others, mut locked) = (gettid(), 0, 0);
        for _ in 0..20 {
            let result = Chan::new(2);
            let (a, b) = (result.clone(), result.clone());
            go("unwinds", move || {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    let _yields = Yields;
                    std::panic::resume_unwind(Box::new(()));
                }));
                a.send(caught.is_err() && rt::arch::getg().lockedm.get().is_some());
            });
            result.recv();
            go("next", move || {
                gosched();
                b.send(rt::arch::getg().lockedm.get().is_some());
            });
            locked += usize::from(result.recv() == Some(true));
            others += usize::from(gettid() != tid);
        }
        println!("main on another thread: {others}, next ones locked: {locked}");
    });
}

/// The same with `goexit`, which unwinds too.
fn goexit_through_a_yield(_: &[String]) {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            gosched();
        }
    }
    run(1, || {
        let (tid, mut others) = (gettid(), 0);
        for _ in 0..20 {
            go("goexits", || {
                let _yields = Yields;
                goexit();
            });
            for _ in 0..4 {
                gosched();
            }
            others += usize::from(gettid() != tid);
        }
        println!("main on another thread: {others}");
    });
}

/// The others go on without main, as in Go.
fn main_goexits(_: &[String]) {
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            println!("what main held is dropped");
        }
    }
    run(2, || {
        let _dropped = Dropped;
        go("heir", || {
            std::thread::sleep(Duration::from_millis(50));
            println!("the heir goes on");
            exit(7);
        });
        goexit();
    });
}

fn third_party_panics(_: &[String]) {
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .third_party(|_| thrower("str"));
    start(runtime, || {
        std::thread::sleep(Duration::from_millis(200));
        forever();
    });
}

/// A stage whose row breaks an invariant: it says that there is nothing to run next, while
/// the goroutine still counts as running.
fn throw_row(_: &[String]) {
    const BROKEN: Stage = Stage {
        name: "broken",
        newstack: |_| rt::last_words::throw("newstack: not today"),
        ..STAGE
    };
    start(Runtime::new(&BROKEN).procs(1), || {
        go("waiter", forever);
        gosched();
        ask_myself();
        step();
    });
}

/// What a third party does to a goroutine, done by itself.
fn ask_myself() {
    let gp = rt::arch::getg();
    gp.preempt.store(true, Relaxed);
    gp.stackguard0.store(rt::stack::STACK_PREEMPT, Relaxed);
}

fn throw_from_main(_: &[String]) {
    run(1, || {
        go("waiter", forever);
        gosched();
        rt::last_words::throw("something is broken");
    });
}

fn throw_deep_down(_: &[String]) {
    culprit(|| dive(DEEP, || rt::last_words::throw("something is broken")));
}

/// Looks at its guard before it has a frame.
#[gofunc]
fn innermost(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    black_box(spin(n))
}

#[inline(never)]
fn the_one_between(n: u64) -> u64 {
    black_box(innermost(black_box(n))) ^ 1
}

#[inline(never)]
fn outermost() {
    loop {
        black_box(the_one_between(1));
    }
}

/// Goroutine 2 is preempted at a check, and then `main` gives up.
fn throw_beside_a_preempted_one(_: &[String]) {
    let runtime = Runtime::new(&STAGE).procs(1).third_party(|me| {
        while me.sleep(Duration::from_millis(5)) {
            me.raise_the_flag();
        }
    });
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            go("hog", outermost);
            gosched();
            rt::last_words::throw("something is broken");
        });
    }
}

/// A thread that the runtime does not know gives up the whole program.
fn throw_from_a_foreign_thread(_: &[String]) {
    run(2, || {
        go("waiter", forever);
        gosched();
        let _ = std::thread::spawn(|| rt::last_words::throw("something is broken")).join();
    });
}

fn illegal_state(_: &[String]) {
    run(1, || {
        // SAFETY: none; the process is to end here.
        unsafe {
            rt::gmp::casgstatus::<{ rt::gmp::GWAITING }, { rt::gmp::GRUNNABLE }>(rt::arch::getg())
        }
    });
}

fn holding_locks(_: &[String]) {
    run(1, || {
        let _section = acquirem();
        gosched();
    });
}

/// An invariant breaks under `sched.lock`, on a goroutine's stack; the user's hook would wait
/// for that lock.
fn panic_under_the_lock(words: &[String]) {
    let asserts = words.first().is_some_and(|w| w == "asserts");
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        drop(rt::gmp::SCHED.lock());
        previous(info);
    }));
    run(1, move || {
        let _ = catch_unwind(|| {
            if asserts {
                // No M searches, and no P is idle for this one, which claims that it is counted.
                rt::sched::startm(None, true);
            }
            let sched = rt::gmp::SCHED.lock();
            black_box(&sched.allgs[usize::MAX]);
        });
        println!("it was caught");
    });
}

/// A panic in a section of `acquirem` unwinds as any other, and ends the section.
fn panic_in_a_section(_: &[String]) {
    run(1, || {
        let caught = catch_unwind(|| {
            let _section = acquirem();
            panic!("boom");
        });
        assert!(caught.is_err());
        gosched();
        println!("it goes on");
    });
}

fn stack_growth_after_fork(_: &[String]) {
    run(1, || {
        rt::arch::getg()
            .stackguard0
            .store(rt::stack::STACK_FORK, Relaxed);
        step();
    });
}

fn split_at_bad_time(_: &[String]) {
    run(1, || {
        rt::arch::getg().throwsplit.store(true, Relaxed);
        ask_myself();
        step();
    });
}

fn morestack_on_g0(_: &[String]) {
    run(1, || {
        rt::arch::systemstack(|| {
            rt::arch::getg()
                .stackguard0
                .store(rt::stack::STACK_PREEMPT, Relaxed);
            step();
        });
    });
}

fn overflow_checked(_: &[String]) {
    culprit(|| dive(u64::MAX, || {}));
}

/// No check anywhere: only the guard page can end it.
#[inline(never)]
#[allow(unconditional_recursion)]
fn fall(n: u64) -> u64 {
    let here = black_box([n; 64]);
    fall(n + 1) + here[black_box(3)]
}

fn overflow_unchecked(_: &[String]) {
    culprit(|| {
        black_box(fall(0));
    });
}

/// Loads from `address`. In assembly, because the compiler knows what a null pointer is.
fn load(address: usize) -> u8 {
    let byte: u8;
    // SAFETY: none: the load faults, which is what the caller wants to see.
    unsafe { std::arch::asm!("mov {}, [{}]", out(reg_byte) byte, in(reg) address) };
    byte
}

fn nil(_: &[String]) {
    culprit(|| {
        black_box(load(0));
    });
}

/// A page of a file that has no such page.
fn bus(_: &[String]) {
    culprit(|| {
        // SAFETY: a fresh mapping of a fresh, empty file; nobody else knows it.
        let page = unsafe {
            let file = libc::memfd_create(c"empty".as_ptr(), 0);
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file,
                0,
            )
        };
        black_box(load(page as usize));
    });
}

/// Beside the runtime: std's own handler knows std's own threads.
fn overflow_of_a_std_thread(_: &[String]) {
    run(1, || {
        let falls = std::thread::Builder::new()
            .name("falls".into())
            .spawn(|| black_box(fall(0)));
        let _ = falls.map(|t| t.join());
    });
}

/// A program's own handler of the old kind, which takes the signal's number only; a thread
/// that is not of the runtime runs into it.
fn own_handler(_: &[String]) {
    extern "C" fn mine(signal: i32) {
        const LINE: &[u8] = b"my own handler\n";
        // SAFETY: both calls are async-signal-safe; the slice outlives the call.
        unsafe {
            libc::write(1, LINE.as_ptr().cast(), LINE.len());
            libc::_exit(signal)
        }
    }
    let mine: extern "C" fn(i32) = mine;
    // SAFETY: the handler is async-signal-safe.
    unsafe { libc::signal(libc::SIGSEGV, mine as usize) };
    run(1, || {
        let falls = std::thread::spawn(|| black_box(load(0)));
        let _ = falls.join();
    });
}

/// `errno` of a goroutine over an interruption by the laboratory's clock, or its watchdog,
/// during which this thread waits so long that a system call of the handler fails.
fn errno_in_lockstep(arguments: &[String]) {
    static STOP: AtomicBool = AtomicBool::new(false);
    // Declared here, so that it is a plain load and no call: the loop is gotext's.
    #[gofunc]
    fn turns() {
        let mut stop = 0_u32;
        while stop == 0 {
            // SAFETY: loads a byte that lives for ever; stores to it are atomic.
            unsafe {
                std::arch::asm!("movzx {:e}, byte ptr [{}]", out(reg) stop,
                                in(reg) STOP.as_ptr(), options(nostack, readonly));
            }
        }
    }
    let loops = arguments[0] == "watchdog";
    run(2, move || {
        go("slow", || {
            for _ in 0..3 {
                std::thread::sleep(Duration::from_millis(250));
                spin(300_000);
            }
            STOP.store(true, Relaxed);
        });
        spin(300_000);
        // SAFETY: `__errno_location` gives this thread's errno; there is no yield between.
        let errno = unsafe {
            *libc::__errno_location() = 77;
            if loops {
                turns();
            } else {
                spin(2_000_000);
            }
            *libc::__errno_location()
        };
        println!("errno {errno}");
    });
}

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

extern "C" fn lets_none_through() {
    thrower("str");
}

fn panic_in_a_function_that_lets_none_through(_: &[String]) {
    culprit(|| {
        let _ = catch_unwind(|| lets_none_through());
    });
}

fn abort_on_a_goroutine(_: &[String]) {
    culprit(|| std::process::abort());
}

/// `killed SIGNAL`: while everybody sleeps, and one goroutine has left a word.
fn killed(arguments: &[String]) {
    let signal = arguments[0].parse().unwrap_or(libc::SIGKILL);
    // A shell's job in the background ignores SIGINT, and so would we.
    // SAFETY: the default action of a signal is always a valid one.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    run(2, move || {
        user_log("before the signal");
        go("bystander", forever);
        gosched();
        // SAFETY: kill and getpid take numbers.
        std::thread::spawn(move || unsafe { libc::kill(libc::getpid(), signal) });
        loop {
            std::thread::sleep(Duration::from_millis(1));
            gosched();
        }
    });
}

/// `killed_in_the_allocator US`: nearly every moment is inside it.
fn killed_in_the_allocator(arguments: &[String]) {
    let us = arguments[0].parse().unwrap_or(0);
    run(2, move || {
        for _ in 0..2 {
            go("allocator", || {
                let mut all = Vec::new();
                loop {
                    all.push(vec![0_u8; spin(10) as usize % 512 + 1]);
                    if all.len() > 1_000 {
                        all.clear();
                    }
                }
            });
        }
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(us));
            // SAFETY: kill and getpid take numbers.
            unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
        });
        user_log("before the signal");
        forever();
    });
}

/// Not our `exit`, but std's.
fn exit_of_std(_: &[String]) {
    run(2, || {
        go("exits", || {
            user_log("the end");
            std::process::exit(7);
        });
        forever();
    });
}

fn fault_of_a_std_thread(_: &[String]) {
    run(1, || {
        user_log("before the fault");
        let _ = std::thread::spawn(|| black_box(load(0))).join();
    });
}

/// `large_file FILE BYTES`: the limit on files is its end.
fn large_file(arguments: &[String]) {
    let (name, bytes) = (arguments[0].clone(), arguments[1].parse().unwrap_or(0));
    run(1, move || {
        user_log("before the file");
        let result = std::fs::write(&name, vec![0_u8; bytes]);
        println!("not ended: {result:?}");
    });
}

/// A goroutine holds the scheduler's lock for ever, and another dies.
fn throw_beside_a_held_lock(_: &[String]) {
    static HELD: AtomicBool = AtomicBool::new(false);
    run(2, || {
        go("holder", || {
            let _sched = rt::gmp::SCHED.lock();
            HELD.store(true, SeqCst);
            loop {
                black_box(());
            }
        });
        // Not by `gosched`, which needs the lock.
        while !HELD.load(SeqCst) {
            std::thread::yield_now();
        }
        rt::last_words::throw("something is broken");
    });
}

/// A function that uses `rbp` for something else, as any may without frame pointers, and says
/// so in its tables.
#[unsafe(naked)]
extern "C" fn without_a_frame(f: extern "C" fn()) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov ebp, 4711",
        "call rdi",
        "pop rbp",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
    )
}

extern "C" fn parks() {
    forever();
    black_box(());
}

#[inline(never)]
fn calls_it() {
    without_a_frame(parks);
    black_box(());
}

fn parked_without_frame_pointers(_: &[String]) {
    run(1, || {
        go("waiter", || {
            calls_it();
            black_box(());
        });
        gosched();
        rt::last_words::throw("look at it");
    });
}

/// `long_trace EVENTS`: and then a panic.
fn long_trace(arguments: &[String]) {
    let events: usize = arguments[0].parse().unwrap_or(0);
    run(1, move || {
        for _ in 0..events {
            user_log("one of many");
        }
        thrower("str");
    });
}

/// `goexit_is_caught HOW`
fn goexit_is_caught(arguments: &[String]) {
    let how = arguments[0].clone();
    run(1, move || {
        let done = WaitGroup::new();
        done.add(1);
        let d = done.clone();
        go("ends", move || {
            struct Done(WaitGroup);
            impl Drop for Done {
                fn drop(&mut self) {
                    println!("dropped");
                    self.0.done();
                }
            }
            let _done = Done(d);
            match how.as_str() {
                "ignored" => {
                    let _ = catch_unwind(ends);
                    println!("still here");
                }
                "tested" => {
                    if catch_unwind(ends).is_err() {
                        println!("an error");
                    }
                    println!("still here");
                }
                "looked at" => {
                    if let Err(e) = catch_unwind(ends) {
                        println!("an error: {}", e.is::<&str>());
                    }
                    println!("still here");
                }
                "thrown on" => {
                    if let Err(e) = catch_unwind(ends) {
                        std::panic::resume_unwind(e);
                    }
                    println!("still here");
                }
                "twice" => loop {
                    let _ = catch_unwind(|| {
                        let _ = catch_unwind(ends);
                        println!("still here");
                    });
                    println!("still here, too");
                },
                _ => {
                    // On another goroutine it is nothing special.
                    let (c, ended) = (Chan::new(1), Chan::new(0));
                    let (from, end) = (c.clone(), ended.clone());
                    go("takes it", move || {
                        drop(from.recv());
                        println!("the other one goes on");
                        end.send(());
                    });
                    c.send(catch_unwind(ends).map_err(Payload));
                    ended.recv();
                    println!("for a while");
                }
            }
        });
        done.wait();
        gosched();
        println!("main goes on");
    });
}

struct Payload(#[allow(dead_code)] Box<dyn std::any::Any + Send>);

/// Main has called `goexit`, keeps what was thrown, and returns.
fn main_goexits_and_returns(_: &[String]) {
    run(2, || {
        go("heir", || {
            std::thread::sleep(Duration::from_millis(50));
            // If the run were over, the heir would not come back from here.
            gosched();
            println!("the heir goes on");
            exit(7);
        });
        std::mem::forget(catch_unwind(ends));
        println!("main returns");
    });
}

fn goexit_in_a_destructor(_: &[String]) {
    struct Exits;
    impl Drop for Exits {
        fn drop(&mut self) {
            goexit();
        }
    }
    culprit(|| {
        let _exits = Exits;
        thrower("str");
    });
}

fn ends() {
    goexit();
}
