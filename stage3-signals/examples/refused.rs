//! A signal comes at a bad moment: refused, with a reason, and asked again.
//!
//! Each line is one goroutine. It does something for 15 ms in which it must not be stopped,
//! then something harmless for 15 ms, and comes to no check in all that time. Sysmon asks
//! after 10 ms, and another goroutine waits. In the end two calls of foreign code that take
//! 50 ms each: one that the runtime knows nothing of, and one that it was told about.

use stage3_signals::rt::os::{nanotime, usleep};
use stage3_signals::rt::safepoint::{VETOES, async_preempt_stack, refused};
use stage3_signals::rt::stack::{enter_malloc, leave_malloc, lowest, set_preemptoff};
use stage3_signals::{Chan, Runtime, STAGE, acquirem, go, rt, spin, syscall};
use std::panic::{catch_unwind, resume_unwind};

/// 15 ms of [`spin`].
const SECTION: u64 = 15_000_000;

fn main() {
    let runtime = Runtime::new(&STAGE).procs(1);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        runtime.run(|| {
            during("a section of acquirem", || {
                let section = acquirem();
                spin(SECTION);
                drop(section);
            });
            during("an allocator that says so", || {
                enter_malloc();
                spin(SECTION);
                leave_malloc();
            });
            during("a reason of the program's", || {
                set_preemptoff("an example");
                spin(SECTION);
                set_preemptoff("");
            });
            during("a panic on its way", || {
                struct Busy;
                impl Drop for Busy {
                    fn drop(&mut self) {
                        spin(SECTION);
                    }
                }
                let caught = catch_unwind(|| {
                    let _busy = Busy;
                    resume_unwind(Box::new(()));
                });
                assert!(caught.is_err());
            });
            during("the end of the stack", to_the_end);
            during("a call of foreign code", foreign);
            let foreign_ms = waits(|| usleep(50_000));
            let syscall_ms = waits(|| syscall(|| usleep(50_000)));
            println!("a long call: foreign_ms={foreign_ms} syscall_ms={syscall_ms}");
        });
    }
}

/// Runs `section` on a goroutine of its own, and says what was refused meanwhile.
fn during(what: &'static str, section: fn()) {
    let before = VETOES.map(refused);
    let ms = waits(move || {
        section();
        spin(SECTION);
    });
    let new = VETOES.iter().zip(before);
    let why: Vec<_> = new
        .filter(|&(why, n)| refused(why) > n)
        .map(|(&why, _)| why)
        .collect();
    println!(
        "{what}: refused {}; another goroutine waited {ms} ms",
        why.join(" ")
    );
}

/// Runs `busy` on a goroutine of its own. How long does another one wait meanwhile, in
/// milliseconds?
fn waits(busy: impl FnOnce() + Send + 'static) -> u64 {
    let (waited, over) = (Chan::new(1), Chan::new(1));
    let (send, done) = (waited.clone(), over.clone());
    go("busy", move || {
        let began = nanotime();
        go("waits", move || send.send((nanotime() - began) / 1_000_000));
        busy();
        done.send(());
    });
    over.recv();
    waited.recv().unwrap_or_default()
}

/// Uses the stack, without a check, until too little is left for the registers.
#[inline(never)]
fn to_the_end() {
    let here = 0_u8;
    let left = (&raw const here).addr() - lowest(rt::arch::getg());
    if left > async_preempt_stack() - 1_024 {
        to_the_end();
    } else {
        spin(SECTION);
    }
    std::hint::black_box(&here);
}

/// A call that the runtime knows nothing of: here a sleep, as C would do it.
fn foreign() {
    usleep(SECTION / 1_000);
}
