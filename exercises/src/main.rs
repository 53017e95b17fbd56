//! `cargo run -p exercises`: the exercises on the command line.
//!
//! Plain text and the plain keyboard: no colours, no terminal modes, so it works anywhere
//! and leaves nothing broken behind. Exit status: 0 done or passed, 1 not solved yet, 2
//! wrong usage, 3 something was in the way (a full disk, no cargo).

mod doctor;
mod grade;
mod watch;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use exercises::attempt::{Exercise, Kind};
use exercises::catalogue::{Card, cards};
use exercises::runner::build::{self, Built};
use exercises::runner::places::Places;
use exercises::runner::progress::{HONEST, Progress};
use exercises::runner::{self, LIMIT, Program, Verdict, child, show};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
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

/// What the commands share.
struct App {
    places: Places,
    json: bool,
    own: PathBuf,
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

/// Ctrl-C ends what runs, and then us; a full disk is an error and no signal; a reader who
/// goes away ends us.
fn quiet_signals() {
    extern "C" fn interrupted(_: i32) {
        child::kill_current();
        let line = b"\nstopped; your progress and your files are as they were\n";
        // SAFETY: both calls are async-signal-safe; the buffer is a constant.
        unsafe {
            libc::write(2, line.as_ptr().cast(), line.len());
            libc::_exit(130);
        }
    }
    // SAFETY: the handler is async-signal-safe, and no other thread runs yet.
    unsafe {
        libc::signal(libc::SIGINT, interrupted as *const () as usize);
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
fn known(name: &str) -> Result<(&'static Exercise, &'static Card)> {
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

type Named = (&'static Exercise, &'static Card);

impl App {
    fn progress(&self) -> Result<Progress> {
        Progress::load(&self.places.progress())
    }

    /// Saves, and says so if that fails; the rest of the answer is worth having all the same.
    fn save(&self, progress: &Progress) -> u8 {
        match progress.save(&self.places.progress()) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("exercises: {error:#}");
                3
            }
        }
    }

    fn print(&self, value: &Value) {
        println!("{value:#}");
    }

    /// The first exercise that is not solved.
    fn current(&self, progress: &Progress) -> Option<Named> {
        runner::all()
            .find(|e| !progress.of(e.name).solved)
            .and_then(|e| Some((e, Card::find(e.name)?)))
    }

    fn list(&self) -> Result<u8> {
        let progress = self.progress()?;
        if self.json {
            let rows: Vec<Value> = cards()
                .iter()
                .map(|card| {
                    let entry = progress.of(&card.name);
                    json!({
                        "name": card.name, "stage": card.stage(), "title": card.title,
                        "points": card.points, "minutes": card.minutes, "page": card.page,
                        "solved": entry.solved, "runs": entry.runs, "tries": entry.tries,
                        "hints": entry.hints, "looked": entry.looked,
                    })
                })
                .collect();
            self.print(&Value::Array(rows));
            return Ok(0);
        }
        // So that an editor finds every file that `checks/` names. If this cannot be done,
        // `run` will say why.
        for exercise in runner::all() {
            let _ = self
                .places
                .ensure_work_file(exercise.name, exercise.kind.ending());
        }
        let solved = runner::all().filter(|e| progress.of(e.name).solved).count();
        let total = runner::all().count();
        println!("Stage 1: {solved} of {total} solved\n");
        let current = self.current(&progress).map(|(e, _)| e.name);
        for card in cards() {
            let entry = progress.of(&card.name);
            let mark = match (entry.solved, entry.runs) {
                (true, _) => "[x]",
                (false, 0) => "[ ]",
                (false, _) => "[~]",
            };
            let arrow = if current == Some(card.name.as_str()) {
                ">"
            } else {
                " "
            };
            let tail = match (entry.runs, entry.hints) {
                (0, _) => format!("about {} min", card.minutes),
                (runs, 0) => plural(runs, "run"),
                (runs, hints) => format!("{}, {}", plural(runs, "run"), plural(hints, "hint")),
            };
            println!("{arrow} {mark} {:<18} {:<40} {tail}", card.name, card.title);
        }
        match current {
            Some(name) => println!(
                "\nnext: cargo run -p exercises -- run {name}     (run, watch, hint, why, solution, reset; --help)"
            ),
            None => println!("\nfinished: every exercise of stage 1 is solved"),
        }
        Ok(0)
    }

    fn next(&self) -> Result<u8> {
        match self.current(&self.progress()?) {
            Some(named) => self.run(named),
            None => {
                if self.json {
                    self.print(&json!({"finished": true}));
                } else {
                    println!("finished: every exercise of stage 1 is solved");
                }
                Ok(0)
            }
        }
    }

    /// Builds and judges, without counting. The error text is the compiler's.
    fn examine(&self, exercise: &'static Exercise, file: &Path) -> Result<Result<Verdict, String>> {
        match exercise.kind {
            Kind::Answers(_) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", self.places.shown(file)))?;
                runner::examine_answers(exercise, &text, &self.own).map(Ok)
            }
            Kind::Rust(_) => match build::target(&self.places, exercise.name)? {
                Built::Refused(said) => Ok(Err(said)),
                Built::Program(path) => {
                    let program = Program {
                        path: &path,
                        arguments: &[],
                    };
                    runner::examine(exercise, &program, &self.own, LIMIT).map(Ok)
                }
            },
        }
    }

    fn run(&self, (exercise, card): Named) -> Result<u8> {
        let ending = exercise.kind.ending();
        let fresh = !self.places.work_file(exercise.name, ending).exists();
        let file = self.places.ensure_work_file(exercise.name, ending)?;
        let mut progress = self.progress()?;
        if !self.json {
            println!("{}: {}", card.name, card.title);
            if fresh || progress.of(exercise.name).runs == 0 {
                self.card(card);
            }
            println!("  your file {}\n", self.places.shown(&file));
            if let Kind::Answers(_) = exercise.kind {
                self.print_trace(exercise)?;
            }
        }
        let outcome = self.examine(exercise, &file)?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let starter = self.places.starter(exercise.name, ending);
        let starter = std::fs::read_to_string(starter).unwrap_or_default();
        let fault = match &outcome {
            Ok(Verdict::Passed { .. }) => None,
            Ok(Verdict::Failed(failure)) => Some(failure.fault.rule),
            Err(_) => Some("does-not-build"),
        };
        progress.note_run(exercise.name, &text, &starter, fault);
        let passed = fault.is_none();
        if self.json {
            self.print(&outcome_json(exercise.name, &outcome));
        } else {
            self.explain(exercise, &outcome);
        }
        let saved = self.save(&progress);
        if passed && !self.json {
            match self.current(&progress) {
                Some((next, card)) => {
                    println!("  next: {} ({})", next.name, card.title);
                }
                None => println!("  finished: every exercise of stage 1 is solved"),
            }
        }
        Ok(if saved != 0 { saved } else { u8::from(!passed) })
    }

    fn card(&self, card: &Card) {
        println!();
        for line in card.task.trim().lines() {
            println!("  {line}");
        }
        println!("\n  {}", card.grade);
        for helper in &card.helpers {
            println!("  - {helper}");
        }
        println!();
    }

    fn print_trace(&self, exercise: &'static Exercise) -> Result<()> {
        let case = &exercise.cases[0];
        let seed = case.seeds.first().copied();
        let run = runner::reference(exercise, case, seed, &self.own)?;
        println!("{}", run.text);
        Ok(())
    }

    fn explain(&self, exercise: &Exercise, outcome: &Result<Verdict, String>) {
        match outcome {
            Ok(Verdict::Passed { runs }) => {
                println!(
                    "passed: {} of {}, each as it should be",
                    plural(*runs as u32, "run"),
                    exercise.name
                );
            }
            Ok(Verdict::Failed(failure)) => {
                println!("not yet");
                print!("{}", show::failure(failure, width()));
                println!(
                    "\n  more: cargo run -p exercises -- why {0}    a hint: ... -- hint {0}",
                    exercise.name
                );
            }
            Err(said) => {
                println!("not yet: it does not build\n");
                for line in said.lines() {
                    println!("  {line}");
                }
            }
        }
    }

    fn hint(&self, (exercise, card): Named) -> Result<u8> {
        let mut progress = self.progress()?;
        let entry = progress.entry(exercise.name);
        let again = entry.hints as usize >= card.hints.len();
        entry.hints = (entry.hints + 1).min(card.hints.len() as u32);
        let level = entry.hints as usize;
        if self.json {
            self.print(
                &json!({"name": exercise.name, "level": level, "hint": card.hints[level - 1]}),
            );
        } else {
            println!(
                "hint {level} of {} for {}\n",
                card.hints.len(),
                exercise.name
            );
            println!("  {}", card.hints[level - 1]);
            if again {
                println!(
                    "\n  That was the last one. `solution {}` shows the rest.",
                    exercise.name
                );
            }
        }
        Ok(self.save(&progress))
    }

    fn solution(&self, (exercise, _): Named, now: bool) -> Result<u8> {
        let mut progress = self.progress()?;
        let entry = progress.of(exercise.name);
        if !entry.solved && !now && entry.tries < HONEST {
            println!(
                "{} of {HONEST} honest tries so far (a try is a run of a file that you changed).\nTry again, take a hint (hint {}), or add --show.",
                entry.tries, exercise.name
            );
            return Ok(1);
        }
        let path = self.places.solution(exercise.name, exercise.kind.ending());
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is not there; this copy of the repository has no solutions",
                self.places.shown(&path)
            )
        })?;
        print!("{text}");
        if !entry.solved {
            progress.entry(exercise.name).looked = true;
            return Ok(self.save(&progress));
        }
        Ok(0)
    }

    fn reset(&self, (exercise, _): Named) -> Result<u8> {
        let ending = exercise.kind.ending();
        let file = self.places.work_file(exercise.name, ending);
        if file.exists() {
            let kept = file.with_extension(format!("{ending}.before-reset"));
            std::fs::rename(&file, &kept)
                .with_context(|| format!("cannot move {}", self.places.shown(&file)))?;
            println!("your file is now {}", self.places.shown(&kept));
        }
        let file = self.places.ensure_work_file(exercise.name, ending)?;
        println!("the starter is back in {}", self.places.shown(&file));
        Ok(0)
    }

    fn why(&self, (exercise, card): Named) -> Result<u8> {
        let file = self
            .places
            .ensure_work_file(exercise.name, exercise.kind.ending())?;
        let outcome = self.examine(exercise, &file)?;
        println!("{}: {}\n", card.name, card.title);
        for line in card.why.lines() {
            println!("  {line}");
        }
        println!();
        match &outcome {
            Ok(Verdict::Failed(failure)) => {
                print!("{}", show::failure(failure, width()));
                if let Some(reference) = &failure.reference
                    && !reference.trace.events.is_empty()
                {
                    println!("\n  what each processor ran, expected:");
                    indented(&reference.trace.strip());
                    println!("  and yours:");
                    indented(&failure.run.trace.strip());
                }
                for line in failure.run.trace.totals.iter().take(1) {
                    println!("  yours, in sum: {}", line.trim_start_matches("# "));
                }
            }
            _ => self.explain(exercise, &outcome),
        }
        Ok(u8::from(!matches!(outcome, Ok(Verdict::Passed { .. }))))
    }
}

fn indented(strip: &str) {
    for line in strip.lines() {
        let mut shown: String = line.chars().take(width().saturating_sub(8)).collect();
        if shown.len() < line.len() {
            shown.push_str("...");
        }
        println!("    {shown}");
    }
}

/// What an outcome is for a machine.
fn outcome_json(name: &str, outcome: &Result<Verdict, String>) -> Value {
    match outcome {
        Ok(Verdict::Passed { runs }) => json!({"name": name, "passed": true, "runs": runs}),
        Ok(Verdict::Failed(f)) => json!({
            "name": name, "passed": false, "rule": f.fault.rule, "what": f.fault.what,
            "means": f.fault.meaning, "case": f.case.name, "seed": f.seed,
            "event": f.fault.at.and_then(|at| f.run.trace.events.get(at)).map(|e| e.line.trim()),
            "status": f.run.code, "signal": f.run.signal,
        }),
        Err(said) => json!({"name": name, "passed": false, "rule": "does-not-build", "what": said}),
    }
}

fn plural(n: u32, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    console::Term::stdout()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns).clamp(60, 130))
}

/// The stage's exercises, or a line that says why there are none.
fn stage(stage: u8) -> Result<Vec<Named>> {
    let all: Vec<Named> = runner::all()
        .filter_map(|e| Some((e, Card::find(e.name)?)))
        .filter(|(_, card)| card.stage() == stage)
        .collect();
    if all.is_empty() {
        bail!("stage {stage} has no exercises yet");
    }
    Ok(all)
}
