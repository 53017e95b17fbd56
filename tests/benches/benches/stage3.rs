//! Each mechanism of stage 3 alone: the map of unsafe points, which the first run of a process
//! reads from the machine code, and in which a signal's handler looks up an address.
//! `cargo bench -p benches --bench stage3`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stage3_signals::rt::arch::gotext_bounds;
use stage3_signals::rt::safepoint::{Loaded, functions, init, look_up, points};
use stage3_signals::{gofunc, prologue};
use std::hint::black_box;

/// Declares goroutines' functions that std's code is copied into: something to read.
macro_rules! goroutines {
    ($($name:ident)+) => {
        $(
            #[gofunc]
            fn $name(n: u64) -> u64 {
                let mut all: Vec<u64> = (0..n).map(|i| i ^ stringify!($name).len() as u64).collect();
                all.sort_unstable();
                let text: String = all.iter().map(|i| char::from(*i as u8)).collect();
                black_box(text).len() as u64
            }
        )+
        const GOROUTINES: &[fn(u64) -> u64] = &[$($name),+];
    };
}

goroutines!(ab abc abcd abcde abcdef abcdefg abcdefgh abcdefghi abcdefghij abcdefghijk);

fn map(c: &mut Criterion) {
    black_box(GOROUTINES.iter().map(|f| f(3)).sum::<u64>());
    let (start, stop) = gotext_bounds();
    let mut group = c.benchmark_group("the map of unsafe points");
    group.throughput(Throughput::Bytes((stop - start) as u64));
    group.bench_function("read from gotext", |b| {
        b.iter(|| {
            let program = Loaded::here();
            let functions = functions(&program).unwrap_or_default();
            let unsafe_ = |f: &std::ops::Range<u64>| points(&program, f.clone()).next().is_some();
            functions.iter().filter(|f| unsafe_(f)).count()
        });
    });
    group.finish();
    init();
    c.bench_function("look_up", |b| {
        let pc = GOROUTINES[3] as *const () as usize + 9;
        b.iter(|| look_up(black_box(pc)));
    });
}

criterion_group!(benches, map);
criterion_main!(benches);
