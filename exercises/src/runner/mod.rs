//! The runner: builds an attempt, runs its cases as child processes with limits, judges
//! what they showed, and explains.

pub mod bench;
pub mod build;
pub mod child;
pub mod clean;
pub mod keeper;
pub mod places;
pub mod progress;
pub mod show;
pub mod submission;
pub mod traces;
mod words;

use crate::attempt::{Case, Fault, Kind, Run};
use crate::catalogue::Exercise;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// How an attempt went.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// All cases are right.
    Passed {
        /// How many runs were made.
        runs: usize,
    },
    /// Something is wrong.
    Failed(Box<Failure>),
}

/// What went wrong, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case.
    pub case: &'static Case,
    /// Its seed, in lockstep.
    pub seed: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
    /// The attempt's run.
    pub run: Run,
    /// The same case with the stage's own piece.
    pub reference: Option<Run>,
}

/// A program that runs cases of one exercise.
pub struct Program<'a> {
    /// The file.
    pub path: &'a Path,
    /// What it gets in front of the case's name.
    pub arguments: &'a [&'a str],
}

/// Seconds that one case may take.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Runs all cases of `exercise` with `program`, until one is wrong. `own` is this runner's
/// program, which holds the stage's own pieces.
///
/// # Errors
/// If a program cannot be started.
pub fn examine(
    exercise: &'static Exercise,
    program: &Program<'_>,
    own: &Path,
    limit: Duration,
) -> Result<Verdict> {
    let Kind::Rust(rules) = exercise.kind else {
        anyhow::bail!("{} is no program", exercise.name);
    };
    let mut runs = 0;
    for case in exercise.cases {
        for seed in seeds(case) {
            let run = run_case(program, case, seed, limit)?;
            runs += 1;
            if let Err(fault) = rules.iter().try_for_each(|rule| rule(case, &run)) {
                // The free-running cases have no trace to compare with.
                let reference = match seed.filter(|_| exercise.compare) {
                    Some(_) => Some(reference(exercise, case, seed, own)?),
                    None => None,
                };
                return Ok(Verdict::Failed(Box::new(Failure {
                    case,
                    seed,
                    fault,
                    run,
                    reference,
                })));
            }
        }
    }
    Ok(Verdict::Passed { runs })
}

/// Judges answers about a trace. `own` makes the trace.
///
/// # Errors
/// If a program cannot be started.
pub fn examine_answers(exercise: &'static Exercise, text: &str, own: &Path) -> Result<Verdict> {
    let Kind::Answers(rules) = exercise.kind else {
        anyhow::bail!("{} has no answers", exercise.name);
    };
    let case = &exercise.cases[0];
    let seed = seeds(case)[0];
    let run = reference(exercise, case, seed, own)?;
    let judged = match text.parse::<toml::Table>() {
        Ok(answers) => rules.iter().try_for_each(|rule| rule(&run.trace, &answers)),
        Err(error) => Err(Fault::new(
            "not-toml",
            format!("The file cannot be read: {}", error.to_string().trim()),
            "Each answer is a line of the form key = \"value\".",
        )),
    };
    Ok(match judged {
        Ok(()) => Verdict::Passed { runs: 1 },
        Err(fault) => Verdict::Failed(Box::new(Failure {
            case,
            seed,
            fault,
            run,
            reference: None,
        })),
    })
}

fn seeds(case: &Case) -> Vec<Option<u64>> {
    match case.seeds {
        [] => vec![None],
        seeds => seeds.iter().copied().map(Some).collect(),
    }
}

/// The case with the stage's own piece. The header of its trace names the command that
/// prints it again.
///
/// # Errors
/// If this program cannot be started.
pub fn reference(
    exercise: &'static Exercise,
    case: &'static Case,
    seed: Option<u64>,
    own: &Path,
) -> Result<Run> {
    let program = Program {
        path: own,
        arguments: &["reference", exercise.name],
    };
    let mut run = run_case(&program, case, seed, LIMIT)?;
    if let Some(seed) = seed {
        let again = format!(
            "cargo run -q -p exercises -- reference {} '{}' --seed {seed}",
            exercise.name, case.name
        );
        run.text = with_replay(&run.text, &again);
    }
    Ok(run)
}

/// The trace with another command in its header: its own is that of the child process, which
/// only the runner can start.
fn with_replay(text: &str, command: &str) -> String {
    text.lines()
        .map(|line| match line.starts_with("# replay: ") {
            true => format!("# replay: {command}\n"),
            false => format!("{line}\n"),
        })
        .collect()
}

fn run_case(program: &Program<'_>, case: &Case, seed: Option<u64>, limit: Duration) -> Result<Run> {
    child::run(program, case, seed, limit)
        .with_context(|| format!("cannot run {}", program.path.display()))
}
