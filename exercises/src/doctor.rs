//! `doctor`: what this machine can do. A table of checks; each says what it found.

use crate::app::App;
use crate::out::outln;
use anyhow::Result;
use exercises::catalogue;
use exercises::runner::places::write_whole;
use exercises::runner::{self, traces};
use serde_json::{Value, json};
use std::process::Command;

/// One thing to look at.
struct Check {
    what: &'static str,
    /// Whether the exercises need it.
    needed: bool,
    /// Whether it is good, and what was found.
    look: fn(&App) -> (bool, String),
}

macro_rules! checks {
    ($($needed:ident $what:literal $look:ident;)+) => {
        &[$(Check { what: $what, needed: checks!(@ $needed), look: $look }),+]
    };
    (@ needed) => { true };
    (@ useful) => { false };
}

const CHECKS: &[Check] = checks! {
    needed "system" system;
    needed "compiler" compiler;
    useful "kernel" kernel;
    useful "processors" processors;
    needed "registers" registers;
    needed "debugger" debugger;
    needed "runtime" runtime;
    needed "lockstep" lockstep;
    needed "progress" progress;
    needed "traces" traces;
    useful "solutions" solutions;
};

/// The command. Status 0: everything that is needed is there.
pub fn doctor(app: &App) -> Result<u8> {
    let mut all_good = true;
    let mut rows = Vec::new();
    for Check { what, needed, look } in CHECKS {
        let (good, text) = look(app);
        all_good &= good || !needed;
        if app.json {
            rows.push(json!({"what": what, "good": good, "needed": needed, "text": text}));
            continue;
        }
        let mark = match (good, needed) {
            (true, _) => "ok  ",
            (false, true) => "NO  ",
            (false, false) => "note",
        };
        outln!("{mark} {what:<11} {text}");
    }
    if app.json {
        app.print(&json!({"good": all_good, "checks": Value::Array(rows)}));
    } else {
        let sum = match all_good {
            true => "everything that is needed is there",
            false => "something that is needed is missing",
        };
        outln!("\n{sum}");
    }
    Ok(if all_good { 0 } else { 3 })
}

fn system(_: &App) -> (bool, String) {
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let good = system == "linux x86_64";
    (good, format!("{system}; the runtime needs linux x86_64"))
}

fn compiler(_: &App) -> (bool, String) {
    let rustc = match Command::new("rustc").arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => format!("rustc cannot be started: {error}"),
    };
    let minor = rustc.split(['.', ' ']).nth(2);
    let minor: Option<u32> = minor.and_then(|n| n.parse().ok());
    let good = minor.is_some_and(|n| n >= 90);
    (good, format!("{rustc}; 1.90 or newer"))
}

fn kernel(_: &App) -> (bool, String) {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    let mut parts = kernel
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let text = format!(
        "{kernel}; from 6.13 on every stack has a guard page, before the first 8,000 and one in 64 of the others"
    );
    (version >= (6, 13), text)
}

fn processors(_: &App) -> (bool, String) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    (cpus > 1, format!("{cpus}; races show with two or more"))
}

fn registers(_: &App) -> (bool, String) {
    match stage1_coop::rt::stack::save_area() {
        Ok(area) => {
            let text = format!(
                "{} bytes saved by {:?}, mask {:#x} of {:#x}",
                area.size, area.form, area.mask, area.xcr0
            );
            (true, text)
        }
        Err(line) => (false, line),
    }
}

fn debugger(_: &App) -> (bool, String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut tracers = status.lines().filter_map(|l| l.strip_prefix("TracerPid:"));
    let (good, found) = match tracers.any(|pid| pid.trim() != "0") {
        true => (false, "attached"),
        false => (true, "none"),
    };
    (good, format!("{found}; lockstep cannot run under one"))
}

/// A trace of the stage's own, from a child process: whether it ended well, and its text.
fn a_trace(app: &App) -> Option<(bool, String)> {
    let exercise = catalogue::all().first()?;
    let case = exercise.cases.first()?;
    let run = runner::reference(exercise, case, Some(1), &app.own).ok()?;
    Some((run.ended_well().is_ok(), run.text))
}

fn runtime(app: &App) -> (bool, String) {
    let good = a_trace(app).is_some_and(|(ended_well, _)| ended_well);
    (good, "goroutines run in a child process".into())
}

fn lockstep(app: &App) -> (bool, String) {
    let (first, again) = (a_trace(app), a_trace(app));
    let good = first == again && first.is_some_and(|(_, text)| !text.is_empty());
    (good, "the same seed gives the same bytes".into())
}

fn progress(app: &App) -> (bool, String) {
    let file = app.places.progress();
    let probe = file.with_extension("probe");
    let written = write_whole(&probe, b"probe");
    let _ = std::fs::remove_file(&probe);
    let file = app.places.shown(&file);
    match written {
        Ok(()) => (true, format!("{file} can be written")),
        Err(error) => (false, format!("{file} cannot be written: {error}")),
    }
}

fn traces(_: &App) -> (bool, String) {
    let temp = std::env::temp_dir();
    let (free, temp) = (traces::room(&temp), temp.display());
    match free {
        Some(bytes) => (
            bytes >= traces::NEEDED,
            format!(
                "{temp} has {} MiB free; an attempt needs {}, and TMPDIR names another folder",
                bytes >> 20,
                traces::NEEDED >> 20
            ),
        ),
        None => (
            false,
            format!("{temp} is not there; TMPDIR names another folder"),
        ),
    }
}

fn solutions(app: &App) -> (bool, String) {
    let mut all = catalogue::all().iter();
    let good = all.all(|exercise| app.places.given(exercise, "solution").is_file());
    let found = if good {
        "are there"
    } else {
        "are not all there"
    };
    let text = format!("they {found}; only the command `solution` needs them");
    (good, text)
}
