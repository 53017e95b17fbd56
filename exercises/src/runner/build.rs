//! Building by cargo.

use super::child::{self, Compiler};
use super::clean::clean;
use super::places::{Places, TARGET_DIRS};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What cargo made of a target.
pub enum Built {
    /// A program.
    Program(PathBuf),
    /// Nothing: what the compiler says.
    Refused(String),
}

/// The target that every attempt is, and the variable that names its `main` (`attempt.rs`).
const TARGET: &str = "attempt";
const MAIN: &str = "EXERCISE_MAIN";

/// Builds the target `attempt` of the judges' package around `main`.
///
/// # Errors
/// If cargo cannot be started.
pub(super) fn attempt(places: &Places, main: &Path, limit: Compiler) -> Result<Built> {
    let mut command = cargo(places);
    command
        .arg("--manifest-path")
        .arg(places.root.join("Cargo.toml"))
        // This package too: with both, cargo chooses the features with which it built us.
        .args(["-p", "safepoint-judges", "-p", "exercises"])
        .args(["--test", TARGET])
        .env(MAIN, main);
    // Cargo is started in another folder than we were, and these may be relative.
    for name in TARGET_DIRS {
        if std::env::var_os(name).is_some() {
            command.env(name, &places.target);
        }
    }
    made(command, limit)
}

/// What a build may take that may have to build everything.
pub(super) const EVERYTHING: Compiler = Compiler {
    seconds: 900,
    memory: 8 << 30,
    file: 4 << 30,
    wall: Duration::from_secs(1800),
};
/// What a file that was handed in may take, when all else is built.
pub(super) const ONE_FILE: Compiler = Compiler {
    seconds: 30,
    memory: 4 << 30,
    file: 256 << 20,
    wall: Duration::from_secs(600),
};

/// `cargo build`, in the workspace.
fn cargo(places: &Places) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--message-format", "json"])
        .args(["--color", "never"])
        .current_dir(&places.root)
        .env("CARGO_TERM_COLOR", "never");
    command
}

/// Runs a cargo that builds the target.
fn made(command: Command, limit: Compiler) -> Result<Built> {
    let (output, ended) = child::compile(command, limit).context("cannot start cargo")?;
    if ended {
        return Ok(Built::Refused(format!(
            "cargo had not ended after {} s and was stopped (another cargo may hold the build folder)",
            limit.wall.as_secs()
        )));
    }
    let mut program = None;
    let mut said = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["target"]["name"] == TARGET => {
                if let Some(path) = message["executable"].as_str() {
                    program = Some(PathBuf::from(path));
                }
            }
            Some("compiler-message") if message["message"]["level"] == "error" => {
                if let Some(text) = message["message"]["rendered"].as_str() {
                    said.push_str(text);
                }
            }
            _ => {}
        }
    }
    match program {
        Some(program) if output.status.success() => Ok(Built::Program(program)),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            if stderr.contains("SIGXCPU") {
                said = format!(
                    "the compiler had not ended after {} s of processor time and was stopped",
                    limit.seconds
                );
            } else if said.is_empty() {
                said = stderr.into_owned();
            }
            Ok(Built::Refused(clean(said.trim_end())))
        }
    }
}
