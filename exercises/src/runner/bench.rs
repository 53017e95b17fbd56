//! Building attempts. The target `attempt` of the judges' package includes a `main` that is written
//! here, in the scratch folder: it plugs one file into its socket, the learner's own or one that
//! was handed in, or several files for the proof.
//!
//! All of a checkout share the target. So one runner at a time writes and builds, and copies the
//! program away before the next one may; and what one handed-in file's build leaves behind is
//! removed before the next file is built.

use super::build::{self, Built, EVERYTHING, ONE_FILE};
use super::child::Compiler;
use super::places::{Places, write_whole};
use crate::catalogue::Exercise;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A folder for the programs of this process.
pub struct Bench<'a> {
    places: &'a Places,
    dir: PathBuf,
    programs: PathBuf,
}

/// A file, and the exercise that it is plugged into.
pub struct Piece<'a> {
    /// What selects it: the program's first argument.
    pub name: &'a str,
    /// The exercise.
    pub exercise: &'a Exercise,
    /// The file.
    pub file: &'a Path,
}

impl<'a> Bench<'a> {
    /// Makes the folders.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn new(places: &'a Places) -> Result<Bench<'a>> {
        let dir = places.scratch.join("attempt");
        let work = dir.join("work");
        std::fs::create_dir_all(&work)
            .with_context(|| format!("cannot make {}", work.display()))?;
        let programs = safepoint_testkit::fresh_folder_in(&dir, "safepoint-built-")
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        Ok(Bench {
            places,
            dir,
            programs,
        })
    }

    /// Builds what every attempt stands on.
    ///
    /// # Errors
    /// If it does not build: that is not the learner's fault.
    pub fn prepare(&self) -> Result<()> {
        let _alone = self.alone()?;
        match self.build("fn main() {}\n", EVERYTHING)? {
            Built::Program(_) => Ok(()),
            Built::Refused(said) => anyhow::bail!("the grader's own code does not build:\n{said}"),
        }
    }

    /// Builds the learner's own file, where it is.
    ///
    /// # Errors
    /// If something cannot be written, or cargo not be started.
    pub fn own(&self, exercise: &Exercise, file: &Path) -> Result<Built> {
        let name = exercise.name;
        let piece = Piece {
            name,
            exercise,
            file,
        };
        self.program(name, &main(&[piece])?)
    }

    /// Builds a text that was handed in, from nothing and within limits.
    ///
    /// # Errors
    /// As for [`Bench::own`].
    pub fn handed_in(&self, exercise: &Exercise, text: &str) -> Result<Built> {
        let name = exercise.name;
        let file = self.dir.join("work").join(Places::file_name(name, "rs"));
        let _alone = self.alone()?;
        self.write(&file, text)?;
        self.forget();
        let main = main(&[Piece {
            name,
            exercise,
            file: &file,
        }])?;
        let built = self.build(&main, ONE_FILE)?;
        self.kept(name, built)
    }

    /// Builds a program of this text.
    ///
    /// # Errors
    /// As for [`Bench::own`].
    pub fn program(&self, name: &str, main: &str) -> Result<Built> {
        let _alone = self.alone()?;
        let built = self.build(main, EVERYTHING)?;
        self.kept(name, built)
    }

    /// Whether another runner writes or builds there now.
    pub fn is_busy(places: &Places) -> bool {
        let lock = File::open(places.scratch.join("attempt/lock"));
        lock.is_ok_and(|file| file.try_lock().is_err())
    }

    /// Waits until no other runner writes or builds here. The lock goes with the file, also if
    /// the process is killed.
    fn alone(&self) -> Result<File> {
        let path = self.dir.join("lock");
        let lock = File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(lock)
    }

    fn build(&self, main: &str, limit: Compiler) -> Result<Built> {
        let file = self.dir.join("main.rs");
        self.write(&file, main)?;
        let built = build::attempt(self.places, &file, limit)?;
        let work = &self.places.work;
        Ok(match built {
            // A learner knows the file by the name that is nearest.
            Built::Refused(said) => Built::Refused(
                said.replace(&format!("{}/", self.dir.join("work").display()), "work/")
                    .replace(
                        &format!("{}/", work.display()),
                        &format!("{}/", self.places.shown(work)),
                    ),
            ),
            program => program,
        })
    }

    /// The program where no other runner's build replaces it.
    fn kept(&self, name: &str, built: Built) -> Result<Built> {
        let Built::Program(path) = built else {
            return Ok(built);
        };
        let mine = self.programs.join(name);
        std::fs::copy(&path, &mine).with_context(|| format!("cannot copy {}", path.display()))?;
        Ok(Built::Program(mine))
    }

    /// Writes a file, whole, if it says something else.
    fn write(&self, path: &Path, text: &str) -> Result<()> {
        if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        write_whole(path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes what earlier builds of the target have left: whether they ended well or were
    /// ended, the next one begins from nothing.
    fn forget(&self) {
        let profile = self.places.target.join("debug");
        for folder in ["deps", "incremental"] {
            let entries = profile.join(folder).read_dir();
            for entry in entries.into_iter().flatten().flatten() {
                let name = entry.file_name();
                if name.to_str().is_some_and(|n| n.starts_with("attempt-")) {
                    let path = entry.path();
                    let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                }
            }
        }
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.programs);
    }
}

/// The text of a program: a module for each file, and a choice between them.
///
/// # Errors
/// If a path is not UTF-8.
pub fn main(pieces: &[Piece<'_>]) -> Result<String> {
    let (mut modules, mut arms) = (String::new(), String::new());
    for (i, piece) in pieces.iter().enumerate() {
        let path = piece.file.to_str().with_context(|| {
            let path = piece.file.display();
            format!("the compiler takes only paths that are UTF-8, not {path}")
        })?;
        let module = format!("work{i}");
        let _ = writeln!(
            modules,
            "#[forbid(unsafe_code)]\n#[allow(unused_imports)]\n#[path = {path:?}]\nmod {module};"
        );
        let (name, plugged) = (piece.name, piece.exercise.plugged(&module));
        let _ = writeln!(arms, "        Some({name:?}) => {plugged},");
    }
    Ok(format!(
        "{modules}\nfn main() {{\n    match std::env::args().nth(1).as_deref() {{\n{arms}        \
         _ => std::process::exit(64),\n    }}\n}}\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_can_stand_in_the_program() {
        let exercise = &crate::catalogue::all()[1];
        let text = |file: &Path| {
            let name = exercise.name;
            main(&[Piece {
                name,
                exercise,
                file,
            }])
        };
        for folder in [
            "caf\u{65}\u{301}",
            "a b",
            "q\"uo'te\\",
            "line\nfeed",
            "\u{1}",
        ] {
            let text = text(Path::new(folder)).expect("UTF-8");
            assert!(text.contains(&format!("#[path = {folder:?}]")), "{text}");
        }
        use std::os::unix::ffi::OsStrExt;
        let bytes = std::ffi::OsStr::from_bytes(b"/\xff");
        assert!(text(Path::new(bytes)).is_err());
    }
}
