//! Runs under load, timers, contexts, and what sysmon does meanwhile.

use super::{checked, run};
use stage2_sysmon::rt;
use stage2_sysmon::*;
use std::time::Duration;

crate::scenarios!(
    idle_with_sysmon,
    schedtraced,
    end_of_runs_under_load,
    due_timers,
    contexts,
);

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
