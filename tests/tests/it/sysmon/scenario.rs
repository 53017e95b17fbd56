//! Programs of stage 2 that die, or that need a process for themselves.

use crate::start;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{M, P, SCHED};
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    all_asleep,
    main_goexits_last,
    asleep_after_a_call,
    asleep_and_locked,
    asleep_beside_a_third_party,
    check_in_a_call,
    go_in_a_call,
    wait_in_a_call,
    call_in_a_call,
    yield_in_a_call,
    idle_with_sysmon,
    dump_of_a_call,
    main_returns_beside_a_call,
    sleeps_for_ever,
    schedtraced,
    found_by_mput,
    found_by_stoplockedm,
    found_by_mexit,
    found_by_incidlelocked,
    panic_in_a_call,
    end_of_runs_under_load,
    asleep_with_leftovers,
    due_timers,
    contexts,
);

/// Runs `main` on `procs` Ps, or as many as the environment says.
fn run(procs: usize, main: impl FnOnce() + Send + 'static) {
    start(Runtime::new(&STAGE).procs(procs), main);
}

fn forever() {
    Chan::<()>::new(0).recv();
}

/// A call that ends at the end of time.
fn sleeps_for_ever(_: &[String]) {
    run(1, || {
        go("for ever", || nanosleep(Duration::MAX));
        sleep(Duration::from_millis(30));
        println!("main returns");
    });
}

/// `all_asleep [PROCS]`
fn all_asleep(args: &[String]) {
    let procs = args.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    run(procs, || {
        go("sleeper", forever);
        forever();
    });
}

fn main_goexits_last(_: &[String]) {
    run(2, || {
        go("short", || {});
        goexit();
    });
}

/// The last thread that goes to sleep is one that comes out of a call.
fn asleep_after_a_call(_: &[String]) {
    run(2, || {
        go("caller", || {
            nanosleep(Duration::from_millis(30));
            forever();
        });
        forever();
    });
}

/// The last thread waits for the goroutine that is locked to it.
fn asleep_and_locked(_: &[String]) {
    run(1, || {
        go("locked", || {
            lock_os_thread();
            nanosleep(Duration::from_millis(30));
            forever();
        });
        forever();
    });
}

/// A third party can wake nobody, so it does not count.
fn asleep_beside_a_third_party(_: &[String]) {
    let third = |me: &mut ThirdParty| while me.sleep(Duration::from_millis(5)) {};
    start(Runtime::new(&STAGE).procs(1).third_party(third), forever);
}

#[gofunc]
fn checked() {}

/// Calls `f` on a goroutine as a system call of the form that the first word names.
fn in_a_call(form: &[String], f: impl FnOnce() + Send + 'static) {
    let wired = form.first().is_some_and(|form| form == "wired");
    run(1, move || if wired { syscall_wired(f) } else { syscall(f) });
}

fn check_in_a_call(form: &[String]) {
    in_a_call(form, checked);
}

fn go_in_a_call(form: &[String]) {
    in_a_call(form, || go("too_early", || {}));
}

fn wait_in_a_call(form: &[String]) {
    in_a_call(form, forever);
}

fn call_in_a_call(form: &[String]) {
    in_a_call(form, || syscall(|| ()));
}

fn yield_in_a_call(form: &[String]) {
    in_a_call(form, gosched);
}

/// How often the threads of this process have gone to sleep by themselves, summed.
fn sleeps() -> u64 {
    let mut sum = 0;
    for thread in tests::threads() {
        let path = format!("/proc/self/task/{thread}/status");
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let count = |l: &str| {
            l.strip_prefix("voluntary_ctxt_switches:")?
                .trim()
                .parse()
                .ok()
        };
        sum += status.lines().find_map(count).unwrap_or(0_u64);
    }
    sum
}

/// Prints how often the threads go to sleep in half a second in which nobody has work.
fn idle_with_sysmon(_: &[String]) {
    run(2, || {
        syscall_block(|| {
            // Let the others finish what they do.
            std::thread::sleep(Duration::from_millis(200));
            let before = sleeps();
            std::thread::sleep(Duration::from_millis(500));
            println!("{}", sleeps() - before);
        });
    });
}

/// A dump while a goroutine is in a call shows where it made it.
fn dump_of_a_call(_: &[String]) {
    run(2, || {
        go("caller", in_the_kernel);
        sleep(Duration::from_millis(50));
        rt::last_words::throw("look around");
    });
}

#[inline(never)]
fn in_the_kernel() {
    nanosleep(Duration::from_secs(30));
    std::hint::black_box(());
}

/// Main returns while another goroutine is in a call that is soon over.
fn main_returns_beside_a_call(_: &[String]) {
    for _ in 0..3 {
        run(2, || {
            for _ in 0..4 {
                go("caller", || nanosleep(Duration::from_millis(100)));
            }
            gosched();
            sleep(Duration::from_millis(10));
        });
    }
    println!("and again");
}

/// Three loops on two Ps for a quarter of a second.
fn schedtraced(_: &[String]) {
    run(2, || {
        for _ in 0..3 {
            go("hog", || {
                loop {
                    checked();
                }
            });
        }
        sleep(Duration::from_millis(250));
    });
}

// Who finds that nobody is left: each moment at which `checkdead` looks, as the last one.

/// Says who looks, and lets him.
fn named(mp: &'static M) {
    let site = if mp.leaving.load(Relaxed) {
        "mexit"
    } else if mp.lockedg.get().is_some() {
        "stoplockedm"
    } else {
        "mput"
    };
    // In one piece: somebody else may die at this moment.
    stage2_sysmon::rt::os::say_line(format!("{site} looks"));
    (STAGE.m_idle)(mp);
}

static NAMED: Stage = Stage {
    m_idle: named,
    handoffp: handed_off_slowly,
    more: &[&rt::table::Rows {
        sysmon_delay: begun,
        ..rt::table::ROWS
    }],
    ..STAGE
};

/// Sysmon has looked for itself, as it does once at its start.
static BEGUN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn begun(idle: u32, delay: u32) -> u32 {
    BEGUN.store(true, SeqCst);
    (rt::table::ROWS.sysmon_delay)(idle, delay)
}

/// Otherwise it might be the one who finds out.
fn until_sysmon_has_begun() {
    while !BEGUN.load(SeqCst) {
        std::thread::yield_now();
    }
}

/// Whether sysmon, when it has handed a P off, waits until all others are asleep.
static SLOWLY: AtomicUsize = AtomicUsize::new(0);

fn handed_off_slowly(pp: &'static P) {
    (STAGE.handoffp)(pp);
    let by_sysmon = rt::arch::getm().id.get() == 1;
    if by_sysmon && SLOWLY.swap(0, SeqCst) == 1 {
        // Those are M0, which comes back from its call, and the M that got its P.
        while SCHED.lock().nmidle < 2 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(50));
        stage2_sysmon::rt::os::say_line("incidlelocked looks".to_owned());
    }
}

fn found_by_mput(_: &[String]) {
    start(Runtime::new(&NAMED).procs(1), || {
        until_sysmon_has_begun();
        forever();
    });
}

/// With another idle P nobody is started for the one that main gives up.
fn found_by_stoplockedm(_: &[String]) {
    start(Runtime::new(&NAMED).procs(2), || {
        until_sysmon_has_begun();
        lock_os_thread();
        forever();
    });
}

/// The last one is a thread that ends with the goroutine which was locked to it.
fn found_by_mexit(_: &[String]) {
    start(Runtime::new(&NAMED).procs(2), || {
        go("locked", || {
            lock_os_thread();
            // Until all but we and the runtime's own are asleep, and our P is taken. No timer:
            // an M would sleep for it.
            let all_asleep = || {
                let sched = SCHED.lock();
                let ms = sched.mcount() - sched.nmsys;
                sched.nmidle as i32 == ms - 1 && SCHED.npidle.load(SeqCst) == 2
            };
            syscall(|| {
                while !all_asleep() {
                    std::thread::yield_now();
                }
            });
        });
        forever();
    });
}

/// While sysmon hands the P off, everybody falls asleep; nobody notices but sysmon, which
/// counted as one that might still wake somebody.
fn found_by_incidlelocked(_: &[String]) {
    start(Runtime::new(&NAMED).procs(1), || {
        SLOWLY.store(1, SeqCst);
        syscall(|| {
            while SLOWLY.load(SeqCst) == 1 {
                std::thread::yield_now();
            }
        });
        forever();
    });
}

fn panic_in_a_call(_: &[String]) {
    run(2, || syscall(|| panic!("out of the kernel")));
}

/// `end_of_runs_under_load N`: main returns, again and again, while the others are in calls,
/// asleep, in each other's way; and each time the next run must find a clean house.
fn end_of_runs_under_load(args: &[String]) {
    let n: u64 = args.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    for i in 0..n {
        run(1 + i as usize % 4, move || {
            let c = Chan::new(0);
            for k in 0..12 {
                let c = c.clone();
                go("at work", move || {
                    let mut random = tests::Random::new(i * 12 + k + 1);
                    if k == 0 {
                        lock_os_thread();
                    }
                    loop {
                        let time = Duration::from_micros(random.below(300));
                        match random.below(8) {
                            0 => nanosleep(time),
                            1 => syscall(|| ()),
                            2 => syscall_block(|| ()),
                            3 => sleep(time),
                            4 => drop(Ticker::new(time + Duration::from_micros(1)).c().recv()),
                            5 => c.send(()),
                            6 => drop(c.recv()),
                            _ => (0..20).for_each(|_| checked()),
                        }
                    }
                });
            }
            let mut random = tests::Random::new(i + 1);
            match random.below(3) {
                0 => nanosleep(Duration::from_micros(random.below(1_000))),
                1 => sleep(Duration::from_micros(random.below(1_000))),
                _ => gosched(),
            }
        });
    }
    println!("{n} runs");
}

/// What `asleep_with_leftovers` leaves behind must not keep anybody awake: far in the future.
const HOUR: Duration = Duration::from_secs(3600);

/// Long enough for the other processor's thread to fall asleep in the poller. Never yields.
fn meanwhile() {
    spin(30_000_000);
}

/// `asleep_with_leftovers WHAT PROCS`: something that could have woken somebody is taken away,
/// and then all are asleep.
fn asleep_with_leftovers(args: &[String]) {
    let procs = args.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let what = args.first().cloned().unwrap_or_default();
    run(procs, move || {
        // Kept to the end, so that only what is said here is taken away.
        let (a, b) = UnixStream::pair().expect("two sockets");
        let a = Arc::new(a);
        match what.as_str() {
            "after" => {
                let (lost, won) = (after(HOUR), Chan::new(1));
                won.send(());
                select! { recv(won) -> _ => {} recv(lost) -> _ => {} }
                meanwhile();
                drop(lost);
            }
            "ticker" => {
                let ticker = Ticker::new(HOUR);
                meanwhile();
                drop(ticker);
            }
            "timer" => {
                let timer = Timer::new(HOUR);
                meanwhile();
                assert!(timer.stop());
            }
            "deadline" | "closed" => {
                a.set_read_deadline(Some(HOUR)).expect("open");
                go("writer", move || (&b).write_all(b"x").expect("open"));
                (&*a).read_exact(&mut [0]).expect("a byte");
                meanwhile();
                match what.as_str() {
                    "closed" => a.close(),
                    _ => a.set_read_deadline(None),
                }
                .expect("open");
            }
            "reader" => {
                let reader = a.clone();
                go("reader", move || {
                    assert!((&*reader).read(&mut [0]).is_err(), "closed");
                });
                gosched();
                meanwhile();
                a.close().expect("open");
            }
            _ => panic!("{what}?"),
        }
        forever();
    });
}

/// Timers that are due, and nobody has looked after them. Prints what the channel says.
fn due_timers(_: &[String]) {
    run(1, || {
        // Without a yield, however long a busy machine makes it: at one the P would look.
        let pinned = acquirem();
        let (timer, asked) = (after(Duration::from_millis(1)), after(Duration::ZERO));
        println!("{:?} {:?}", asked.len(), asked.try_recv());
        spin(20_000_000);
        let got = select! { recv(timer) -> v => v, default => None };
        // A list that was made before.
        let timer = after(Duration::from_millis(1));
        let mut list = Select::new();
        list.recv(&timer);
        spin(20_000_000);
        let early = list.try_wait();
        drop(pinned);
        println!("{got:?} {early:?}");
    });
}

/// A context with two below it, one of which has a minute; and then one that gets its time.
fn contexts(_: &[String]) {
    run(1, || {
        let root = Context::background();
        let (top, cancel) = Context::with_cancel(&root);
        let (timed, _timed) = Context::with_timeout(&top, Duration::from_secs(60));
        let (deepest, _deepest) = Context::with_cancel(&timed);
        assert!(timed.time_left() > Some(Duration::from_secs(1)));
        assert_eq!((top.time_left(), deepest.err()), (None, None));
        let (waits, woken) = (deepest.clone(), Chan::new(1));
        let send = woken.clone();
        go("waits", move || send.send(waits.done().recv()));
        gosched();
        assert_eq!(woken.try_recv(), Err(WouldBlock));
        cancel.cancel();
        cancel.cancel();
        assert_eq!(woken.recv(), Some(None));
        for c in [&top, &timed, &deepest] {
            assert_eq!(c.err(), Some(ContextError::Canceled));
            assert!(c.done().is_closed());
        }
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
        let (late, _late) = Context::with_timeout(&top, Duration::from_secs(60));
        assert_eq!(late.err(), Some(ContextError::Canceled), "born canceled");
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
        assert_eq!(root.err(), None);

        let (timed, _timed) = Context::with_timeout(&root, Duration::from_millis(5));
        // The parent's time is the shorter one.
        let (below, _below) = Context::with_timeout(&timed, Duration::from_secs(60));
        assert_eq!(below.done().recv(), None);
        assert_eq!(timed.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(below.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(below.time_left(), Some(Duration::ZERO));

        let (dropped, cancel) = Context::with_timeout(&root, Duration::from_secs(60));
        drop(cancel);
        assert_eq!(dropped.err(), Some(ContextError::Canceled));
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
        println!("canceled, then out of time");
    });
}
