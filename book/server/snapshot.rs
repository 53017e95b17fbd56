//! The recorded runs: one file per example, number of Ps and seed.
//!
//! The same files are what the tests compare against, so a page cannot show a run that no
//! longer happens. A file is a short head between `---` lines, then the exit code, what the
//! program printed, and its trace.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::files;
use crate::trace;

/// The longest file of a recorded run.
const LONGEST: u64 = 64 * files::MOST;

/// The folder that holds the recorded runs and the generated tables.
#[derive(Debug, Clone)]
pub struct Snapshots {
    dir: PathBuf,
}

/// One recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// What stands after `exit`, for example `0`.
    pub exit: String,
    /// The program's standard output.
    pub output: String,
    /// The headers of what a dying program printed on standard error; empty if it lived.
    pub last_words: String,
    /// The text form of the trace.
    pub trace: String,
}

impl Snapshots {
    /// The recorded runs in this folder (which need not exist yet).
    pub fn new(dir: impl Into<PathBuf>) -> Snapshots {
        Snapshots { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file name of one recorded run.
    pub fn file_name(pkg: &str, name: &str, procs: u32, seed: u64) -> String {
        format!("{pkg}__{name}__p{procs}__seed{seed}.snap")
    }

    /// One recorded run, or `None` when it was not recorded.
    pub fn recording(
        &self,
        pkg: &str,
        name: &str,
        procs: u32,
        seed: u64,
    ) -> Result<Option<Recording>> {
        let file = Self::file_name(pkg, name, procs, seed);
        match self.body(&file)? {
            None => Ok(None),
            Some(body) => Recording::parse(&body)
                .with_context(|| format!("{} is no recorded run", self.dir.join(&file).display()))
                .map(Some),
        }
    }

    /// A recording under a name of its own. It may also be a trace alone.
    pub fn named(&self, stem: &str) -> Result<Option<Recording>> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if stem.is_empty() || !stem.chars().all(plain) {
            bail!("`{stem}` is no name of a recording");
        }
        let Some(body) = self.body(&format!("{stem}.snap"))? else {
            return Ok(None);
        };
        if let Ok(recording) = Recording::parse(&body) {
            return Ok(Some(recording));
        }
        if trace::read(&body).events.is_empty() {
            bail!("{stem}.snap holds no events");
        }
        Ok(Some(Recording {
            exit: "0".to_string(),
            output: String::new(),
            last_words: String::new(),
            trace: body,
        }))
    }

    /// A generated table, such as the legend of the events.
    pub fn table(&self, name: &str) -> Result<Option<String>> {
        self.body(&format!("{name}.snap"))
    }

    /// The numbers of Ps for which seed 1 of an example was recorded, smallest first.
    pub fn recorded_procs(&self, pkg: &str, name: &str) -> Vec<u32> {
        let prefix = format!("{pkg}__{name}__p");
        let Ok(dir) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let mut procs: Vec<u32> = dir
            .flatten()
            .filter_map(|entry| {
                let file = entry.file_name();
                let rest = file.to_str()?.strip_prefix(&prefix)?;
                rest.strip_suffix("__seed1.snap")?.parse().ok()
            })
            .collect();
        procs.sort_unstable();
        procs
    }

    fn body(&self, file: &str) -> Result<Option<String>> {
        let path = self.dir.join(file);
        match files::text(&path, LONGEST) {
            Ok(text) => Ok(Some(without_head(&text).to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

impl Recording {
    /// Takes a body apart.
    pub fn parse(body: &str) -> Result<Recording> {
        let mut lines = body.lines();
        let Some(exit) = lines.next().and_then(|line| line.strip_prefix("exit ")) else {
            bail!("its first line is not `exit N`");
        };
        if lines.next() != Some("--- output") {
            bail!("its second line is not `--- output`");
        }
        let rest: Vec<&str> = lines.collect();
        let Some(middle) = rest.iter().position(|line| *line == "--- trace") else {
            bail!("it has no line `--- trace`");
        };
        let dying = rest[..middle]
            .iter()
            .position(|line| *line == "--- last words");
        let (output, last_words) = match dying {
            Some(at) => (&rest[..at], &rest[at + 1..middle]),
            None => (&rest[..middle], &rest[..0]),
        };
        Ok(Recording {
            exit: exit.trim().to_string(),
            output: output.join("\n"),
            last_words: last_words.join("\n"),
            trace: rest[middle + 1..].join("\n"),
        })
    }

    /// Compares a fresh run with this one. `None`: the same. Else where they part.
    pub fn difference(&self, exit: &str, output: &str, trace: &str) -> Option<String> {
        if let Some(line) = first_difference(&self.output, output) {
            return Some(format!("they part at line {line} of the output"));
        }
        if let Some(line) = first_difference(&self.trace, trace) {
            return Some(format!("they part at line {line} of the trace"));
        }
        (self.exit != exit).then(|| format!("the exit code was {}, now it is {exit}", self.exit))
    }
}

/// The number of the first line that differs. White space at the end of the text does not
/// count: the snapshot library does not keep it.
fn first_difference(old: &str, new: &str) -> Option<usize> {
    let (old, new) = (old.trim_end(), new.trim_end());
    let mut old = old.lines();
    let mut new = new.lines();
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (None, None) => return None,
            (a, b) if a != b => return Some(number),
            _ => {}
        }
    }
}

/// What follows the head between the two `---` lines.
fn without_head(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("---\n") else {
        return text;
    };
    match rest.split_once("\n---\n") {
        Some((_, body)) => body,
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        "exit 0\n--- output\nhello\n\nworld\n--- trace\n# head\n    0.000  m0  p0  --  ProcStart\n";

    #[test]
    fn a_body_has_three_parts() {
        let run = Recording::parse(BODY).unwrap();
        assert_eq!(run.exit, "0");
        assert_eq!(run.output, "hello\n\nworld");
        assert!(run.trace.starts_with("# head\n"));
        assert_eq!(run.difference("0", "hello\n\nworld\n", &run.trace), None);
        let other = run.difference("0", "hello\nworld\n", &run.trace);
        assert_eq!(other.unwrap(), "they part at line 2 of the output");
        assert!(run.difference("2", &run.output, &run.trace).is_some());
    }

    #[test]
    fn last_words_are_no_output() {
        let text = "exit 2\n--- output\nhello\n--- last words\nfatal error: x\n--- trace\n";
        let run = Recording::parse(text).unwrap();
        assert_eq!(run.output, "hello");
        assert_eq!(run.last_words, "fatal error: x");
        assert_eq!(run.difference("2", "hello\n", ""), None);
    }

    #[test]
    fn the_head_is_taken_off() {
        let text = "---\nsource: tests/x.rs\n---\nexit 0\n";
        assert_eq!(without_head(text), "exit 0\n");
        assert_eq!(without_head("exit 0\n"), "exit 0\n");
    }

    #[test]
    fn a_broken_body_says_what_is_wrong() {
        let error = Recording::parse("exit 0\n--- output\n").unwrap_err();
        assert_eq!(error.to_string(), "it has no line `--- trace`");
    }
}
