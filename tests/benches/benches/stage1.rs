//! Each mechanism alone: the switch, the check, the ring, stealing, parking and readying, a
//! stack bound to a goroutine. `cargo bench -p benches --bench stage1`.
//!
//! What runs on goroutines is timed inside one run of the runtime, so that its start and
//! end do not count.

use criterion::{Criterion, criterion_group, criterion_main};
use stage1_coop::rt::queues::{RUNQ_SIZE, Runq};
use stage1_coop::{Chan, Runtime, STAGE, WaitGroup, go, gofunc, gosched, prologue};
use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Runs `f` as `main` on one P and returns the time that it measured.
fn on_one_p(f: impl FnOnce() -> Duration + Send + 'static) -> Duration {
    let (tx, rx) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(1).run(move || {
            let _ = tx.send(f());
        });
    }
    rx.recv().unwrap_or_default()
}

/// Two goroutines yield in turn: two switches and the global queue for each yield.
fn yields(c: &mut Criterion) {
    c.bench_function("yield", |b| {
        b.iter_custom(|n| {
            on_one_p(move || {
                let wg = WaitGroup::new();
                wg.add(2);
                let t = Instant::now();
                for _ in 0..2 {
                    let wg = wg.clone();
                    go("yielder", move || {
                        for _ in 0..n / 2 {
                            gosched();
                        }
                        wg.done();
                    });
                }
                wg.wait();
                t.elapsed()
            })
        });
    });
}

/// A goroutine parks in a receive and is readied by a send: both directions of a trip.
fn park_ready(c: &mut Criterion) {
    c.bench_function("park/ready (channel round trip)", |b| {
        b.iter_custom(|n| {
            on_one_p(move || {
                let (ping, pong) = (Chan::<u64>::new(0), Chan::<u64>::new(0));
                let (from, to) = (ping.clone(), pong.clone());
                go("echo", move || {
                    for v in from.iter() {
                        to.send(v);
                    }
                });
                let t = Instant::now();
                for i in 0..n {
                    ping.send(i);
                    black_box(pong.recv());
                }
                t.elapsed()
            })
        });
    });
}

/// A goroutine is made, gets a stack, runs, and gives both back.
fn stack_bind(c: &mut Criterion) {
    c.bench_function("spawn (stack bound and given back)", |b| {
        b.iter_custom(|n| {
            on_one_p(move || {
                let wg = WaitGroup::new();
                let t = Instant::now();
                for _ in 0..n {
                    wg.add(1);
                    let wg2 = wg.clone();
                    go("short", move || wg2.done());
                    wg.wait();
                }
                t.elapsed()
            })
        });
    });
}

#[gofunc]
fn checked(a: u64, b: u64, c: u64) -> u64 {
    a ^ b.wrapping_mul(c)
}

#[inline(never)]
fn unchecked(a: u64, b: u64, c: u64) -> u64 {
    a ^ b.wrapping_mul(c)
}

/// A leaf function called through a pointer, with and without the check.
fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("check");
    for (name, f) in [
        ("checked leaf", checked as fn(u64, u64, u64) -> u64),
        ("unchecked leaf", unchecked),
    ] {
        group.bench_function(name, |b| {
            let f = black_box(f);
            let mut x = 1;
            b.iter(|| x = f(x, 3, 5));
        });
    }
    group.finish();
}

static ITEMS: [u64; RUNQ_SIZE] = [0; RUNQ_SIZE];

/// The ring alone: put and get, through `runnext`, and half of it stolen.
fn ring(c: &mut Criterion) {
    let mut group = c.benchmark_group("ring");
    let q = Runq::<u64>::new();
    group.bench_function("put + get", |b| {
        b.iter(|| {
            q.put(&ITEMS[0], false, |_| ());
            black_box(q.get())
        });
    });
    group.bench_function("put + get through runnext", |b| {
        b.iter(|| {
            q.put(&ITEMS[0], true, |_| ());
            black_box(q.get())
        });
    });
    let thief = Runq::<u64>::new();
    group.bench_function("fill 128, steal half, drain both", |b| {
        b.iter(|| {
            for item in &ITEMS[..128] {
                q.put(item, false, |_| ());
            }
            black_box(thief.steal_with(|t| q.grab(&thief, t, || false)));
            while thief.get().is_some() {}
            while q.get().is_some() {}
        });
    });
    group.finish();
}

criterion_group! {
    name = mechanisms;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = yields, park_ready, stack_bind, check, ring
}
criterion_main!(mechanisms);
