//! Programs of stage 2 that die, or that need a process for themselves.

use crate::start;
use stage2_sysmon::*;
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
    schedtraced,
);

/// Runs `main` on `procs` Ps, or as many as the environment says.
fn run(procs: usize, main: impl FnOnce() + Send + 'static) {
    start(Runtime::new(&STAGE).procs(procs), main);
}

fn forever() {
    Chan::<()>::new(0).recv();
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

fn check_in_a_call(_: &[String]) {
    run(1, || syscall(checked));
}

fn go_in_a_call(_: &[String]) {
    run(1, || syscall(|| go("too_early", || {})));
}

fn wait_in_a_call(_: &[String]) {
    run(1, || syscall(forever));
}

fn call_in_a_call(_: &[String]) {
    run(1, || syscall(|| syscall(|| ())));
}

fn yield_in_a_call(_: &[String]) {
    run(1, || syscall(gosched));
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
        rt::throw("look around");
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
