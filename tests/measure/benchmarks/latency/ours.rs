//! latency: one P; a goroutine that only computes and calls; main sleeps 1 ms again and
//! again for 6 s and notes how late it goes on. Once with Go's policy for time slices, and
//! once with a sysmon that sleeps until the earliest slice ends.

use bench::{emit, now, procs, scale, wakeups};
use stage2_sysmon::{Chan, Runtime, STAGE, go, gofunc, prologue, rt, sleep};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

static STOP: AtomicBool = AtomicBool::new(false);

/// With a frame as big as that of Go's.
#[gofunc]
fn step(x: u64) -> u64 {
    let mut room = [0_u64; 32];
    room[(x & 31) as usize] = x;
    let room = std::hint::black_box(room);
    room[(x.wrapping_mul(7) & 31) as usize].wrapping_add(x + 1)
}

fn hog() -> u64 {
    let mut x = 0;
    while !STOP.load(Relaxed) {
        x = step(x);
    }
    x
}

fn measure(name: &'static str, ms: usize) {
    STOP.store(false, Relaxed);
    let result = Chan::new(1);
    let r = result.clone();
    go("hog", move || r.send(hog()));
    let mut late = Vec::new();
    // The monitor begins with some fifty short sleeps; they are not what is measured.
    sleep(Duration::from_millis(100));
    let (before, began) = (wakeups(), now());
    while now() - began < ms as u64 * 1_000_000 {
        let t = now();
        sleep(Duration::from_millis(1));
        late.push((now() - t - 1_000_000) as f64 / 1e3);
    }
    let each_second = (wakeups() - before) as f64 * 1e3 / ms as f64;
    STOP.store(true, Relaxed);
    result.recv();
    emit(name, "late", "us", &late[1..], &[]);
    emit(name, "wakeups_per_s", "1/s", &[each_second], &[]);
}

fn main() {
    let [ms] = scale([6_000]);
    for (name, stage) in [
        ("latency_call", &STAGE),
        ("latency_call_slice_end", &rt::sysmon::SLICE_ENDS),
    ] {
        // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
        unsafe {
            Runtime::new(stage)
                .procs(procs())
                .run(move || measure(name, ms))
        }
    }
}
