//! Building the learner's file with its check, by cargo.

use super::child;
use super::places::Places;
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

/// Builds the target `name` of this package.
///
/// # Errors
/// If cargo cannot be started.
pub fn target(places: &Places, name: &str) -> Result<Built> {
    let which = ["-p", "exercises", "--test", name];
    cargo(
        places,
        &places.root.join("Cargo.toml"),
        &which,
        name,
        PATIENCE,
    )
}

/// What a build may take that may have to build everything.
const PATIENCE: Duration = Duration::from_secs(900);
/// What a learner's file may take, when all else is built.
const ONE_FILE: Duration = Duration::from_secs(180);
/// Bytes of address space for the compiler of a learner's file.
const COMPILER: u64 = 8 << 30;

/// A package of its own in the scratch folder, for files that are handed in: nothing of the
/// learner's but the one file takes part.
pub struct Bench<'a> {
    places: &'a Places,
    dir: PathBuf,
}

const ATTEMPT: &str = "attempt";

impl<'a> Bench<'a> {
    /// Writes the package, and builds what it stands on.
    ///
    /// # Errors
    /// If it cannot be written, or does not build: that is not the learner's fault.
    pub fn new(places: &'a Places) -> Result<Bench<'a>> {
        let dir = places.scratch.join("grade");
        let root: toml::Table = std::fs::read_to_string(places.root.join("Cargo.toml"))?.parse()?;
        let path = |package| places.root.join(package).display().to_string();
        let mut manifest: toml::Table = format!(
            "[package]\nname = {ATTEMPT:?}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\
             [workspace]\n[[bin]]\nname = {ATTEMPT:?}\npath = \"checks/main.rs\"\n[dependencies]\n\
             exercises = {{ path = {:?} }}\nstage1-coop = {{ path = {:?} }}\n\
             stage2-sysmon = {{ path = {:?} }}\n",
            path("exercises"),
            path("stage1-coop"),
            path("stage2-sysmon"),
        )
        .parse()?;
        if let Some(profile) = root.get("profile") {
            manifest.insert("profile".into(), profile.clone());
        }
        std::fs::create_dir_all(dir.join("checks"))?;
        std::fs::create_dir_all(dir.join("work"))?;
        std::fs::write(dir.join("Cargo.toml"), manifest.to_string())?;
        let _ = std::fs::copy(places.root.join("Cargo.lock"), dir.join("Cargo.lock"));
        std::fs::write(dir.join("checks/main.rs"), "fn main() {}\n")?;
        let bench = Bench { places, dir };
        match bench.build(PATIENCE)? {
            Built::Program(_) => Ok(bench),
            Built::Refused(said) => anyhow::bail!("the grader's own code does not build:\n{said}"),
        }
    }

    /// Builds a learner's text with the check of exercise `name`.
    ///
    /// # Errors
    /// If something cannot be written, or cargo not be started.
    pub fn attempt(&self, name: &str, text: &str) -> Result<Built> {
        let file = Places::file_name(name, "rs");
        let check = self.places.root.join("exercises/checks").join(&file);
        let check = std::fs::read_to_string(&check)
            .with_context(|| format!("cannot read {}", self.places.shown(&check)))?;
        std::fs::write(self.dir.join("work").join(&file), text)?;
        std::fs::write(self.dir.join("checks/main.rs"), check)?;
        self.build(ONE_FILE)
    }

    fn build(&self, limit: Duration) -> Result<Built> {
        // In the folder where this program was built, most of it is built already.
        let target = self.places.scratch.parent().unwrap_or(&self.dir);
        let target = target.display().to_string();
        let which = ["--bin", ATTEMPT, "--target-dir", &target];
        cargo(
            self.places,
            &self.dir.join("Cargo.toml"),
            &which,
            ATTEMPT,
            limit,
        )
    }
}

fn cargo(
    places: &Places,
    manifest: &Path,
    which: &[&str],
    name: &str,
    limit: Duration,
) -> Result<Built> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .arg("build")
        .arg("--quiet")
        .arg("--manifest-path")
        .arg(manifest)
        .args(which)
        .args(["--message-format", "json"])
        .args(["--color", "never"])
        .current_dir(&places.root)
        .env("CARGO_TERM_COLOR", "never");
    let (output, ended) = child::compile(command, limit, COMPILER).context("cannot start cargo")?;
    if ended {
        return Ok(Built::Refused(format!(
            "cargo had not ended after {} s and was stopped (another cargo may hold the build folder)",
            limit.as_secs()
        )));
    }
    let mut program = None;
    let mut said = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["target"]["name"] == name => {
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
            if said.is_empty() {
                said = String::from_utf8_lossy(&output.stderr).into_owned();
            }
            // The way the check names the file is no business of the learner's.
            let said = said.replace("checks/../work", "work");
            Ok(Built::Refused(said.trim_end().to_owned()))
        }
    }
}
