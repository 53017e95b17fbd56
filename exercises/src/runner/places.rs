//! Where things lie.

use crate::attempt::Kind;
use crate::catalogue::{self, Exercise};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The variables by which cargo is told where to build.
pub(super) const TARGET_DIRS: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// The folders of the exercises.
#[derive(Clone, Debug)]
pub struct Places {
    /// The workspace.
    pub root: PathBuf,
    /// The learner's files.
    pub work: PathBuf,
    /// What cargo builds.
    pub target: PathBuf,
    /// What the runner may write and throw away.
    pub scratch: PathBuf,
}

impl Places {
    /// The places of the workspace that this process belongs to (see [`safepoint_testkit::workspace`]),
    /// or of another one.
    ///
    /// # Errors
    /// If it is no workspace of ours.
    pub fn new(root: Option<PathBuf>) -> Result<Places> {
        let root = match root {
            Some(root) => root,
            None => safepoint_testkit::workspace().context(
                "the repository cannot be found: run this inside it, or name it with --root",
            )?,
        };
        let root = root
            .canonicalize()
            .with_context(|| format!("{} cannot be found", root.display()))?;
        anyhow::ensure!(
            root.join("exercises/stage1").is_dir(),
            "{} holds no exercises; run this inside the repository, or name it with --root",
            root.display()
        );
        // As cargo reads them: a relative one begins at the folder in which cargo was started,
        // and that is ours.
        let target = TARGET_DIRS
            .iter()
            .filter_map(std::env::var_os)
            .find(|dir| !dir.is_empty());
        let target = match target {
            Some(dir) => std::path::absolute(dir).context("the folder in which this runs")?,
            None => root.join("target"),
        };
        Ok(Places {
            work: root.join("exercises/work"),
            scratch: target.join("exercises"),
            target,
            root,
        })
    }

    /// The name of an exercise's file: `guard-check` is `guard_check.rs`.
    pub fn file_name(name: &str, ending: &str) -> String {
        format!("{}.{ending}", name.replace('-', "_"))
    }

    /// The learner's file.
    pub fn work_file(&self, exercise: &Exercise) -> PathBuf {
        let name = Places::file_name(exercise.name, exercise.kind.ending());
        self.work.join(name)
    }

    /// The exercise's folder.
    pub fn folder(&self, exercise: &Exercise) -> PathBuf {
        let stage = format!("exercises/stage{}", exercise.card.stage);
        self.root.join(stage).join(exercise.name)
    }

    /// One of the files in it that could be the learner's: `starter`, `solution`, `other`.
    pub fn given(&self, exercise: &Exercise, which: &str) -> PathBuf {
        let name = format!("{which}.{}", exercise.kind.ending());
        self.folder(exercise).join(name)
    }

    /// The progress file.
    pub fn progress(&self) -> PathBuf {
        self.root.join("exercises/.progress.toml")
    }

    /// `path` as the learner would type it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// Copies the starter into the learner's folder, if there is no file yet.
    ///
    /// # Errors
    /// If it cannot be written, or is no file.
    pub fn ensure_work_file(&self, exercise: &Exercise) -> Result<PathBuf> {
        let path = self.work_file(exercise);
        let name = exercise.name;
        if !path.exists() {
            let starter = self.given(exercise, "starter");
            let text = std::fs::read(&starter)
                .with_context(|| format!("cannot read {}", self.shown(&starter)))?;
            std::fs::create_dir_all(&self.work)
                .and_then(|()| write_whole(&path, &text))
                .with_context(|| format!("cannot write {}", self.shown(&path)))?;
        }
        // A pipe, say, would be waited for without an end.
        anyhow::ensure!(
            path.is_file(),
            "{} is no ordinary file; `reset {name}` moves it away and brings the starter back",
            self.shown(&path)
        );
        Ok(path)
    }
}

/// What an editor is to know of the learner's files: `judges/attempt.rs` names this one.
const EDITOR: &str = ".editor.rs";

impl Places {
    /// Copies every starter that is missing, and lists the learner's files for editors. If that
    /// cannot be done, the next `run` will say why.
    pub fn ensure_all(&self) {
        let mut list =
            String::from("// Written by the runner: what an editor knows of these files.\n");
        for exercise in catalogue::all() {
            let _ = self.ensure_work_file(exercise);
            if let Kind::Rust(_) = exercise.kind {
                list += &format!("mod {};\n", exercise.name.replace('-', "_"));
            }
        }
        let _ = write_whole(&self.work.join(EDITOR), list.as_bytes());
    }
}

/// Writes a file so that there is either the old one or the whole new one, also when the
/// disk is full or the program is interrupted.
///
/// # Errors
/// The system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    // Two runners do not meet in it.
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = (|| {
        use std::io::Write;
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}
