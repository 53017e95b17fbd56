//! timers: 100,000 goroutines sleep once, for 1 to 100 ms; then 10,000 sleep 20 times. How
//! long all of that takes, and by how much each sleep is too long.

use bench::{Rng, emit, now, procs, scale};
use stage2_sysmon::{Runtime, STAGE, WaitGroup, go, sleep};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const TIMES: usize = 20;

/// Sleeps, and returns by how many nanoseconds too long it was.
fn late(ns: u64) -> u64 {
    let began = now();
    sleep(Duration::from_nanos(ns));
    now() - began - ns
}

/// Room for what goroutines find, shared by reference as Go's closures share it.
fn room(n: usize) -> &'static [AtomicU64] {
    Box::leak((0..n).map(|_| AtomicU64::new(0)).collect())
}

fn microseconds(of: &[AtomicU64]) -> impl Iterator<Item = f64> {
    of.iter().map(|ns| ns.load(Relaxed) as f64 / 1e3)
}

fn measure(rounds: usize, once: usize, many: usize) {
    let mut random = Rng::new(1);
    let sleeps: Vec<u64> = (0..once)
        .map(|_| 1_000_000 + random.draw() % 99_000_001)
        .collect();
    let sleeps: &'static [u64] = sleeps.leak();
    let (mut total, mut lates) = (Vec::new(), Vec::new());
    let of = room(once);
    for round in 0..rounds {
        let all: &'static WaitGroup = Box::leak(Box::default());
        all.add(once);
        let began = now();
        for i in 0..once {
            go("sleeper", move || {
                of[i].store(late(sleeps[i]), Relaxed);
                all.done();
            });
        }
        all.wait();
        let took = (now() - began) as f64 / 1e6;
        if round > 0 {
            total.push(took);
            lates.extend(microseconds(of));
        }
    }
    let steady = room(many * TIMES);
    let all: &'static WaitGroup = Box::leak(Box::default());
    all.add(many);
    for i in 0..many {
        go("sleeper", move || {
            for k in 0..TIMES {
                let ns = sleeps[i * TIMES % sleeps.len() + k];
                steady[i * TIMES + k].store(late(ns), Relaxed);
            }
            all.done();
        });
    }
    all.wait();
    emit("timers", "total", "ms", &total, &[]);
    emit("timers", "late", "us", &lates, &[]);
    let steady: Vec<f64> = microseconds(steady).collect();
    emit("timers_steady", "late", "us", &steady, &[]);
}

fn main() {
    let [rounds, once, many] = scale([6, 100_000, 10_000]);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE)
            .procs(procs())
            .run(move || measure(rounds, once, many))
    }
}
