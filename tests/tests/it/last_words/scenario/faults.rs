//! Stacks that overflow, and memory that is not there.

use super::{culprit, dive, load};
use crate::run;
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    overflow_checked,
    overflow_unchecked,
    nil,
    bus,
    overflow_of_a_std_thread,
    own_handler,
    errno_in_lockstep,
);

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
