//! `doctor`: what this machine can do.

use crate::app::App;
use crate::out::outln;
use anyhow::Result;
use exercises::runner::places::write_whole;
use exercises::runner::{self, traces};
use serde_json::{Value, json};
use std::process::Command;

/// The command. Status 0: everything that is needed is there.
pub fn doctor(app: &App) -> Result<u8> {
    let mut rows: Vec<(bool, bool, &str, String)> = Vec::new();
    let mut add =
        |needed: bool, good: bool, what, text: String| rows.push((needed, good, what, text));

    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    add(
        true,
        system == "linux x86_64",
        "system",
        format!("{system}; the runtime needs linux x86_64"),
    );

    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map_or_else(
        |e| format!("rustc cannot be started: {e}"),
        |o| String::from_utf8_lossy(&o.stdout).trim().to_owned(),
    );
    let minor = rustc
        .split(['.', ' '])
        .nth(2)
        .and_then(|n| n.parse::<u32>().ok());
    add(
        true,
        minor.is_some_and(|n| n >= 90),
        "compiler",
        format!("{rustc}; 1.90 or newer"),
    );

    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = kernel
        .trim()
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    add(
        false,
        version >= (6, 13),
        "kernel",
        format!(
            "{}; from 6.13 on every stack has a guard page, before the first 8,000 and one in 64 of the others",
            kernel.trim()
        ),
    );

    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    add(
        false,
        cpus > 1,
        "processors",
        format!("{cpus}; races show with two or more"),
    );

    let debugged = std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .any(|l| {
            l.strip_prefix("TracerPid:")
                .is_some_and(|p| p.trim() != "0")
        });
    add(
        true,
        !debugged,
        "debugger",
        format!(
            "{}; lockstep cannot run under one",
            if debugged { "attached" } else { "none" }
        ),
    );

    let lockstep = runner::find("find-the-bug").map(|e| {
        let case = &e.cases[0];
        let first = runner::reference(e, case, Some(1), &app.own)?;
        let again = runner::reference(e, case, Some(1), &app.own)?;
        anyhow::Ok((
            first.ended_well().is_ok(),
            first.text == again.text && !first.text.is_empty(),
        ))
    });
    let (runs, same) = match lockstep {
        Some(Ok(both)) => both,
        _ => (false, false),
    };
    add(
        true,
        runs,
        "runtime",
        "goroutines run in a child process".into(),
    );
    add(
        true,
        same,
        "lockstep",
        "the same seed gives the same bytes".into(),
    );

    let probe = app.places.progress().with_extension("probe");
    let written = write_whole(&probe, b"probe");
    let _ = std::fs::remove_file(&probe);
    add(
        true,
        written.is_ok(),
        "progress",
        match written {
            Ok(()) => format!(
                "{} can be written",
                app.places.shown(&app.places.progress())
            ),
            Err(e) => format!(
                "{} cannot be written: {e}",
                app.places.shown(&app.places.progress())
            ),
        },
    );
    let temp = std::env::temp_dir();
    let free = traces::room(&temp);
    add(
        true,
        free.is_some_and(|bytes| bytes >= traces::NEEDED),
        "traces",
        match free {
            Some(bytes) => format!(
                "{} has {} MiB free; an attempt needs {}, and TMPDIR names another folder",
                temp.display(),
                bytes >> 20,
                traces::NEEDED >> 20
            ),
            None => format!(
                "{} is not there; TMPDIR names another folder",
                temp.display()
            ),
        },
    );
    let solutions = app.places.root.join("exercises/solutions").is_dir();
    add(
        false,
        solutions,
        "solutions",
        format!(
            "exercises/solutions is {}; only the command `solution` needs it",
            if solutions { "there" } else { "not there" }
        ),
    );

    let good = rows.iter().all(|(needed, good, ..)| *good || !needed);
    if app.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(needed, good, what, text)| {
                json!({"what": what, "good": good, "needed": needed, "text": text})
            })
            .collect();
        app.print(&json!({"good": good, "checks": rows}));
    } else {
        for (needed, good, what, text) in &rows {
            let mark = match (good, needed) {
                (true, _) => "ok  ",
                (false, true) => "NO  ",
                (false, false) => "note",
            };
            outln!("{mark} {what:<11} {text}");
        }
        outln!(
            "\n{}",
            if good {
                "everything that is needed is there"
            } else {
                "something that is needed is missing"
            }
        );
    }
    Ok(if good { 0 } else { 3 })
}
