//! `cargo run -p exercises`: the exercises on the command line.
//!
//! Plain text and the plain keyboard: no colours, no terminal modes, so it works anywhere
//! and leaves nothing broken behind. Exit status: 0 done or passed, 1 not solved yet, 2
//! wrong usage, 3 something was in the way (a full disk, no cargo).

mod app;
mod doctor;
mod grade;
mod out;
mod watch;

use anyhow::{Context, Result};
use app::{App, Named};
use clap::{Parser, Subcommand};
use exercises::catalogue::{Card, cards};
use exercises::runner::places::Places;
use exercises::runner::{self, child};
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
    /// The workspace, if it is not the one that this program was built in.
    #[arg(long, global = true, hide = true)]
    root: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Show all exercises and how far you are. (The default.)
    List,
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
    /// Run a case with the stage's own piece.
    #[command(hide = true)]
    Reference {
        /// The exercise.
        name: String,
        /// The case.
        case: String,
    },
}

fn main() -> ExitCode {
    quiet_signals();
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("exercises: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Ctrl-C, a terminal that goes away and a polite kill end what runs, and then us; a full
/// disk is an error and no signal; a reader who goes away ends us.
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
    if let Some(Command::Reference { name, case }) = &cli.command {
        let exercise = runner::find(name).with_context(|| format!("no exercise {name}"))?;
        exercises::attempt::enter(exercise.name, |_| (exercise.reference)(case));
        return Ok(0);
    }
    let app = App {
        places: Places::new(cli.root)?,
        json: cli.json,
        own: std::env::current_exe().context("this program's own file")?,
    };
    match cli.command.unwrap_or(Command::List) {
        Command::List => app.list(),
        Command::Next => app.next(),
        Command::Run { name } => app.run(known(&name)?),
        Command::Watch { name } => watch::watch(&app, name.as_deref()),
        Command::Hint { name } => app.hint(known(&name)?),
        Command::Solution { name, show } => app.solution(known(&name)?, show),
        Command::Reset { name } => app.reset(known(&name)?),
        Command::Why { name } => app.why(known(&name)?),
        Command::Doctor => doctor::doctor(&app),
        Command::Grade { stage, work } => grade::grade(&app, stage, work),
        Command::Reference { .. } => Ok(0),
    }
}

/// The exercise with this name; otherwise the program ends with a line that helps.
fn known(name: &str) -> Result<Named> {
    if let (Some(exercise), Some(card)) = (runner::find(name), Card::find(name)) {
        return Ok((exercise, card));
    }
    if let Some(planned) = exercises::PLANNED.iter().find(|p| p.name == name) {
        eprintln!(
            "{name} belongs to stage {}, which is not written yet",
            planned.stage
        );
    } else {
        let near: Vec<&str> = cards()
            .iter()
            .map(|c| c.name.as_str())
            .filter(|n| {
                n.contains(name) || name.contains(*n) || n.starts_with(name.get(..3).unwrap_or("?"))
            })
            .collect();
        eprintln!("there is no exercise `{name}`");
        if !near.is_empty() {
            eprintln!("perhaps: {}", near.join(", "));
        }
        eprintln!("all of them: cargo run -p exercises");
    }
    std::process::exit(2);
}
