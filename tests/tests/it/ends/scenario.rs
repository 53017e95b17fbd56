//! Many goroutines that end: what is left of them.

use crate::{eventually, forever, run};
use stage1_coop::*;
use std::hint::black_box;
use tests::memory;

crate::scenarios!(short_ones, caught_panics, burst);

/// A hundred thousand goroutines, one after the other and in bursts: their Gs and stacks are
/// used again.
fn short_ones(_: &[String]) {
    run(2, || {
        let burst = |n: usize| {
            let all = WaitGroup::new();
            for _ in 0..n {
                all.add(1);
                let all = all.clone();
                go("short", move || all.done());
            }
            all.wait();
        };
        for _ in 0..10 {
            burst(1000);
        }
        let before = memory();
        for _ in 0..80 {
            burst(1000);
        }
        for _ in 0..20_000 {
            burst(1);
        }
        let after = memory();
        println!("KiB: {}", after.0.saturating_sub(before.0));
    });
}

/// Goroutines that catch a panic each: nothing remains of it.
fn caught_panics(_: &[String]) {
    std::panic::set_hook(Box::new(|_| {}));
    run(1, || {
        let burst = |n: usize| {
            for _ in 0..n {
                let all = WaitGroup::new();
                all.add(1);
                let a = all.clone();
                go("panics", move || {
                    let _ = std::panic::catch_unwind(|| panic!("caught"));
                    a.done();
                });
                all.wait();
            }
        };
        burst(2000);
        let before = memory();
        burst(30_000);
        println!("KiB: {}", memory().0.saturating_sub(before.0));
    });
}

/// `burst N`: so many wait at once and end; what they leave behind, then and a little later.
/// Their slots serve again, also as the end of what overflows.
fn burst(args: &[String]) {
    let n: usize = args.first().and_then(|n| n.parse().ok()).unwrap_or(1);
    let begin = memory().0;
    let grown = move || memory().0.saturating_sub(begin);
    rt::stack::give_back_after(100);
    run(2, move || {
        for round in 0..2 {
            parked(n);
            let most = grown();
            let limit = 32 << 10;
            eventually(|| grown() < limit);
            println!(
                "round {round}: after {n}: {most} KiB, later: {} KiB",
                grown()
            );
        }
        parked(n);
    });
    println!("after the run: {} KiB", grown());
    run(1, || {
        fn fall(n: u64) -> u64 {
            let here = black_box([n; 64]);
            if n == u64::MAX {
                0
            } else {
                fall(n + 1) + here[black_box(3)]
            }
        }
        for _ in 0..200 {
            go("bystander", forever);
        }
        gosched();
        go("culprit", || {
            black_box(fall(0));
        });
        forever();
    });
}

/// Starts `n` goroutines, and lets them go on when all wait.
fn parked(n: usize) {
    let (gate, here, all) = (Chan::<()>::new(0), WaitGroup::new(), WaitGroup::new());
    here.add(n);
    all.add(n);
    for _ in 0..n {
        let (gate, here, all) = (gate.clone(), here.clone(), all.clone());
        go("parked", move || {
            here.done();
            gate.recv();
            all.done();
        });
    }
    here.wait();
    gate.close();
    all.wait();
}
