//! The benchmarks, and what each is held to.

use std::fmt;

/// A program and the number of Ps that it runs with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Benchmark {
    /// The name of our program and of Go's.
    pub program: &'static str,
    /// The number of Ps.
    pub procs: usize,
}

const fn benchmark(program: &'static str, procs: usize) -> Benchmark {
    Benchmark { program, procs }
}

/// Every benchmark, in the order of the table.
pub const BENCHMARKS: [Benchmark; 13] = [
    benchmark("yield", 1),
    benchmark("spawn", 1),
    benchmark("spawn", 2),
    benchmark("chanping", 1),
    benchmark("chanping", 2),
    benchmark("prologue", 1),
    benchmark("many", 2),
    benchmark("steal", 1),
    benchmark("steal", 2),
    benchmark("syscall", 1),
    benchmark("timers", 2),
    benchmark("latency", 1),
    benchmark("echo", 2),
];

/// The program with this name.
pub fn program(name: &str) -> Result<&'static str, String> {
    BENCHMARKS
        .iter()
        .map(|benchmark| benchmark.program)
        .find(|p| *p == name)
        .ok_or_else(|| {
            let mut names = BENCHMARKS.map(|benchmark| benchmark.program).to_vec();
            names.dedup();
            format!(
                "there is no benchmark {name}; there are {}",
                names.join(", ")
            )
        })
}

/// What our figure divided by Go's is held to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Target {
    /// Of a time: not above this.
    AtMost(f64),
    /// Of work done in a time: not below this.
    AtLeast(f64),
}

impl Target {
    /// Whether a ratio is good enough.
    pub fn met(self, ratio: f64) -> bool {
        match self {
            Target::AtMost(most) => ratio <= most,
            Target::AtLeast(least) => ratio >= least,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(most) => write!(f, "{most}"),
            Target::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

/// What the ratio of the medians is held to; `None`: the benchmark is only for looking.
pub fn target(bench: &str, metric: &str, procs: usize) -> Option<Target> {
    Some(Target::AtMost(match (bench, metric, procs) {
        ("yield", "ns_per_gosched", _) => 0.45,
        ("spawn", "ns_each_batch1000", _) => 0.45,
        ("spawn", "ns_each_batch1", _) => 0.5,
        ("chan_pingpong", "ns_round_trip", 1) => 0.5,
        ("chan_pingpong", "ns_round_trip", 2) => 0.85,
        ("prologue", "ns_per_call_fib40", _) => 1.0,
        ("many_cold", "create_ns_each", _) => 1.1,
        ("many_warm", "create_ns_each", _) => 0.7,
        ("many_cold" | "many_warm", "wake_all_ns_each", _) => 0.8,
        ("steal", "parallel_fib40", 2) => 1.0,
        ("syscall_pair", "own_cost", _) => 1.4,
        ("syscall_pair_wired", "own_cost", _) => 1.0,
        ("syscall_hot", "handoff", _) => 0.6,
        ("timers", "total", _) => 0.9,
        ("timers_steady", "late", _) => 0.3,
        ("latency_call", "late", _) => 1.05,
        ("latency_call_slice_end", "late", _) => 0.55,
        ("latency_call_slice_end", "wakeups_per_s", _) => 1.0,
        ("echo", "requests_per_s", _) => return Some(Target::AtLeast(1.1)),
        _ => return None,
    }))
}

/// What the ratio of the 99th percentiles is held to.
pub fn target_p99(bench: &str, metric: &str) -> Option<Target> {
    Some(Target::AtMost(match (bench, metric) {
        ("syscall_hot", "handoff") => 0.6,
        ("timers", "late") => 0.7,
        ("latency_call", "late") => 1.05,
        ("echo", "latency") => 0.9,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benchmarks_are_found_by_name() {
        assert_eq!(program("many"), Ok("many"));
        let no = program("mnay").unwrap_err();
        assert_eq!(
            no,
            "there is no benchmark mnay; there are yield, spawn, chanping, prologue, many, steal, \
             syscall, timers, latency, echo"
        );
    }

    #[test]
    fn targets_depend_on_the_ps() {
        let trip = |procs| target("chan_pingpong", "ns_round_trip", procs);
        assert_eq!(trip(1), Some(Target::AtMost(0.5)));
        assert_eq!(trip(2), Some(Target::AtMost(0.85)));
        assert_eq!(target("steal", "parallel_fib40", 1), None);
        assert_eq!(target("many_cold", "rss_bytes_each", 2), None);
    }

    #[test]
    fn less_time_is_better_and_more_work_too() {
        let time = Target::AtMost(0.9);
        assert!(time.met(0.9) && !time.met(0.91));
        let work = Target::AtLeast(1.1);
        assert!(work.met(1.1) && !work.met(1.09));
        assert_eq!(format!("{time}, {work}"), "0.9, >= 1.1");
    }
}
