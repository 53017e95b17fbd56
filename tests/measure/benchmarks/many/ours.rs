//! many: a million goroutines that wait on one channel. Making them, until all wait, the
//! memory of each, and waking all; twice, in fresh memory and in used.

use bench::{emit, now, procs, scale};
use stage1_coop::{Chan, Runtime, STAGE, WaitGroup, go, gosched};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of a line of /proc/self/status.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|l| {
            l.strip_prefix(key)?
                .trim()
                .strip_suffix("kB")?
                .trim()
                .parse::<f64>()
                .ok()
        })
        .unwrap_or(0.0)
        * 1024.0
}

fn round(name: &str, count: usize, wake: bool) {
    let (r0, pt0) = (status("VmRSS:"), status("VmPTE:"));
    // Shared by reference, as Go's closures share them.
    let ch: &'static Chan<()> = Box::leak(Box::new(Chan::new(0)));
    let at: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let wg: &'static WaitGroup = Box::leak(Box::new(WaitGroup::new()));
    wg.add(count);
    let t0 = now();
    for _ in 0..count {
        go("waiter", move || {
            at.fetch_add(1, Relaxed);
            ch.recv();
            wg.done();
        });
    }
    let t1 = now();
    while at.load(Relaxed) < count {
        gosched();
    }
    let t2 = now();
    let (r1, pt1) = (status("VmRSS:"), status("VmPTE:"));
    let t3 = now();
    if wake {
        ch.close();
        wg.wait();
    }
    let t4 = now();
    let each = |a: u64, b: u64| (b - a) as f64 / count as f64;
    let bench = format!("many_{name}");
    emit(&bench, "create_ns_each", "ns", &[each(t0, t1)], &[]);
    emit(&bench, "blocked_ns_each", "ns", &[each(t0, t2)], &[]);
    if name == "cold" {
        emit(
            &bench,
            "rss_bytes_each",
            "B",
            &[(r1 - r0) / count as f64],
            &[],
        );
        emit(
            &bench,
            "page_table_bytes_each",
            "B",
            &[(pt1 - pt0) / count as f64],
            &[],
        );
    }
    emit(&bench, "wake_all_ns_each", "ns", &[each(t3, t4)], &[]);
}

fn main() {
    // Whether to wake them, and how often to do it all: once in fresh memory, once in used.
    let [count, wake, rounds] = scale([1_000_000, 1, 2]);
    // SAFETY: nothing here keeps anything that belongs to a thread across a yield.
    unsafe {
        Runtime::new(&STAGE).procs(procs()).run(move || {
            for name in ["cold", "warm"].into_iter().take(rounds) {
                round(name, count, wake != 0);
            }
        });
    }
}
