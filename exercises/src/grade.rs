//! `grade`: a stage's files judged, for a teacher's CI. Only the learner's files are taken
//! from his folder; the checks are those of the repository that this program was built in.

use crate::{App, outcome_json, stage};
use anyhow::{Context, Result};
use exercises::attempt::{Exercise, Kind};
use exercises::runner::build::{self, Built};
use exercises::runner::places::Places;
use exercises::runner::{self, LIMIT, Program, Verdict};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The command. Status 0: all points; 1: some are missing.
pub fn grade(app: &App, number: u8, work: Option<PathBuf>) -> Result<u8> {
    let work = work.unwrap_or_else(|| app.places.work.clone());
    let mut rows: Vec<Value> = Vec::new();
    let (mut points, mut of) = (0, 0);
    for (exercise, card) in stage(number)? {
        let file = work.join(Places::file_name(exercise.name, exercise.kind.ending()));
        let mut row = judge(app, exercise, &file)?;
        let got = if row["passed"] == true {
            card.points
        } else {
            0
        };
        points += got;
        of += card.points;
        row["points"] = json!(got);
        row["of"] = json!(card.points);
        if !app.json {
            let why = match row["passed"] == true {
                true => String::new(),
                false => row["what"]
                    .as_str()
                    .and_then(|w| w.lines().next())
                    .unwrap_or("")
                    .to_owned(),
            };
            println!(
                "{:<18} {got:>3} of {:>3}  {why}",
                exercise.name, card.points
            );
        }
        rows.push(row);
    }
    if app.json {
        app.print(&json!({"stage": number, "points": points, "of": of, "exercises": rows}));
    } else {
        println!("{:<18} {points:>3} of {of:>3}", "together");
    }
    Ok(u8::from(points < of))
}

fn judge(app: &App, exercise: &'static Exercise, file: &Path) -> Result<Value> {
    if !file.exists() {
        return Ok(
            json!({"name": exercise.name, "passed": false, "rule": "missing", "what": "not handed in"}),
        );
    }
    let outcome: Result<Verdict, String> = match exercise.kind {
        Kind::Answers(_) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            Ok(runner::examine_answers(exercise, &text, &app.own)?)
        }
        Kind::Rust(_) => match build::elsewhere(&app.places, exercise.name, file)? {
            Built::Refused(said) => Err(said),
            Built::Program(path) => {
                let program = Program {
                    path: &path,
                    arguments: &[],
                };
                Ok(runner::examine(exercise, &program, &app.own, LIMIT)?)
            }
        },
    };
    Ok(outcome_json(exercise.name, &outcome))
}
