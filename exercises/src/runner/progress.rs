//! What the learner has done so far: one readable file, `exercises/.progress.toml`, which the
//! book shows too. It has a table for each exercise that was touched, by its name:
//!
//! ```toml
//! [guard-check]
//! solved = false      # it has passed at least once; never taken back
//! runs = 4            # how often it was run
//! tries = 2           # runs of a changed file; after three, `solution` opens
//! hints = 1           # hints shown, 0 to 3
//! looked = false      # the solution was shown before it was solved
//! last = "signed"     # the rule that the last run broke; absent if it passed
//! file = "e657..."    # a fingerprint of the last file
//! ```
//!
//! Readers must take absent keys for zero, and pass over keys that they do not know. No file
//! is no progress.

use super::places::write_whole;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Honest tries after which a solution may be looked at.
pub const HONEST: u32 = 3;

/// What is known of one exercise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// It has passed at least once.
    pub solved: bool,
    /// How often it was run.
    pub runs: u32,
    /// Runs of a file that had changed since the one before, and since the starter.
    pub tries: u32,
    /// Hints that were shown, 0 to 3.
    pub hints: u32,
    /// The solution was shown before it was solved.
    pub looked: bool,
    /// The last thing that was wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last: String,
    /// What tells the last file from another one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
}

impl Entry {
    /// Whether the solution may be looked at without further ado.
    pub fn is_open(&self) -> bool {
        self.solved || self.tries >= HONEST
    }
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// By name.
    pub exercises: BTreeMap<String, Entry>,
}

const HEAD: &str =
    "# Your progress, written by `cargo run -p exercises`. Delete it to begin again.\n\n";

impl Progress {
    /// Reads the file; none is no progress.
    ///
    /// # Errors
    /// If it is there and cannot be read: it is yours, so it is not overwritten.
    pub fn load(path: &Path) -> Result<Progress> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Progress::default()),
            Err(e) => return Err(e).context(format!("cannot read {}", path.display())),
        };
        let exercises = toml::from_str(&text).with_context(|| {
            format!(
                "{} is not what the runner has written; mend it or delete it",
                path.display()
            )
        })?;
        Ok(Progress { exercises })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// The system's, for example a full disk.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(&self.exercises)?);
        write_whole(path, text.as_bytes())
            .with_context(|| format!("your progress could not be saved in {}", path.display()))
    }

    /// What is known of `name`.
    pub fn of(&self, name: &str) -> Entry {
        self.exercises.get(name).cloned().unwrap_or_default()
    }

    /// To change what is known of `name`.
    pub fn entry(&mut self, name: &str) -> &mut Entry {
        self.exercises.entry(name.to_owned()).or_default()
    }

    /// Notes a run of a file with this text.
    pub fn note_run(&mut self, name: &str, text: &str, starter: &str, fault: Option<&str>) {
        let fingerprint = fingerprint(text);
        let entry = self.entry(name);
        entry.runs += 1;
        if entry.file != fingerprint && text != starter {
            entry.tries += 1;
        }
        entry.file = fingerprint;
        entry.solved |= fault.is_none();
        entry.last = fault.unwrap_or_default().to_owned();
    }
}

/// A short name of a text; white space and comments at the ends of lines do not count.
fn fingerprint(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    for word in text.split_whitespace() {
        word.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_changes() {
        let mut progress = Progress::default();
        progress.note_run("x", "starter", "starter", Some("lost"));
        assert_eq!((progress.of("x").runs, progress.of("x").tries), (1, 0));
        for text in ["one", "one", " one\n", "two"] {
            progress.note_run("x", text, "starter", Some("lost"));
        }
        assert_eq!((progress.of("x").runs, progress.of("x").tries), (5, 2));
        assert!(!progress.of("x").solved);
        progress.note_run("x", "three", "starter", None);
        progress.note_run("x", "four", "starter", Some("order"));
        assert!(progress.of("x").solved);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = std::env::temp_dir().join(format!("safepoint-progress-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(".progress.toml");
        assert_eq!(Progress::load(&path).unwrap(), Progress::default());
        let mut progress = Progress::default();
        progress.note_run("guard-check", "x", "y", Some("signed"));
        progress.entry("sticky-flag").hints = 2;
        progress.save(&path).unwrap();
        assert_eq!(Progress::load(&path).unwrap(), progress);
        std::fs::write(&path, "what = [").unwrap();
        assert!(Progress::load(&path).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
