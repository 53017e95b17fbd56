//! Ours and Go's, one after the other; and whether the two may be compared.
//!
//! A run counts only if the machine was ours: before it, the other processes must be quiet,
//! and while it runs they must stay so. A run with two Ps counts only if the two CPUs were
//! near each other before and after. And a pair counts only if the clock turned equally fast
//! for both. If one run of a pair does not count, neither does the other: half a minute later
//! is another machine.

use crate::benchmarks::Benchmark;
use crate::probe::{self, NEAR_NS};
use crate::procfs::{self, Others, Snapshot};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Others may use this much of one CPU while a benchmark runs, in percent...
const BUSY_PERCENT: f64 = 6.0;
/// ...or this much time in all. Less than that are only a few ticks of the clock.
const BUSY_MS: u64 = 40;
/// The clock's fastest and slowest step around the two runs of a pair may differ by this.
const CLOCK_PERCENT: f64 = 10.0;
/// No benchmark takes longer.
const LIMIT: Duration = Duration::from_secs(300);

/// Whose program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Safepoint's.
    Ours,
    /// Go's.
    Go,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Side::Ours => "ours",
            Side::Go => "go",
        })
    }
}

/// When a run counts.
pub struct Conditions {
    /// How long to wait for quiet.
    pub patience: Duration,
    /// The program in C that both programs of a benchmark may name beside their own figures.
    pub c: Option<PathBuf>,
    /// The CPUs that two Ps will use.
    pub cpus: Option<[usize; 2]>,
}

/// One metric's line, as a program printed it.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The name of the bench.
    pub bench: String,
    /// What was measured.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The median of the program's own samples.
    pub p50: f64,
    /// Their 99th percentile.
    pub p99: f64,
    all: Map<String, Value>,
}

impl Line {
    fn parse(text: &str) -> Option<Line> {
        let all: Map<String, Value> = serde_json::from_str(text).ok()?;
        let word = |key: &str| Some(all.get(key)?.as_str()?.to_owned());
        let number = |key: &str| all.get(key)?.as_f64();
        Some(Line {
            bench: word("bench")?,
            metric: word("metric")?,
            unit: word("unit")?,
            p50: number("p50")?,
            p99: number("p99")?,
            all,
        })
    }
}

/// Why a run does not count.
#[derive(Clone, PartialEq, Debug)]
pub enum Flaw {
    /// Other processes used this much of one CPU, in percent.
    Busy(f64),
    /// The CPUs were this many nanoseconds from each other.
    Far(f64),
    /// The clock changed its speed by this much during the pair, in percent.
    Clock(f64),
    /// The program did not do what it should.
    Failed(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Busy(percent) => write!(f, "disturbed: others used {percent:.0} % of a CPU"),
            Flaw::Far(ns) => write!(f, "disturbed: the CPUs are far apart, {ns:.0} ns"),
            Flaw::Clock(percent) => {
                write!(f, "disturbed: the clock changed by {percent:.0} %")
            }
            Flaw::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// One run of one program.
pub struct Run {
    side: Side,
    lines: Vec<Line>,
    seconds: f64,
    others: Others,
    distance: [Option<f64>; 2],
    clock: [f64; 2],
    flaw: Option<Flaw>,
}

/// Runs that are compared with each other.
pub struct Pair {
    /// Which benchmark.
    pub benchmark: Benchmark,
    round: u32,
    attempt: u32,
    runs: Vec<Run>,
}

impl Pair {
    /// The lines of one side.
    pub fn lines(&self, side: Side) -> &[Line] {
        self.runs
            .iter()
            .find(|run| run.side == side)
            .map_or(&[], |run| &run.lines)
    }

    /// Whether the pair may be compared.
    pub fn clean(&self) -> bool {
        self.runs.iter().all(|run| run.flaw.is_none())
    }

    /// Whether a program did not do what it should.
    pub fn failed(&self) -> bool {
        self.runs
            .iter()
            .any(|run| matches!(run.flaw, Some(Flaw::Failed(_))))
    }

    /// Whether another try may help.
    pub fn worth_repeating(&self) -> bool {
        !self.clean() && !self.failed()
    }

    /// A line of `results.jsonl` for each metric, and one for a run that printed none.
    pub fn json(&self) -> Vec<String> {
        let mut all = Vec::new();
        for run in &self.runs {
            let mut about = Map::new();
            let mut put = |key: &str, value: Value| about.insert(key.to_owned(), value);
            put("side", run.side.to_string().into());
            put("program", self.benchmark.program.into());
            put("procs", self.benchmark.procs.into());
            put("round", self.round.into());
            put("attempt", self.attempt.into());
            put("clean", run.flaw.is_none().into());
            put("flaw", run.flaw.as_ref().map(Flaw::to_string).into());
            put("seconds", run.seconds.into());
            put("others_ms", run.others.ms.into());
            put("others_percent", run.others.percent.into());
            put("stolen_ms", run.others.stolen_ms.into());
            put("cpu_distance_ns", run.distance.to_vec().into());
            put("clock_step_ns", run.clock.to_vec().into());
            if run.lines.is_empty() {
                all.push(Value::Object(about.clone()).to_string());
            }
            for line in &run.lines {
                let mut whole = line.all.clone();
                whole.extend(about.clone());
                all.push(Value::Object(whole).to_string());
            }
        }
        all
    }
}

/// Runs a pair, in this order; the second run is left out if the first does not count.
pub fn run<'a>(
    benchmark: Benchmark,
    round: u32,
    attempt: u32,
    order: &[Side],
    conditions: &Conditions,
    program: impl Fn(Side) -> &'a Path,
) -> Pair {
    let mut runs = Vec::new();
    let mut clock = Vec::new();
    for &side in order {
        let mut run = judged(benchmark, side, program(side), conditions);
        clock.extend(run.clock);
        run.flaw = run.flaw.or_else(|| changed(&clock).map(Flaw::Clock));
        let verdict = run
            .flaw
            .as_ref()
            .map_or("clean".to_owned(), Flaw::to_string);
        eprintln!(
            "round {round} {:8} p={} {side:4} {:5.1} s  {verdict}",
            benchmark.program, benchmark.procs, run.seconds
        );
        let stop = run.flaw.is_some();
        runs.push(run);
        if stop {
            break;
        }
    }
    Pair {
        benchmark,
        round,
        attempt,
        runs,
    }
}

/// Waits until the machine is ours, runs, and looks whether it stayed so.
fn judged(benchmark: Benchmark, side: Side, program: &Path, conditions: &Conditions) -> Run {
    let deadline = Instant::now() + conditions.patience;
    let distance = || {
        let cpus = conditions.cpus.filter(|_| benchmark.procs > 1)?;
        probe::round_trip_ns(cpus)
    };
    let far = |ns: &Option<f64>| ns.filter(|ns| *ns >= NEAR_NS);
    // Whoever is out of patience runs all the same: the others may have ended just now, and
    // the look afterwards decides.
    let before = loop {
        procfs::wait_quiet(deadline);
        let ns = distance();
        if far(&ns).is_none() || Instant::now() >= deadline {
            break ns;
        }
    };
    let first = probe::step_ns();
    let snapshot = Snapshot::take();
    let began = Instant::now();
    let result = run_program(program, benchmark.procs, conditions.c.as_deref());
    let seconds = began.elapsed().as_secs_f64();
    let others = snapshot.elapsed();
    let clock = [first, probe::step_ns()];
    let distance = [before, distance()];
    let (lines, failure) = match result {
        Ok(lines) => (lines, None),
        Err(e) => (Vec::new(), Some(Flaw::Failed(format!("{e:#}")))),
    };
    let flaw = failure
        .or_else(|| (!tolerable(others)).then_some(Flaw::Busy(others.percent)))
        .or_else(|| distance.iter().find_map(far).map(Flaw::Far));
    Run {
        side,
        lines,
        seconds,
        others,
        distance,
        clock,
        flaw,
    }
}

/// By how many percent the clock changed, if that is too much.
fn changed(steps: &[f64]) -> Option<f64> {
    let most = steps.iter().copied().fold(0.0, f64::max);
    let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
    let percent = (most / least - 1.0) * 100.0;
    (percent > CLOCK_PERCENT).then_some(percent)
}

/// Whether the other processes left the run alone.
fn tolerable(others: Others) -> bool {
    others.percent < BUSY_PERCENT || others.ms < BUSY_MS
}

/// Runs a benchmark's program in a clean environment and returns what it printed.
fn run_program(program: &Path, procs: usize, c: Option<&Path>) -> Result<Vec<Line>> {
    let mut command = Command::new(program);
    clean(&mut command);
    command.envs(c.map(|c| ("BENCH_C", c)));
    let mut child = command
        .env("BENCH_PROCS", procs.to_string())
        .env("GOMAXPROCS", procs.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    let watch = Watch::kill_after(LIMIT, child.id());
    let mut text = String::new();
    // Nothing polls while a benchmark runs: this thread sleeps until the program has ended.
    let read = match child.stdout.take() {
        Some(mut out) => out.read_to_string(&mut text),
        None => Ok(0),
    };
    let status = child.wait().context("it cannot be waited for")?;
    drop(watch);
    read.context("it wrote what is not text")?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    let lines: Option<Vec<Line>> = text.lines().map(Line::parse).collect();
    match lines {
        Some(lines) if !lines.is_empty() => Ok(lines),
        _ => bail!("it did not print one line of JSON for each metric"),
    }
}

/// Takes the switches of both runtimes out of a program's environment.
pub fn clean(command: &mut Command) {
    let go = ["GODEBUG", "GOGC", "GOMEMLIMIT", "GOTRACEBACK", "GOMAXPROCS"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SAFEPOINT_") || text.starts_with("BENCH_") || go.contains(&&*text) {
            command.env_remove(name);
        }
    }
}

/// Kills a process that takes too long, unless this is dropped before.
pub struct Watch(#[expect(dead_code, reason = "dropping it is the message")] Sender<()>);

impl Watch {
    /// Starts to watch.
    pub fn kill_after(limit: Duration, pid: u32) -> Watch {
        let (alive, over) = channel();
        std::thread::spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let pid = nix::unistd::Pid::from_raw(pid as i32);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
            }
        });
        Watch(alive)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const LINE: &str = r#"{"bench":"yield","metric":"ns","unit":"ns","procs":1,"min":1,"p50":2.5,"p99":3,"max":4,"mean":2,"n":9}"#;
    const BENCHMARK: Benchmark = Benchmark {
        program: "yield",
        procs: 1,
    };

    /// A pair as the table sees it: (side, p50, p99) of one metric, and a flaw of the last.
    pub fn pair(
        benchmark: Benchmark,
        metric: &str,
        sides: &[(Side, f64, f64)],
        flaw: Option<Flaw>,
    ) -> Pair {
        let last = sides.len() - 1;
        let run = |(i, &(side, p50, p99)): (usize, &(Side, f64, f64))| Run {
            side,
            lines: vec![Line {
                bench: benchmark.program.to_owned(),
                metric: metric.to_owned(),
                unit: "ns".to_owned(),
                p50,
                p99,
                all: Map::new(),
            }],
            seconds: 1.0,
            others: others(0, 0.0),
            distance: [None; 2],
            clock: [1.0; 2],
            flaw: flaw.clone().filter(|_| i == last),
        };
        Pair {
            benchmark,
            round: 1,
            attempt: 1,
            runs: sides.iter().enumerate().map(run).collect(),
        }
    }

    fn others(ms: u64, percent: f64) -> Others {
        Others {
            ms,
            percent,
            stolen_ms: 0,
        }
    }

    #[test]
    fn a_line_needs_its_fields() {
        let line = Line::parse(LINE).unwrap();
        assert_eq!(
            (line.bench.as_str(), line.p50, line.p99),
            ("yield", 2.5, 3.0)
        );
        assert_eq!(Line::parse(r#"{"bench":"yield"}"#), None);
        assert_eq!(Line::parse("hello"), None);
    }

    #[test]
    fn few_ticks_or_a_small_share_are_tolerable() {
        assert!(tolerable(others(30, 60.0)));
        assert!(tolerable(others(500, 5.9)));
        assert!(!tolerable(others(40, 6.0)));
    }

    #[test]
    fn a_clock_that_changes_is_seen() {
        assert_eq!(changed(&[1.0, 1.05, 1.02]), None);
        let percent = changed(&[1.0, 1.0, 1.5]).expect("half as much again");
        assert!((percent - 50.0).abs() < 1e-9, "{percent}");
    }

    #[test]
    fn a_pair_is_clean_if_both_are() {
        let both = [(Side::Ours, 1.0, 1.0), (Side::Go, 2.0, 2.0)];
        let good = pair(BENCHMARK, "ns", &both, None);
        assert!(good.clean() && !good.worth_repeating());
        let busy = pair(BENCHMARK, "ns", &both, Some(Flaw::Busy(50.0)));
        assert!(!busy.clean() && busy.worth_repeating() && !busy.failed());
        let broken = pair(BENCHMARK, "ns", &both, Some(Flaw::Failed("no".into())));
        assert!(broken.failed() && !broken.worth_repeating());
    }

    #[test]
    fn the_log_says_what_was_wrong() {
        let mut busy = pair(
            BENCHMARK,
            "ns",
            &[(Side::Ours, 1.0, 1.0)],
            Some(Flaw::Far(400.0)),
        );
        busy.runs[0].lines = vec![Line::parse(LINE).unwrap()];
        let log = busy.json();
        let value: Value = serde_json::from_str(&log[0]).unwrap();
        assert_eq!(log.len(), 1);
        assert_eq!(value["p50"], 2.5);
        assert_eq!(value["side"], "ours");
        assert_eq!(value["clean"], false);
        assert_eq!(value["flaw"], "disturbed: the CPUs are far apart, 400 ns");
        busy.runs[0].lines.clear();
        assert_eq!(busy.json().len(), 1);
    }

    #[test]
    fn what_a_program_does_wrong_is_said() {
        let error =
            |path: &str| format!("{:#}", run_program(Path::new(path), 1, None).unwrap_err());
        assert!(error("/no/such/program").contains("cannot be started"));
        assert!(error("/bin/false").contains("exit status: 1"));
        assert!(error("/bin/true").contains("one line of JSON"));
    }
}
