//! syscall: what entering and leaving a system call costs beside the call itself, by Go
//! 1.15's protocol and by 1.26's; and how a P comes out of a call that blocks.

use bench::{Rng, emit, now, procs, scale, spin};
use stage2_sysmon::{Chan, Runtime, STAGE, go, syscall, syscall_wired};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};

/// (bench, metric, unit, samples)
type Line = (&'static str, &'static str, &'static str, Vec<f64>);

fn getppid() {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// Nanoseconds of one `f`.
fn each(per: usize, f: impl Fn()) -> f64 {
    let began = now();
    for _ in 0..per {
        f();
    }
    (now() - began) as f64 / per as f64
}

/// The rounds are short: a call of 200 ns costs a third more from one millisecond to the next
/// when the machine's clock changes, and the difference is wanted to the nanosecond.
fn pair(rounds: usize, per: usize, per_wired: usize, send: &Sender<Line>) {
    let mut all: [Vec<f64>; 5] = Default::default();
    for _ in 0..rounds {
        let unwired = each(per, || syscall(getppid));
        let raw = each(per, getppid);
        let wired = each(per_wired, || syscall_wired(getppid));
        let samples = [raw, unwired, unwired - raw, wired, wired - raw];
        all.iter_mut().zip(samples).for_each(|(of, x)| of.push(x));
    }
    let names = [
        ("syscall_pair", "raw_getppid"),
        ("syscall_pair", "getppid"),
        ("syscall_pair", "own_cost"),
        ("syscall_pair_wired", "getppid"),
        ("syscall_pair_wired", "own_cost"),
    ];
    for ((bench, metric), samples) in names.into_iter().zip(all) {
        let _ = send.send((bench, metric, "ns", samples));
    }
}

/// A goroutine makes another one ready and blocks in read(2). Nobody but sysmon can give the
/// only P to the other one, which notes when it runs, computes for 50 µs, and lets the first
/// go on by writing into the pipe. It writes without the runtime's knowledge: else the first
/// one could take the P out of that call. The second channel sees to it that the first one
/// begins a new turn only when the other is off the P.
fn handoff(name: &'static str, turns: usize, compute: u64, send: &Sender<Line>) {
    let mut pipe = [0; 2];
    // SAFETY: the array has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0, "no pipe");
    let [from, to] = pipe;
    let blocks: &'static AtomicU64 = Box::leak(Box::default());
    let writes: &'static AtomicU64 = Box::leak(Box::default());
    let (kick, ack, outs) = (Chan::new(1), Chan::new(0), Chan::new(1));
    let (kicked, acked, put) = (kick.clone(), ack.clone(), outs.clone());
    go("other", move || {
        let mut out = Vec::new();
        while kicked.recv() == Some(()) {
            out.push((now() - blocks.load(Relaxed)) as f64 / 1e3);
            spin(50_000);
            writes.store(now(), Relaxed);
            // SAFETY: one byte of a live array.
            unsafe { libc::write(to, [1_u8].as_ptr().cast(), 1) };
            acked.send(());
        }
        put.send(out);
    });
    let (mut random, mut back) = (Rng::new(1), Vec::new());
    for _ in 0..turns {
        if compute > 0 {
            spin(compute + random.draw() % 10_000_000);
        }
        kick.send(());
        blocks.store(now(), Relaxed);
        let mut byte = [0_u8];
        // SAFETY: room for one byte.
        let n = syscall(|| unsafe { libc::read(from, byte.as_mut_ptr().cast(), 1) });
        assert_eq!(n, 1, "nothing to read");
        back.push((now() - writes.load(Relaxed)) as f64 / 1e3);
        ack.recv();
    }
    kick.close();
    let _ = send.send((name, "handoff", "us", outs.recv().unwrap_or_default()));
    let _ = send.send((name, "return", "us", back));
}

fn main() {
    let own = [4_001, 1_000, 1_000, 3_001, 101];
    let [rounds, per, per_wired, hot, cold] = scale(own);
    let (send, lines) = mpsc::channel();
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            pair(rounds, per, per_wired, &send);
            // One after the other: sysmon looks every 20 µs.
            handoff("syscall_hot", hot, 0, &send);
            // After 25 to 35 ms of computing, when it looks every 10 ms.
            handoff("syscall_cold", cold, 25_000_000, &send);
        });
    }
    for (bench, metric, unit, samples) in lines {
        emit(bench, metric, unit, &samples[1..], &[]);
    }
}
