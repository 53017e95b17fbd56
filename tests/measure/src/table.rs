//! The table: a line for each metric, with the medians over the clean pairs.

use crate::benchmarks::{Target, target, target_p99};
use crate::locked::Locked;
use crate::pair::{Line, Pair, Side};
use crate::stats::{Summary, short};
use std::fmt;

/// What a metric came to.
enum Outcome {
    /// No clean pair.
    Disturbed,
    /// A program did not do what it should.
    Failed,
    /// There are clean pairs.
    Measured(Figures),
}

/// Medians over the clean pairs: (p50, p99) of each side, and ours divided by Go's.
struct Figures {
    ours: (Summary, Summary),
    go: Option<(Summary, Summary)>,
    ratio: Option<Summary>,
    /// The same of the 99th percentiles.
    ratio_p99: Option<Summary>,
}

/// A line of the table.
struct Metric {
    bench: String,
    metric: String,
    unit: String,
    procs: usize,
    outcome: Outcome,
    tried: usize,
    locked: Option<f64>,
}

/// All lines.
pub struct Table(Vec<Metric>);

impl Table {
    /// Sums up all pairs, in the order in which their benchmarks came first.
    pub fn new(pairs: &[Pair], locked: &Locked) -> Table {
        let mut metrics: Vec<Metric> = Vec::new();
        for pair in pairs {
            for line in [Side::Ours, Side::Go].map(|s| pair.lines(s)).concat() {
                let known = metrics.iter().any(|m| {
                    (&m.bench, &m.metric, m.procs)
                        == (&line.bench, &line.metric, pair.benchmark.procs)
                });
                if known {
                    continue;
                }
                let of_it = || pairs.iter().filter(|p| p.benchmark == pair.benchmark);
                // Counted with one P: with two, whoever looks for work adds to it.
                let locked = (pair.benchmark.procs == 1)
                    .then(|| locked.per_operation(&line.bench, &line.metric))
                    .flatten();
                metrics.push(Metric {
                    procs: pair.benchmark.procs,
                    outcome: outcome(of_it(), &line.bench, &line.metric),
                    tried: of_it().count(),
                    locked,
                    bench: line.bench,
                    metric: line.metric,
                    unit: line.unit,
                });
            }
        }
        Table(metrics)
    }
}

fn outcome<'a>(pairs: impl Iterator<Item = &'a Pair> + Clone, bench: &str, name: &str) -> Outcome {
    let find = |pair: &'a Pair, side| {
        let mut lines = pair.lines(side).iter();
        lines.find(|l| l.bench == bench && l.metric == name)
    };
    let clean = || pairs.clone().filter(|p| p.clean());
    let side = |side| {
        let lines = || clean().filter_map(move |p| find(p, side));
        Some((
            Summary::of(lines().map(|l| l.p50))?,
            Summary::of(lines().map(|l| l.p99))?,
        ))
    };
    let ratio = |of: fn(&Line) -> f64| {
        let both = |p| Some(of(find(p, Side::Ours)?) / of(find(p, Side::Go)?));
        Summary::of(clean().filter_map(both).filter(|r| r.is_finite()))
    };
    match side(Side::Ours) {
        Some(ours) => Outcome::Measured(Figures {
            ours,
            go: side(Side::Go),
            ratio: ratio(|l| l.p50),
            ratio_p99: ratio(|l| l.p99),
        }),
        None if pairs.clone().any(Pair::failed) => Outcome::Failed,
        None => Outcome::Disturbed,
    }
}

const HEAD: [&str; 17] = [
    "bench",
    "metric",
    "unit",
    "Ps",
    "ours p50",
    "± %",
    "p99",
    "Go p50",
    "± %",
    "p99",
    "ratio",
    "± %",
    "target",
    "p99 ratio",
    "target",
    "clean",
    "locked",
];

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_row(f, &HEAD.map(str::to_owned))?;
        // Words to the left, numbers to the right.
        let rules = HEAD.map(|h| match h {
            "bench" | "metric" | "unit" | "target" => "---".to_owned(),
            _ => "--:".to_owned(),
        });
        write_row(f, &rules)?;
        for metric in &self.0 {
            write_row(f, &metric.cells())?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, cells: &[String]) -> fmt::Result {
    writeln!(f, "| {} |", cells.join(" | "))
}

impl Metric {
    fn cells(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let value = |s: Option<Summary>| s.map_or_else(dash, |s| short(s.median));
        let spread = |s: Option<Summary>| match s {
            Some(s) if s.n > 1 => format!("{:.0}", s.spread),
            _ => dash(),
        };
        let side = |s: Option<(Summary, Summary)>| {
            let (p50, p99) = (s.map(|s| s.0), s.map(|s| s.1));
            [value(p50), spread(p50), value(p99)]
        };
        let mut cells = vec![
            self.bench.clone(),
            self.metric.clone(),
            self.unit.clone(),
            self.procs.to_string(),
        ];
        let wanted = target(&self.bench, &self.metric, self.procs);
        let wanted_p99 = target_p99(&self.bench, &self.metric);
        let verdict = |target: Option<Target>, ratio: Option<Summary>| match (target, ratio) {
            (Some(t), Some(r)) if t.met(r.median) => format!("{t} met"),
            (Some(t), Some(_)) => format!("{t} missed"),
            (Some(t), None) => t.to_string(),
            (None, _) => "-".to_owned(),
        };
        let word = match &self.outcome {
            Outcome::Measured(_) => None,
            Outcome::Disturbed => Some("disturbed"),
            Outcome::Failed => Some("failed"),
        };
        if let Outcome::Measured(m) = &self.outcome {
            cells.extend(side(Some(m.ours)));
            cells.extend(side(m.go));
            cells.extend([value(m.ratio), spread(m.ratio)]);
            cells.push(verdict(wanted, m.ratio));
            cells.extend([value(m.ratio_p99), verdict(wanted_p99, m.ratio_p99)]);
            cells.push(format!("{} of {}", m.ours.0.n, self.tried));
        } else {
            let word = word.unwrap_or_default().to_owned();
            let (a, b, c) = (word.clone(), word.clone(), word);
            cells.extend([a, dash(), dash(), b, dash(), dash(), c, dash()]);
            cells.push(verdict(wanted, None));
            cells.extend([dash(), verdict(wanted_p99, None)]);
            cells.push(format!("0 of {}", self.tried));
        }
        cells.push(self.locked.map_or_else(dash, |n| format!("{n:.2}")));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmarks::Benchmark;
    use crate::pair::{Flaw, tests::pair};

    const BOTH: [(Side, f64, f64); 2] = [(Side::Ours, 40.0, 44.0), (Side::Go, 100.0, 120.0)];
    const BENCHMARK: Benchmark = Benchmark {
        program: "yield",
        procs: 1,
    };
    const METRIC: &str = "ns_per_gosched";

    /// The cells of the table's only line.
    fn cells(pairs: &[Pair]) -> Vec<String> {
        let table = Table::new(pairs, &Locked::default());
        assert_eq!(table.0.len(), 1);
        table.0[0].cells()
    }

    #[test]
    fn the_ratio_is_the_median_of_the_pairs_ratios() {
        let second = [(Side::Go, 50.0, 51.0), (Side::Ours, 40.0, 44.0)];
        let third = [(Side::Ours, 30.0, 30.0), (Side::Go, 100.0, 130.0)];
        let all = [
            pair(BENCHMARK, METRIC, &BOTH, None),
            pair(BENCHMARK, METRIC, &second, None),
            pair(BENCHMARK, METRIC, &third, None),
        ];
        // Ratios 0.4, 0.8, 0.3.
        let want = [
            "yield", METRIC, "ns", "1", "40.0", "25", "44.0", "100", "50", "120", "0.400", "125",
            "0.45 met", "0.367", "-", "3 of 3", "-",
        ];
        assert_eq!(cells(&all), want);
    }

    #[test]
    fn what_was_disturbed_is_left_out() {
        let slow = [(Side::Ours, 400.0, 440.0), (Side::Go, 100.0, 120.0)];
        let all = [
            pair(BENCHMARK, METRIC, &slow, Some(Flaw::Busy(30.0))),
            pair(BENCHMARK, METRIC, &BOTH, None),
        ];
        let cells = cells(&all);
        assert_eq!(cells[4..6], ["40.0", "-"]);
        assert_eq!(
            cells[10..16],
            ["0.400", "-", "0.45 met", "0.367", "-", "1 of 2"]
        );
    }

    #[test]
    fn without_a_clean_pair_there_is_no_ratio() {
        let all = [pair(BENCHMARK, METRIC, &BOTH, Some(Flaw::Far(400.0)))];
        let want = [
            "disturbed",
            "-",
            "-",
            "disturbed",
            "-",
            "-",
            "disturbed",
            "-",
            "0.45",
            "-",
            "-",
            "0 of 1",
        ];
        assert_eq!(cells(&all)[4..16], want);
    }

    #[test]
    fn a_failure_is_not_called_a_disturbance() {
        let all = [pair(
            BENCHMARK,
            METRIC,
            &BOTH,
            Some(Flaw::Failed("it ended".into())),
        )];
        assert_eq!(cells(&all)[10], "failed");
    }

    #[test]
    fn ours_alone_has_no_ratio() {
        let cells = cells(&[pair(BENCHMARK, METRIC, &BOTH[..1], None)]);
        assert_eq!(cells[4..8], ["40.0", "-", "44.0", "-"]);
        assert_eq!(cells[10..16], ["-", "-", "0.45", "-", "-", "1 of 1"]);
    }

    #[test]
    fn a_missed_target_is_said() {
        let slow = [(Side::Ours, 46.0, 46.0), (Side::Go, 100.0, 100.0)];
        assert_eq!(
            cells(&[pair(BENCHMARK, METRIC, &slow, None)])[12],
            "0.45 missed"
        );
    }

    #[test]
    fn the_99th_percentile_has_a_target_of_its_own() {
        let benchmark = Benchmark {
            program: "syscall_hot",
            ..BENCHMARK
        };
        let slow = [(Side::Ours, 50.0, 90.0), (Side::Go, 100.0, 100.0)];
        let cells = cells(&[pair(benchmark, "handoff", &slow, None)]);
        assert_eq!(
            cells[10..15],
            ["0.500", "-", "0.6 met", "0.900", "0.6 missed"]
        );
    }

    #[test]
    fn the_same_metric_with_two_ps_is_another_line() {
        let two = Benchmark {
            procs: 2,
            ..BENCHMARK
        };
        let all = [
            pair(BENCHMARK, METRIC, &BOTH, None),
            pair(two, METRIC, &BOTH, None),
        ];
        let text = Table::new(&all, &Locked::default()).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines
                .iter()
                .all(|l| l.matches('|').count() == HEAD.len() + 1)
        );
        assert!(lines[2].contains("| ns | 1 |") && lines[3].contains("| ns | 2 |"));
    }
}
