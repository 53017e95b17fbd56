//! steal: fork-join fib(40), a goroutine and a wait group for each fork down to 20: 17,710
//! goroutines with leaves of 10 to 25 us; and the same work without any, for the compiler's
//! part. Eight rounds.

use bench::{emit, now, procs, scale};
use stage1_coop::{Runtime, STAGE, WaitGroup, go, gofunc, prologue};
use std::sync::mpsc;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

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
fn pfib(n: u64, leaf: u64) -> u64 {
    if n <= leaf {
        return fib(n);
    }
    let a = Arc::new(AtomicU64::new(0));
    let wg = WaitGroup::new();
    wg.add(1);
    let (result, done) = (a.clone(), wg.clone());
    go("pfib", move || {
        result.store(pfib(n - 1, leaf), Relaxed);
        done.done();
    });
    let b = pfib(n - 2, leaf);
    wg.wait();
    a.load(Relaxed) + b
}

/// fib(n) and how many calls it takes, the quick way.
fn known(n: u64) -> (u64, f64) {
    let (value, next) = (0..n).fold((0, 1), |(a, b), _| (b, a + b));
    (value, (2 * next - 1) as f64)
}

fn main() {
    let [rounds, n, leaf, alone] = scale([8, 40, 20, 36]).map(|n| n as u64);
    let (whole, part) = (known(n), known(alone));
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            for _ in 0..rounds {
                let t = now();
                assert_eq!(pfib(n, leaf), whole.0);
                let u = now();
                assert_eq!(fib(alone), part.0);
                let v = now();
                let _ = tx.send((
                    (u - t) as f64 / 1e6,
                    (v - u) as f64 / 1e6 * whole.1 / part.1,
                ));
            }
        });
    }
    let (s, q): (Vec<f64>, Vec<f64>) = rx.iter().unzip();
    emit("steal", "parallel_fib40", "ms", &s, &[]);
    emit("steal", "sequential_fib40_scaled_from_fib36", "ms", &q, &[]);
}
