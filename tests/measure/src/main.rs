//! measure: every benchmark, ours and Go's, in one go: `cargo run --release -p measure`.
//!
//! It builds the programs of the benchmarks, runs ours and Go's back to back, and writes each
//! number to `results.jsonl` and a table to `results.md`. It refuses to compare what was
//! disturbed: see `pair.rs`. `--locked` counts instructions instead: see `locked.rs`.
//! BENCHMARKS.md, at the workspace's root, explains the benchmarks and the table.

mod benchmarks;
mod locked;
mod machine;
mod pair;
mod probe;
mod procfs;
mod programs;
mod stats;
mod table;

use anyhow::{Context, Result};
use benchmarks::{BENCHMARKS, Benchmark};
use clap::Parser;
use machine::Machine;
use pair::{Conditions, Pair, Side};
use programs::{Go, Programs, Toolchain};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use table::Table;

/// Measures every benchmark, ours and Go's in turn, and writes results.jsonl and results.md.
#[derive(Parser)]
#[command(name = "measure")]
struct Args {
    /// Only these benchmarks: yield, spawn, chanping, prologue, many, steal, syscall, timers, latency, echo
    #[arg(long, value_delimiter = ',', value_parser = benchmarks::program)]
    only: Vec<&'static str>,
    /// How often each benchmark is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Go's toolchain: `auto` finds or installs one, `off` measures ours alone
    #[arg(long, value_name = "auto|off|PATH", default_value = "auto")]
    go: Go,
    /// The folder of the results [default: measure, in the workspace's target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How long to wait before a run until the other processes are quiet
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=86400))]
    patience: u32,
    /// How often a disturbed pair is tried in each round
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=99))]
    tries: u32,
    /// Count the locked instructions of each operation by single-stepping; measure no time
    #[arg(long)]
    locked: bool,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) if e.use_stderr() => {
            let text = e.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!("measure: {}", line.trim_start_matches("error: "));
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match run(&args) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("measure: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let out = match &args.out {
        Some(dir) => std::path::absolute(dir)?,
        None => programs::target_dir()?.join("measure"),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let mut chosen: Vec<Benchmark> = BENCHMARKS
        .into_iter()
        .filter(|benchmark| args.only.is_empty() || args.only.contains(&benchmark.program))
        .collect();
    let mut names: Vec<&str> = chosen.iter().map(|benchmark| benchmark.program).collect();
    names.dedup();
    if args.locked {
        return locked::run(&programs::build_ours(&names)?, &out);
    }
    if probe::two_cpus().is_none() {
        eprintln!("measure: skipped: benchmarks with two Ps; this machine has one CPU");
        chosen.retain(|benchmark| benchmark.procs == 1);
    }
    let env = match programs::toolchain(&args.go)? {
        Toolchain::At(env) => Some(env),
        Toolchain::Off => None,
        Toolchain::Missing(why) if args.go == Go::Auto => {
            eprintln!("measure: without Go's side: {why}");
            None
        }
        Toolchain::Missing(why) => {
            eprintln!("measure: {why}");
            return Ok(ExitCode::from(2));
        }
    };
    let ours = programs::build_ours(&names)?;
    let go = env.map(|env| programs::build_go(&names, env)).transpose()?;
    let c = programs::build_c(&names)?;
    measure(args, &chosen, &ours, go.as_ref(), c.as_deref(), &out)
}

fn measure(
    args: &Args,
    benchmarks: &[Benchmark],
    ours: &Programs,
    go: Option<&Programs>,
    c: Option<&Path>,
    out: &Path,
) -> Result<ExitCode> {
    let conditions = Conditions {
        patience: Duration::from_secs(args.patience.into()),
        cpus: probe::two_cpus(),
        c: c.map(Path::to_owned),
    };
    let machine = Machine::look(go.and_then(|p| p.version.as_deref()));
    let locked = locked::recall(ours, out);
    let write_table = |pairs: &[Pair]| {
        let text = format!(
            "# Rows, ours and Go's\n\n{machine}\n\n{}",
            Table::new(pairs, &locked)
        );
        std::fs::write(out.join("results.md"), &text)
            .with_context(|| format!("cannot write into {}", out.display()))?;
        anyhow::Ok(text)
    };
    let mut log = File::create(out.join("results.jsonl"))
        .with_context(|| format!("cannot write into {}", out.display()))?;
    let mut pairs: Vec<Pair> = Vec::new();
    for round in 1..=args.rounds {
        for benchmark in benchmarks {
            for attempt in 1..=args.tries {
                // Who goes first changes with every pair, so that neither is always the one
                // that finds the caches cold.
                let order: &[Side] = match (go, (round + attempt) % 2) {
                    (None, _) => &[Side::Ours],
                    (Some(_), 0) => &[Side::Ours, Side::Go],
                    (Some(_), _) => &[Side::Go, Side::Ours],
                };
                let pair =
                    pair::run(
                        *benchmark,
                        round,
                        attempt,
                        order,
                        &conditions,
                        |side| match side {
                            Side::Ours => ours.path(benchmark.program),
                            Side::Go => go.map_or(Path::new(""), |p| p.path(benchmark.program)),
                        },
                    );
                for line in pair.json() {
                    writeln!(log, "{line}")?;
                }
                let again = pair.worth_repeating();
                pairs.push(pair);
                write_table(&pairs)?;
                if !again {
                    break;
                }
            }
        }
    }
    println!("{}", write_table(&pairs)?);
    println!("The same is in {}", out.join("results.md").display());
    let failed = pairs.iter().any(Pair::failed);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        let all = ["measure"].iter().chain(words);
        match Args::try_parse_from(all) {
            Ok(_) => String::new(),
            Err(e) => {
                assert!(e.use_stderr() && e.exit_code() == 2);
                e.to_string().lines().next().unwrap_or_default().to_owned()
            }
        }
    }

    #[test]
    fn arguments_are_understood() {
        assert_eq!(line(&[]), "");
        assert_eq!(line(&["--only", "yield,many", "--rounds", "2"]), "");
        assert_eq!(line(&["--go", "off", "--locked"]), "");
    }

    #[test]
    fn a_bad_argument_is_one_line() {
        let unknown = line(&["--only", "yield,yeild"]);
        assert!(unknown.contains("there is no benchmark yeild"), "{unknown}");
        assert!(line(&["--rounds", "0"]).contains("0 is not in 1..=99"));
        assert!(line(&["--patience", "soon"]).contains("invalid digit"));
        assert!(line(&["--fast"]).contains("unexpected argument"));
        assert!(line(&["--go", ""]).contains("auto, off, or the path"));
    }
}
