//! `cargo run -p exercises`: the exercises on the command line.
//!
//! Plain text and the plain keyboard: no colors, no terminal modes, so it works anywhere
//! and leaves nothing broken behind. Exit status: 0 done or passed, 1 not solved yet, 2
//! wrong usage, 3 something was in the way (a full disk, no cargo).

mod app;
mod doctor;
mod grade;
mod out;
mod watch;

use anyhow::{Context, Result};
use app::{App, Usage};
use clap::{Parser, Subcommand};
use exercises::attempt::{Case, JUDGE_VARIABLE};
use exercises::catalogue::{self, Exercise};
use exercises::runner::places::Places;
use exercises::runner::{self, child, keeper};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exercises of the book: take a piece out of the scheduler, write it, and see the
/// trace come right.
#[derive(Parser)]
#[command(name = "exercises", version, infer_subcommands = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Machine-readable output, one JSON value.
    #[arg(long, global = true)]
    json: bool,
    /// The workspace, if it is not the one around this folder.
    #[arg(long, global = true, hide = true)]
    root: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Show all exercises and how far you are. (The default.)
    List {
        /// As the tables of README.md and ARCHITECTURE.md.
        #[arg(long, hide = true)]
        markdown: bool,
    },
    /// Run the first exercise that is not solved yet.
    Next,
    /// Build and run your attempt.
    Run {
        /// The exercise.
        name: String,
    },
    /// Run your attempt each time you save it, and go on to the next one.
    Watch {
        /// The exercise to begin with.
        name: Option<String>,
    },
    /// Show the next hint, from a nudge to nearly the answer.
    Hint {
        /// The exercise.
        name: String,
    },
    /// Show the solution, after three honest tries.
    Solution {
        /// The exercise.
        name: String,
        /// Now.
        #[arg(long)]
        show: bool,
    },
    /// Put the starter back in place of your file. Your file is kept beside it.
    Reset {
        /// The exercise.
        name: String,
    },
    /// Explain what the failing trace shows.
    Why {
        /// The exercise.
        name: String,
    },
    /// Show what this machine can do.
    Doctor,
    /// Judge all of a stage's files, for teachers.
    Grade {
        /// The stage.
        #[arg(long)]
        stage: u8,
        /// The folder with the learner's files. Without it: your own.
        #[arg(long)]
        work: Option<PathBuf>,
    },
    /// Print the trace of a case with the stage's own piece.
    Reference {
        /// The exercise.
        name: String,
        /// The case.
        case: String,
        /// The seed. Without it: the first one with which the case is judged.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// End what a killed runner has left.
    #[command(hide = true, name = keeper::COMMAND)]
    Keeper,
}

fn main() -> ExitCode {
    quiet_signals();
    let json = std::env::args().any(|a| a == "--json");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Not help, which is an error for this parser too.
        Err(error) if json && error.exit_code() != 0 => {
            let text = error.render().to_string();
            let what = text.trim().trim_start_matches("error: ").to_owned();
            return failed(&Usage::new(what).into(), true);
        }
        Err(error) => error.exit(),
    };
    let status = match start(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error, json),
    };
    keeper::dismiss();
    status
}

/// Says what is wrong, and with which status to end: 2 for what the user can write better,
/// 3 for what is in the way.
fn failed(error: &anyhow::Error, json: bool) -> ExitCode {
    let usage = error.downcast_ref::<Usage>();
    let status = if usage.is_some() { 2 } else { 3 };
    match usage {
        _ if json => {
            let mut value = json!({"error": format!("{error:#}"), "status": status});
            if let Some(usage) = usage.filter(|u| !u.near.is_empty()) {
                value["near"] = json!(usage.near);
            }
            out::outln!("{value:#}");
        }
        Some(usage) => {
            eprintln!("{usage}");
            if !usage.near.is_empty() {
                eprintln!("perhaps: {}", usage.near.join(", "));
            }
        }
        None => eprintln!("exercises: {error:#}"),
    }
    ExitCode::from(status)
}

/// Ctrl-C, a terminal that goes away and a polite kill end what runs, and then us; a full
/// disk is an error and no signal; a reader of our output that goes away ends us.
fn quiet_signals() {
    extern "C" fn interrupted(signal: i32) {
        child::kill_current();
        let line = b"\nstopped; your progress and your files are as they were\n";
        // SAFETY: both calls are async-signal-safe; the buffer is a constant.
        unsafe {
            libc::write(2, line.as_ptr().cast(), line.len());
            libc::_exit(128 + signal);
        }
    }
    // SAFETY: the handler is async-signal-safe, and no other thread runs yet.
    unsafe {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::signal(signal, interrupted as *const () as usize);
        }
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

fn start(cli: Cli) -> Result<u8> {
    let own = std::env::current_exe().context("this program's own file")?;
    match &cli.command {
        Some(Command::Keeper) => {
            keeper::keep();
            return Ok(0);
        }
        Some(Command::Reference { name, case, seed }) => {
            let exercise = known(name)?;
            if std::env::var_os(JUDGE_VARIABLE).is_some() {
                // The runner has started this, with the environment of an attempt.
                exercise.reference();
                return Ok(0);
            }
            let case = known_case(exercise, case)?;
            let seed = seed.or_else(|| case.seeds.first().copied());
            keeper::want(&own);
            let run = runner::reference(exercise, case, seed, &own)?;
            out::out!("{}", run.text);
            return Ok(u8::from(run.ended_well().is_err()));
        }
        _ => {}
    }
    keeper::want(&own);
    let app = App {
        places: Places::new(cli.root)?,
        json: cli.json,
        own,
    };
    match cli.command.unwrap_or(Command::List { markdown: false }) {
        Command::List { markdown: true } => {
            out::out!("{}", catalogue::markdown());
            Ok(0)
        }
        Command::List { markdown: false } => app.list(),
        Command::Next => app.next(),
        Command::Run { name } => app.run(known(&name)?),
        Command::Watch { name } => {
            let named = name.map(|name| known(&name)).transpose()?;
            watch::watch(&app, named)
        }
        Command::Hint { name } => app.hint(known(&name)?),
        Command::Solution { name, show } => app.solution(known(&name)?, show),
        Command::Reset { name } => app.reset(known(&name)?),
        Command::Why { name } => app.why(known(&name)?),
        Command::Doctor => doctor::doctor(&app),
        Command::Grade { stage, work } => grade::grade(&app, stage, work),
        Command::Reference { .. } | Command::Keeper => Ok(0),
    }
}

/// The letters and digits of a name: `sticky_flag`, `Sticky-Flag` and the name of the file
/// mean the same exercise.
fn plain(name: &str) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let file = [".rs", ".toml"]
        .iter()
        .find_map(|ending| file.strip_suffix(ending))
        .unwrap_or(file);
    let letters = file.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// The exercise with this name, or a line that helps.
fn known(name: &str) -> Result<&'static Exercise> {
    let wanted = plain(name);
    let mut all = catalogue::all().iter();
    if let Some(exercise) = all.find(|exercise| plain(exercise.name) == wanted) {
        return Ok(exercise);
    }
    let near = |exercise: &&Exercise| {
        let known = plain(exercise.name);
        let begin = wanted.chars().take(3).collect::<String>();
        known.contains(&wanted) || wanted.contains(&known) || known.starts_with(&begin)
    };
    let near = catalogue::all().iter().filter(near);
    let near = near.map(|exercise| exercise.name.to_owned());
    Err(Usage {
        what: format!(
            "there is no exercise `{}` (all of them: cargo run -p exercises)",
            runner::clean::clean(name)
        ),
        near: near.filter(|_| !wanted.is_empty()).collect(),
    }
    .into())
}

fn known_case(exercise: &Exercise, name: &str) -> Result<&'static Case> {
    let case = exercise.cases.iter().find(|c| plain(c.name) == plain(name));
    Ok(case.ok_or_else(|| Usage {
        what: format!(
            "{} has no case `{}`",
            exercise.name,
            runner::clean::clean(name)
        ),
        near: exercise.cases.iter().map(|c| c.name.to_owned()).collect(),
    })?)
}
