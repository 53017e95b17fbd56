//! What our programs of the benchmarks (`*/ours.rs`) share: a clock, percentiles, and one JSON line per metric,
//! in the form that the Go programs beside them print too.

mod scale;

pub use scale::scale;

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first call.
pub fn now() -> u64 {
    static BASE: OnceLock<Instant> = OnceLock::new();
    BASE.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Uses the processor for so many nanoseconds, without a check.
pub fn spin(ns: u64) {
    let began = now();
    while now() - began < ns {
        std::hint::spin_loop();
    }
}

/// Splitmix64: the numbers that the Go programs draw, too.
pub struct Rng(u64);

impl Rng {
    /// Numbers for this seed.
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// How often the threads of this process slept so far and were woken, all together.
pub fn wakeups() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task");
    let of = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    tasks.map_or(0, |all| all.flatten().filter_map(of).sum())
}

/// Number of Ps that the run asks for: `BENCH_PROCS`, or `GOMAXPROCS`, or 1.
pub fn procs() -> usize {
    ["BENCH_PROCS", "GOMAXPROCS"]
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(1)
}

/// The nearest-rank percentile of sorted samples.
pub fn percentile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Prints the line of one metric, with further fields if there are any.
///
/// # Panics
/// Without samples.
pub fn emit(bench: &str, metric: &str, unit: &str, samples: &[f64], extra: &[(&str, f64)]) {
    let mut s = samples.to_vec();
    s.sort_by(f64::total_cmp);
    let mean = s.iter().sum::<f64>() / s.len() as f64;
    let mut line = format!(
        r#"{{"bench":"{bench}","metric":"{metric}","unit":"{unit}","procs":{},"min":{},"p50":{},"p99":{},"max":{},"mean":{},"n":{}"#,
        procs(),
        s[0],
        percentile(&s, 0.5),
        percentile(&s, 0.99),
        s[s.len() - 1],
        mean,
        s.len()
    );
    for (key, value) in extra {
        let _ = write!(line, r#","{key}":{value}"#);
    }
    println!("{line}}}");
}
