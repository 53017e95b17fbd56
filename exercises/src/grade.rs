//! `grade`: a stage's files judged, for a teacher's CI. Only the files themselves are taken
//! from the learner's folder; the checks are those of the repository that this program was built in.

use crate::app::{App, Usage, outcome_json};
use crate::out::outln;
use anyhow::{Context, Result};
use exercises::attempt::Kind;
use exercises::catalogue::{self, Exercise};
use exercises::runner::bench::Bench;
use exercises::runner::build::Built;
use exercises::runner::places::Places;
use exercises::runner::{self, LIMIT, Program, Verdict, submission};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The command. Status 0: all points; 1: some are missing; 2: no such stage or folder.
pub fn grade(app: &App, number: u8, work: Option<PathBuf>) -> Result<u8> {
    let exercises: Vec<_> = catalogue::all()
        .iter()
        .filter(|exercise| exercise.card.stage == number)
        .collect();
    if exercises.is_empty() {
        return Err(Usage::new(format!("stage {number} has no exercises yet")).into());
    }
    if let Some(work) = work.as_ref().filter(|w| !w.is_dir()) {
        let what = format!("{}: there is no such folder", work.display());
        return Err(Usage::new(what).into());
    }
    if !app.json && Bench::is_busy(&app.places) {
        eprintln!("another grader works in this checkout; the files take turns");
    }
    let work = work.unwrap_or_else(|| app.places.work.clone());
    let bench = Bench::new(&app.places)?;
    bench.prepare()?;
    let mut rows: Vec<Value> = Vec::new();
    let (mut points, mut of) = (0, 0);
    for exercise in exercises {
        let card = &exercise.card;
        let file = work.join(Places::file_name(exercise.name, exercise.kind.ending()));
        let mut row = judge(app, &bench, exercise, &file)?;
        let passed = row["passed"] == true;
        let got = if passed { card.points } else { 0 };
        points += got;
        of += card.points;
        row["points"] = json!(got);
        row["of"] = json!(card.points);
        if !app.json {
            let why = row["what"].as_str().and_then(|w| w.lines().next());
            let line = format!(
                "{:<18} {got:>3} of {:>3}  {}",
                exercise.name,
                card.points,
                why.unwrap_or("")
            );
            outln!("{}", line.trim_end());
        }
        rows.push(row);
    }
    if app.json {
        app.print(&json!({"stage": number, "points": points, "of": of, "exercises": rows}));
    } else {
        outln!("{:<18} {points:>3} of {of:>3}", "together");
    }
    Ok(u8::from(points < of))
}

fn judge(app: &App, bench: &Bench<'_>, exercise: &'static Exercise, file: &Path) -> Result<Value> {
    let refused = |rule: &str, what: String| {
        Ok(json!({"name": exercise.name, "passed": false, "rule": rule, "what": what}))
    };
    let text = match submission::read(&app.places, file) {
        Ok(text) => text,
        Err(why) if why == submission::MISSING => return refused("missing", why),
        Err(why) => return refused("refused", format!("the file {why}")),
    };
    if let Err(why) = submission::inspect(exercise, &text) {
        return refused("refused", why);
    }
    let outcome: Result<Verdict, String> = match exercise.kind {
        Kind::Answers(_) => Ok(runner::examine_answers(exercise, &text, &app.own)?),
        Kind::Rust(_) => match bench.handed_in(exercise, &text).context("grading")? {
            Built::Refused(said) => Err(said),
            Built::Program(path) => {
                let program = Program {
                    path: &path,
                    arguments: &[exercise.name],
                };
                Ok(runner::examine(exercise, &program, &app.own, LIMIT)?)
            }
        },
    };
    Ok(outcome_json(exercise.name, &outcome))
}
