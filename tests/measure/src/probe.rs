//! What the machine is like at this moment: how far two CPUs are from each other, by the time
//! that a cache line takes there and back, and how fast one of them is.
//!
//! A virtual machine's CPUs may share a cache now and be on two chips a second later. What
//! two Ps do together then costs a multiple, for us and for Go. And the clock that turns
//! them is not always the same.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Instant;

/// A round trip below this is near: one cache between the two.
pub const NEAR_NS: f64 = 200.0;

const BATCHES: u64 = 21;
const TRIPS: u64 = 200;

/// The first two CPUs that this process may use.
pub fn two_cpus() -> Option<[usize; 2]> {
    let set = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let mut all = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true));
    Some([all.next()?, all.next()?])
}

/// Binds the calling thread, and what it will start, to this CPU.
pub fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Nanoseconds of a round trip, the median of some batches; `None` if the threads cannot be
/// bound to these CPUs.
pub fn round_trip_ns(cpus: [usize; 2]) -> Option<f64> {
    #[repr(align(128))]
    struct Line(AtomicU64);
    let ball = Line(AtomicU64::new(0));
    let (ready, refused) = (Barrier::new(2), AtomicBool::new(false));
    // One hits the even numbers, the other the odd ones.
    let play = |cpu: usize, first: u64| {
        if pin(cpu).is_err() {
            refused.store(true, SeqCst);
        }
        ready.wait();
        if refused.load(SeqCst) {
            return None;
        }
        let mut samples = Vec::new();
        let mut began = Instant::now();
        for at in (first..2 * BATCHES * TRIPS).step_by(2) {
            while ball.0.load(SeqCst) != at {
                spin_loop();
            }
            ball.0.store(at + 1, SeqCst);
            if at / 2 % TRIPS == TRIPS - 1 {
                samples.push(began.elapsed().as_nanos() as f64 / TRIPS as f64);
                began = Instant::now();
            }
        }
        Some(samples)
    };
    let samples = std::thread::scope(|s| {
        let _other = s.spawn(|| play(cpus[1], 1));
        s.spawn(|| play(cpus[0], 0)).join().ok()?
    })?;
    // The first batch waits for the other thread's start.
    crate::stats::Summary::of(samples.into_iter().skip(1)).map(|s| s.median)
}

/// Nanoseconds of one step of a chain of multiplications, each of which needs the result of
/// the one before: how fast the clock turns. The best of some batches, so that what
/// interrupts one does not count.
pub fn step_ns() -> f64 {
    const STEPS: u32 = 200_000;
    let mut best = f64::INFINITY;
    let mut x = 1_u64;
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..STEPS {
            // One multiplication in each turn, whatever the compiler thinks of it.
            x = std::hint::black_box(x).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        best = best.min(began.elapsed().as_nanos() as f64 / f64::from(STEPS));
    }
    std::hint::black_box(x);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_some_time() {
        let ns = step_ns();
        assert!(ns > 0.1 && ns < 1000.0, "{ns}");
    }

    #[test]
    fn a_line_takes_some_time() {
        let Some(cpus) = two_cpus() else {
            eprintln!("skipped: one CPU only");
            return;
        };
        let ns = round_trip_ns(cpus).expect("two CPUs that we may use");
        assert!(ns > 1.0, "{ns}");
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_no_answer() {
        assert_eq!(round_trip_ns([0, CpuSet::count() - 1]), None);
        assert_eq!(round_trip_ns([CpuSet::count() - 1, 0]), None);
    }
}
