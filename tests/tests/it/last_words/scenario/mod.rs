//! Programs that end badly, and some that end well although it is not easy: one file beside each
//! of the tests'.

pub mod faults;
pub mod goexit;
pub mod panics;
pub mod rows;
pub mod runs;
pub mod signals;
pub mod throws;
pub mod unwinding;

use crate::{forever, run};
use stage1_coop::*;
use std::hint::black_box;
use std::sync::atomic::Ordering::*;

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

#[gofunc]
fn step() {}

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

/// What a third party does to a goroutine, done by itself.
fn ask_myself() {
    let gp = rt::arch::getg();
    gp.preempt.store(true, Relaxed);
    gp.stackguard0.store(rt::stack::STACK_PREEMPT, Relaxed);
}

/// Loads from `address`. In assembly, because the compiler knows what a null pointer is.
fn load(address: usize) -> u8 {
    let byte: u8;
    // SAFETY: none: the load faults, which is what the caller wants to see.
    unsafe { std::arch::asm!("mov {}, [{}]", out(reg_byte) byte, in(reg) address) };
    byte
}
