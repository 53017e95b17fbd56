//! steal: fork-join fib(40), a goroutine and a wait group for each fork down to 20: 17,710
//! goroutines with leaves of 10 to 25 us; and the same work without any, for the compiler's
//! part. Eight rounds.

use stage1_coop::{Runtime, STAGE, WaitGroup, go, gofunc, prologue};
use std::sync::mpsc;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tests::bench::{emit, now, procs};

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

#[gofunc]
fn pfib(n: u64) -> u64 {
    if n <= 20 {
        return fib(n);
    }
    let a = Arc::new(AtomicU64::new(0));
    let wg = WaitGroup::new();
    wg.add(1);
    let (result, done) = (a.clone(), wg.clone());
    go("pfib", move || {
        result.store(pfib(n - 1), Relaxed);
        done.done();
    });
    let b = pfib(n - 2);
    wg.wait();
    a.load(Relaxed) + b
}

fn main() {
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            for _ in 0..8 {
                let t = now();
                assert_eq!(pfib(40), 102_334_155);
                let u = now();
                assert_eq!(fib(36), 14_930_352);
                let v = now();
                let _ = tx.send((
                    (u - t) as f64 / 1e6,
                    (v - u) as f64 / 1e6 * 331_160_281.0 / 48_315_633.0,
                ));
            }
        });
    }
    let (s, q): (Vec<f64>, Vec<f64>) = rx.iter().unzip();
    emit("steal", "parallel_fib40", "ms", &s, &[]);
    emit("steal", "sequential_fib40_scaled_from_fib36", "ms", &q, &[]);
}
