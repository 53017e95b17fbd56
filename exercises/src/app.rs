//! The commands, but for `watch`, `grade` and `doctor`, which have files of their own.

use crate::out::{out, outln};
use anyhow::{Context, Result};
use exercises::attempt::Kind;
use exercises::catalogue::{self, Exercise};
use exercises::runner::bench::Bench;
use exercises::runner::build::Built;
use exercises::runner::places::Places;
use exercises::runner::progress::{HONEST, Progress};
use exercises::runner::{self, LIMIT, Program, Verdict, show, submission};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What the commands share.
pub struct App {
    /// Where things lie.
    pub places: Places,
    /// Whether to print JSON.
    pub json: bool,
    /// This program, which holds the stage's own pieces.
    pub own: PathBuf,
}

/// A wish that cannot be understood: status 2.
#[derive(Debug)]
pub struct Usage {
    /// What is wrong with it.
    pub what: String,
    /// Names that may have been meant.
    pub near: Vec<String>,
}

impl Usage {
    pub fn new(what: impl Into<String>) -> Usage {
        Usage {
            what: what.into(),
            near: Vec::new(),
        }
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Usage {}

impl App {
    pub fn progress(&self) -> Result<Progress> {
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

    pub fn print(&self, value: &Value) {
        outln!("{value:#}");
    }

    /// The first exercise that is not solved.
    pub fn current(&self, progress: &Progress) -> Option<&'static Exercise> {
        let mut all = catalogue::all().iter();
        all.find(|exercise| !progress.of(exercise.name).solved)
    }

    pub fn list(&self) -> Result<u8> {
        let progress = self.progress()?;
        if self.json {
            let rows = catalogue::all().iter().map(|exercise| {
                let (card, entry) = (&exercise.card, progress.of(exercise.name));
                json!({
                    "name": card.name, "stage": card.stage, "title": card.title,
                    "points": card.points, "minutes": card.minutes, "page": card.page,
                    "solved": entry.solved, "runs": entry.runs, "tries": entry.tries,
                    "hints": entry.hints, "looked": entry.looked,
                })
            });
            self.print(&Value::Array(rows.collect()));
            return Ok(0);
        }
        self.places.ensure_all();
        let current = self.current(&progress).map(|exercise| exercise.name);
        outln!("[x] solved   [~] tried, not solved yet   [ ] not tried yet   > the next one\n");
        let stage = |exercise: &Exercise| exercise.card.stage;
        for (i, here) in catalogue::all()
            .chunk_by(|a, b| stage(a) == stage(b))
            .enumerate()
        {
            let solved = here.iter().filter(|e| progress.of(e.name).solved).count();
            outln!(
                "{}Stage {}: {solved} of {} solved\n",
                if i == 0 { "" } else { "\n" },
                stage(&here[0]),
                here.len()
            );
            for exercise in here {
                let arrow = if current == Some(exercise.name) {
                    ">"
                } else {
                    " "
                };
                let line = format!("{arrow} {}", line(exercise, &progress));
                outln!("{}", line.trim_end());
            }
        }
        match current {
            Some(name) => outln!(
                "\nnext: cargo run -p exercises -- run {name}\nalso: watch, hint, why, solution, reset, doctor; --help says more"
            ),
            None => outln!("\nfinished: every exercise is solved"),
        }
        Ok(0)
    }

    pub fn next(&self) -> Result<u8> {
        match self.current(&self.progress()?) {
            Some(exercise) => self.run(exercise),
            None => {
                if self.json {
                    self.print(&json!({"finished": true}));
                } else {
                    outln!("finished: every exercise is solved");
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
            Kind::Rust(_) => {
                let bench = Bench::new(&self.places)?;
                match bench.own(exercise, file)? {
                    Built::Refused(said) => Ok(Err(said)),
                    Built::Program(path) => {
                        let program = Program {
                            path: &path,
                            arguments: &[exercise.name],
                        };
                        runner::examine(exercise, &program, &self.own, LIMIT).map(Ok)
                    }
                }
            }
        }
    }

    pub fn run(&self, exercise: &'static Exercise) -> Result<u8> {
        let fresh = !self.places.work_file(exercise).exists();
        let file = self.places.ensure_work_file(exercise)?;
        if !self.json {
            self.introduce(exercise, &file, fresh)?;
        }
        let outcome = self.examine(exercise, &file)?;
        // Not earlier: another terminal may be watching.
        let mut progress = self.progress()?;
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let starter = self.places.given(exercise, "starter");
        let starter = std::fs::read_to_string(starter).unwrap_or_default();
        let fault = match &outcome {
            Ok(Verdict::Passed { .. }) => None,
            Ok(Verdict::Failed(failure)) => Some(failure.fault.rule),
            Err(_) => Some("does-not-build"),
        };
        progress.note_run(exercise.name, &text, &starter, fault);
        let passed = fault.is_none();
        // What passes here and not there should not come as a surprise.
        let refused = submission::inspect(exercise, &text).err();
        if self.json {
            let mut value = outcome_json(exercise.name, &outcome);
            if let Some(why) = &refused {
                value["refused"] = json!(why);
            }
            self.print(&value);
        } else {
            self.explain(exercise, &outcome);
            if let Some(why) = refused.filter(|_| passed) {
                outln!("  note: `grade` would refuse this: {why}");
            }
        }
        let saved = self.save(&progress);
        if passed && !self.json {
            match self.current(&progress) {
                Some(next) => outln!("  next: {} ({})", next.name, next.card.title),
                None => outln!("  finished: every exercise is solved"),
            }
        }
        Ok(if saved != 0 { saved } else { u8::from(!passed) })
    }

    /// What is said before a run: the title, the card of an exercise that was not run yet, the
    /// trace that the answers are about.
    fn introduce(&self, exercise: &'static Exercise, file: &Path, fresh: bool) -> Result<()> {
        let card = &exercise.card;
        outln!("{}: {}", card.name, card.title);
        if fresh || self.progress()?.of(exercise.name).runs == 0 {
            outln!();
            text("  ", &card.task);
            outln!();
            text("  ", &card.asks());
            for helper in &card.helpers {
                text("  - ", helper);
            }
            outln!();
        }
        outln!("  your file {}\n", self.places.shown(file));
        match exercise.kind {
            Kind::Answers(_) => self.print_trace(exercise),
            Kind::Rust(_) => Ok(()),
        }
    }

    fn print_trace(&self, exercise: &'static Exercise) -> Result<()> {
        let case = &exercise.cases[0];
        let seed = case.seeds.first().copied();
        let run = runner::reference(exercise, case, seed, &self.own)?;
        outln!("{}", run.text);
        Ok(())
    }

    fn explain(&self, exercise: &Exercise, outcome: &Result<Verdict, String>) {
        match outcome {
            Ok(Verdict::Passed { runs }) => {
                outln!(
                    "passed: {} of {}, each as it should be",
                    plural(*runs as u32, "run"),
                    exercise.name
                );
            }
            Ok(Verdict::Failed(failure)) => {
                outln!("not yet");
                out!("{}", show::failure(failure, width()));
                outln!(
                    "\n  more:   cargo run -p exercises -- why {0}\n  a hint: cargo run -p exercises -- hint {0}",
                    exercise.name
                );
            }
            Err(said) => {
                outln!("not yet: it does not build\n");
                for line in said.lines() {
                    outln!("  {line}");
                }
            }
        }
    }

    pub fn hint(&self, exercise: &'static Exercise) -> Result<u8> {
        let card = &exercise.card;
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
            outln!(
                "hint {level} of {} for {}\n",
                card.hints.len(),
                exercise.name
            );
            text("  ", &card.hints[level - 1]);
            if again {
                let opens = match progress.of(exercise.name) {
                    e if e.is_open() => "shows the rest".to_owned(),
                    e => format!(
                        "opens after {HONEST} honest tries ({} so far), or with --show",
                        e.tries
                    ),
                };
                outln!(
                    "\n  That was the last one. `solution {}` {opens}.",
                    exercise.name
                );
            }
        }
        Ok(self.save(&progress))
    }

    pub fn solution(&self, exercise: &'static Exercise, now: bool) -> Result<u8> {
        let mut progress = self.progress()?;
        let entry = progress.of(exercise.name);
        if !entry.is_open() && !now {
            if self.json {
                self.print(&json!({"name": exercise.name, "tries": entry.tries, "needed": HONEST}));
                return Ok(1);
            }
            outln!(
                "{} of {HONEST} honest tries so far (a try is a run of a file that you changed).\nTry again, take a hint (hint {}), or add --show.",
                entry.tries,
                exercise.name
            );
            return Ok(1);
        }
        let path = self.places.given(exercise, "solution");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is not there; this copy of the repository has no solutions",
                self.places.shown(&path)
            )
        })?;
        if self.json {
            self.print(&json!({"name": exercise.name, "solution": text}));
        } else {
            out!("{text}");
        }
        if !entry.solved {
            progress.entry(exercise.name).looked = true;
            return Ok(self.save(&progress));
        }
        Ok(0)
    }

    pub fn reset(&self, exercise: &'static Exercise) -> Result<u8> {
        let ending = exercise.kind.ending();
        let file = self.places.work_file(exercise);
        let starter = self.places.given(exercise, "starter");
        let same = std::fs::read(&file).ok() == std::fs::read(&starter).ok();
        let mut kept = None;
        if file.symlink_metadata().is_ok() && !same {
            // Never over one that was kept before.
            let to = (1..)
                .map(|n| file.with_extension(format!("{ending}.before-reset-{n}")))
                .find(|to| to.symlink_metadata().is_err())
                .context("a name to keep your file under")?;
            std::fs::rename(&file, &to)
                .with_context(|| format!("cannot move {}", self.places.shown(&file)))?;
            kept = Some(self.places.shown(&to));
        }
        let file = self.places.ensure_work_file(exercise)?;
        let file = self.places.shown(&file);
        if self.json {
            self.print(&json!({"name": exercise.name, "file": file, "kept": kept}));
            return Ok(0);
        }
        if let Some(kept) = kept {
            outln!("your file is now {kept}");
        }
        outln!("the starter is in {file}");
        Ok(0)
    }

    pub fn why(&self, exercise: &'static Exercise) -> Result<u8> {
        let card = &exercise.card;
        let file = self.places.ensure_work_file(exercise)?;
        let outcome = self.examine(exercise, &file)?;
        if self.json {
            let mut value = outcome_json(exercise.name, &outcome);
            value["why"] = json!(card.why);
            self.print(&value);
            return Ok(u8::from(!passed(&outcome)));
        }
        outln!("{}: {}\n", card.name, card.title);
        text("  ", &card.why);
        outln!();
        match &outcome {
            Ok(Verdict::Failed(failure)) => {
                out!("{}", show::failure(failure, width()));
                if let Some(reference) = &failure.reference
                    && !reference.trace.events.is_empty()
                {
                    outln!("\n  what each processor ran, expected:");
                    indented(&reference.trace.strip());
                    outln!("  and yours:");
                    indented(&failure.run.trace.strip());
                }
                for line in failure.run.trace.totals.iter().take(1) {
                    outln!("  yours, in sum: {}", line.trim_start_matches("# "));
                }
            }
            _ => self.explain(exercise, &outcome),
        }
        Ok(u8::from(!passed(&outcome)))
    }
}

fn passed(outcome: &Result<Verdict, String>) -> bool {
    matches!(outcome, Ok(Verdict::Passed { .. }))
}

/// An exercise in the list, without the arrow.
fn line(exercise: &Exercise, progress: &Progress) -> String {
    let (card, entry) = (&exercise.card, progress.of(exercise.name));
    let mark = match (entry.solved, entry.runs) {
        (true, _) => "[x]",
        (false, 0) => "[ ]",
        (false, _) => "[~]",
    };
    let tail = match (entry.runs, entry.hints) {
        (0, _) => format!("about {} min", card.minutes),
        (runs, 0) => plural(runs, "run"),
        (runs, hints) => format!("{}, {}", plural(runs, "run"), plural(hints, "hint")),
    };
    // In a narrow terminal a line says what it can.
    let title = if width() < 82 { "" } else { &card.title };
    let room = if title.is_empty() { 0 } else { 40 };
    format!("{mark} {:<18} {title:<room$} {tail}", card.name)
}

/// A text of the catalogue, folded to the terminal, behind `mark`.
fn text(mark: &str, text: &str) {
    out!("{}", show::text(mark, text, width()));
}

fn indented(strip: &str) {
    for line in strip.lines() {
        let mut shown: String = line.chars().take(width() - 8).collect();
        if shown.len() < line.len() {
            shown.push_str("...");
        }
        outln!("    {shown}");
    }
}

/// What an outcome is for a machine.
pub fn outcome_json(name: &str, outcome: &Result<Verdict, String>) -> Value {
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
pub fn width() -> usize {
    console::Term::stdout()
        .size_checked()
        .map_or(100, |(_, columns)| usize::from(columns).clamp(40, 130))
}
