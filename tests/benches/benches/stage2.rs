//! Each mechanism of stage 2 alone: into a call and back, by both protocols; a timer from its
//! start to its end; the heap; sysmon's look at all Ps. `cargo bench -p benches --bench stage2`.
//!
//! What runs on goroutines is timed inside one run of the runtime, so that its start and
//! end do not count.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use stage2_sysmon::rt::os::nanotime;
use stage2_sysmon::rt::sysmon::retake;
use stage2_sysmon::rt::timers::Heap;
use stage2_sysmon::{
    Runtime, STAGE, Ticker, WaitGroup, go, libc_call, sleep, syscall, syscall_wired,
};
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

/// A bench of what one goroutine does again and again.
fn again(c: &mut Criterion, name: &str, f: fn()) {
    c.bench_function(name, |b| {
        b.iter_custom(|n| {
            on_one_p(move || {
                let began = Instant::now();
                (0..n).for_each(|_| f());
                began.elapsed()
            })
        });
    });
}

fn getppid() -> i64 {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) }
}

/// An empty call, and the shortest that the kernel has.
fn calls(c: &mut Criterion) {
    again(c, "syscall, empty", || syscall(|| ()));
    again(c, "syscall, empty, Go 1.26's way", || syscall_wired(|| ()));
    again(c, "getppid alone", || {
        black_box(getppid());
    });
    again(c, "syscall, getppid", || {
        black_box(syscall(getppid));
    });
    again(c, "libc_call, getppid", || {
        black_box(libc_call(getppid).unwrap_or_default());
    });
}

/// Sleeping from the call to being back: for nothing, which does not park; and so short that
/// the timer is due when it is set.
fn timers(c: &mut Criterion) {
    again(c, "sleep(0)", || sleep(Duration::ZERO));
    again(c, "sleep(1 ns)", || sleep(Duration::from_nanos(1)));
    again(c, "a ticker, made and dropped", || {
        drop(Ticker::new(Duration::from_secs(3600)));
    });
    c.bench_function("a sleep among 1,000 that sleep", |b| {
        b.iter_custom(|n| {
            on_one_p(move || {
                let done = WaitGroup::new();
                done.add(1_000);
                let began = Instant::now();
                for _ in 0..1_000 {
                    let done = done.clone();
                    go("sleeper", move || {
                        for _ in 0..n / 1_000 + 1 {
                            sleep(Duration::from_nanos(1));
                        }
                        done.done();
                    });
                }
                done.wait();
                began
                    .elapsed()
                    .mul_f64(n as f64 / (1_000 * (n / 1_000 + 1)) as f64)
            })
        });
    });
}

/// A timer more and the earliest one out, with 10,000 in the heap.
fn heap(c: &mut Criterion) {
    c.bench_function("heap of 10,000: push and pop", |b| {
        let fill = || {
            let mut heap = Heap::new();
            (0..10_000_u64).for_each(|i| heap.push(i * 7_919 % 10_007, i));
            heap
        };
        b.iter_batched_ref(
            fill,
            |heap| {
                heap.push(20_000, 0);
                black_box(heap.pop_due(u64::MAX))
            },
            BatchSize::LargeInput,
        );
    });
}

/// Sysmon's look at four Ps, one of which runs.
fn look(c: &mut Criterion) {
    c.bench_function("retake, 4 Ps", |b| {
        b.iter_custom(|n| {
            let (tx, rx) = mpsc::channel();
            // SAFETY: as above.
            unsafe {
                Runtime::new(&STAGE).procs(4).run(move || {
                    let began = Instant::now();
                    for _ in 0..n {
                        black_box(retake(nanotime()));
                    }
                    let _ = tx.send(began.elapsed());
                });
            }
            rx.recv().unwrap_or_default()
        });
    });
}

criterion_group!(benches, calls, timers, heap, look);
criterion_main!(benches);
