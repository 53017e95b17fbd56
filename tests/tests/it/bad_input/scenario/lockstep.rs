//! What lockstep cannot see: loops without a check, threads that block, processor time.

use crate::{forever, run, start};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
crate::scenarios!(
    deadlock, endless, std_lock, long_loop, frames, computes, hog,
);

fn deadlock(_: &[String]) {
    run(2, || {
        println!("nobody will wake us");
        go("waiter", forever);
        forever();
    });
}

/// Calls nothing, in an unoptimized build too.
#[gofunc]
fn endless_loop() {
    loop {
        // SAFETY: no instruction; the loop is one that the compiler keeps.
        unsafe { std::arch::asm!("", options(nomem, nostack)) };
    }
}

fn endless(_: &[String]) {
    run(1, || {
        println!("nobody will stop us");
        go("endless", endless_loop);
        forever();
    });
}

/// What the contract forbids: a guard of std's mutex, kept over a yield. Whoever wants it
/// next blocks its thread, and with it the baton.
fn std_lock(arguments: &[String]) {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let procs = arguments[0].parse().unwrap_or(1);
    run(procs, || {
        for _ in 0..2 {
            go("holder", || {
                let _guard = LOCK.lock();
                for _ in 0..50 {
                    gosched();
                }
            });
        }
        forever();
    });
}

static STOP: AtomicBool = AtomicBool::new(false);

/// A loop that calls nothing, until somebody stops it. It loads the flag in assembly: an
/// atomic's `load` may be a call in an unoptimized build, and calls are not the goroutine's
/// own code.
#[gofunc]
fn turns() {
    let mut stop = 0_u32;
    while stop == 0 {
        // SAFETY: loads a byte that lives for ever; whoever stores to it does so atomically.
        unsafe {
            std::arch::asm!("movzx {:e}, byte ptr [{}]", out(reg) stop, in(reg) STOP.as_ptr(),
                            options(nostack, readonly));
        }
    }
}

/// Processor time of the thread with this clock.
fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::clock_gettime(clock, &mut t) };
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

/// A compiled loop that ends, after so many milliseconds of its thread's processor time. A
/// thread outside of the runtime measures it.
fn long_loop(arguments: &[String]) {
    let wanted = Duration::from_millis(arguments[0].parse().unwrap_or(0));
    let runtime = Runtime::new(&STAGE)
        .procs(1)
        .third_party(|me| while me.sleep(Duration::from_millis(10)) {});
    start(runtime, move || {
        if !wanted.is_zero() {
            let mut clock = 0;
            // SAFETY: the clock of our own thread; the variable is ours.
            unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
            let end = cpu_time(clock) + wanted;
            std::thread::spawn(move || {
                while cpu_time(clock) < end {
                    std::thread::sleep(Duration::from_millis(1));
                }
                STOP.store(true, Relaxed);
            });
            turns();
        }
        user_log("the loop has ended");
    });
}

/// A stack that grows by frames of the compiler's making, or by the ruler's.
fn frames(arguments: &[String]) {
    #[gofunc]
    fn compiled(n: u64) -> u64 {
        let here = black_box([n; 16]);
        if n == 0 {
            return 0;
        }
        compiled(n - 1) + here[black_box(3)]
    }
    #[gofunc]
    fn ruled(n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        with_frame(1024, || ruled(n - 1)) + 1
    }
    let which = arguments[0].clone();
    run(1, move || {
        black_box(match &*which {
            "compiled" => compiled(300),
            "small" => compiled(12),
            "few" => compiled(1),
            _ => ruled(50),
        });
    });
}

/// Uses the processor for so many milliseconds of its time, without a check.
#[gofunc]
fn compute(ms: u64) {
    let until = processor_ms() + ms;
    while processor_ms() < until {
        // The loop itself is the goroutine's own code.
        for turn in 0..200_000_u64 {
            black_box(turn);
        }
    }
}

#[inline(always)]
fn processor_ms() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}

/// Computes on, while everybody else waits for a goroutine that has not been made.
fn computes(arguments: &[String]) {
    let ms = arguments[0].parse().unwrap_or(200);
    run(1, move || {
        compute(ms);
        println!("computed");
    });
}

/// A hog whose turns take 3 ms, beside a pair that sleeps most of the time.
fn hog(arguments: &[String]) {
    let ms: u64 = arguments[0].parse().unwrap_or(200);
    let runtime = stage2_sysmon::Runtime::new(&stage2_sysmon::STAGE).procs(1);
    crate::start(runtime, move || {
        for _ in 0..2 {
            go("light", || {
                loop {
                    stage2_sysmon::sleep(std::time::Duration::from_secs(1));
                }
            });
        }
        (0..ms / 3).for_each(|_| compute(3));
        println!("computed");
    });
}
