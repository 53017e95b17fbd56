//! Every goroutine sleeps: `checkdead` finds it out at each moment at which it looks, on the M
//! that goes to sleep last.

use super::{forever, run};
use crate::start;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{M, P, SCHED};
use stage2_sysmon::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    sleeps_for_ever,
    all_asleep,
    main_goexits_last,
    asleep_after_a_call,
    asleep_and_locked,
    asleep_beside_a_third_party,
    found_by_mput,
    found_by_stoplockedm,
    found_by_mexit,
    found_by_incidlelocked,
    asleep_with_leftovers,
);

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
