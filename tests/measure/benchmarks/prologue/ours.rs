//! prologue: fib(40) with the guard check in every call, 331,160,281 calls; nanoseconds per
//! call. Five rounds.

use bench::{emit, now, procs, scale};
use stage1_coop::{Runtime, STAGE, gofunc, prologue};
use std::sync::mpsc;

#[gofunc]
fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, mut b) = (fib(n - 1), fib(n - 2));
    // No instruction: it only keeps the compiler from turning the second call into a loop,
    // which Go's does not do.
    // SAFETY: an empty block of assembly changes nothing.
    unsafe {
        std::arch::asm!("/* {b} */", b = inout(reg) b, options(pure, nomem, nostack, preserves_flags))
    };
    a + b
}

fn main() {
    let [n, rounds] = scale([40, 5]);
    // fib(n) and fib(n + 1) the quick way; fib(n) makes 2 fib(n + 1) - 1 calls.
    let (value, next) = (0..n).fold((0, 1), |(a, b), _| (b, a + b));
    let calls = (2 * next - 1) as f64;
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            for _ in 0..rounds {
                let t = now();
                assert_eq!(fib(n as u64), value);
                let _ = tx.send((now() - t) as f64 / calls);
            }
        });
    }
    let s: Vec<f64> = rx.iter().collect();
    emit("prologue", "ns_per_call_fib40", "ns", &s, &[]);
}
