//! Building the learner's file with its check, by cargo.

use super::places::Places;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

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
    cargo(
        places,
        &places.root.join("Cargo.toml"),
        &["-p", "exercises", "--test", name],
        name,
    )
}

/// Builds a learner's file that lies elsewhere, with the check that lies here: a package of
/// its own in the scratch folder, so that nothing of the learner's but this file takes part.
///
/// # Errors
/// If the package cannot be written or cargo not be started.
pub fn elsewhere(places: &Places, name: &str, file: &std::path::Path) -> Result<Built> {
    let dir = places.scratch.join("grade").join(name);
    let check = places
        .root
        .join("exercises/checks")
        .join(Places::file_name(name, "rs"));
    let check = std::fs::read_to_string(&check)
        .with_context(|| format!("cannot read {}", places.shown(&check)))?;
    let file = file.canonicalize()?;
    let inside = format!("\"../work/{}\"", Places::file_name(name, "rs"));
    anyhow::ensure!(
        check.contains(&inside),
        "the check of {name} names no {inside}"
    );
    let check = check.replace(&inside, &format!("{:?}", file.display().to_string()));
    let root: toml::Table = std::fs::read_to_string(places.root.join("Cargo.toml"))?.parse()?;
    let mut manifest: toml::Table = format!(
        "[package]\nname = \"attempt\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n[workspace]\n[[bin]]\nname = {name:?}\npath = \"main.rs\"\n[dependencies]\nexercises = {{ path = {:?} }}\nstage1-coop = {{ path = {:?} }}\n",
        places.root.join("exercises").display().to_string(),
        places.root.join("stage1-coop").display().to_string(),
    )
    .parse()?;
    if let Some(profile) = root.get("profile") {
        manifest.insert("profile".into(), profile.clone());
    }
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("main.rs"), check)?;
    std::fs::write(dir.join("Cargo.toml"), manifest.to_string())?;
    let _ = std::fs::copy(places.root.join("Cargo.lock"), dir.join("Cargo.lock"));
    cargo(places, &dir.join("Cargo.toml"), &["--bin", name], name)
}

fn cargo(places: &Places, manifest: &std::path::Path, which: &[&str], name: &str) -> Result<Built> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .arg("build")
        .arg("--quiet")
        .arg("--manifest-path")
        .arg(manifest)
        .args(which)
        .args(["--message-format", "json"])
        .args(["--color", "never"])
        .current_dir(&places.root)
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
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
            Ok(Built::Refused(said.trim_end().to_owned()))
        }
    }
}
