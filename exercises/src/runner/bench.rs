//! Building the files that are handed in: a package of its own in the scratch folder, so that
//! nothing of the learner's but the one file takes part.
//!
//! The folder is shared by all graders of a checkout. So one of them at a time writes and
//! builds there, and takes the program away before the next one may; and what one file's
//! build leaves behind is removed before the next file is built.

use super::build::{self, Built, EVERYTHING, ONE_FILE};
use super::child::Compiler;
use super::places::{Places, write_whole};
use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The package's name.
const ATTEMPT: &str = "safepoint-attempt";
/// The packages that an attempt may name.
const USES: [&str; 3] = ["exercises", "stage1-coop", "stage2-sysmon"];
/// What a profile says of the packages of its own workspace.
const SETTINGS: [&str; 5] = [
    "opt-level",
    "debug",
    "debug-assertions",
    "overflow-checks",
    "codegen-units",
];

/// The package, and a folder for the programs of this process.
pub struct Bench<'a> {
    places: &'a Places,
    dir: PathBuf,
    programs: PathBuf,
}

impl<'a> Bench<'a> {
    /// Writes the package, and builds what it stands on.
    ///
    /// # Errors
    /// If it cannot be written, or does not build: that is not the learner's fault.
    pub fn new(places: &'a Places) -> Result<Bench<'a>> {
        let dir = places.scratch.join("grade");
        for folder in ["checks", "work"] {
            let folder = dir.join(folder);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let programs = safepoint_testkit::fresh_folder_in(&dir, "safepoint-graded-")
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        let bench = Bench {
            places,
            dir,
            programs,
        };
        let alone = bench.alone()?;
        let built = bench.build("fn main() {}\n", EVERYTHING)?;
        drop(alone);
        match built {
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
        let _alone = self.alone()?;
        self.write(&Path::new("work").join(&file), text)?;
        match self.build(&check, ONE_FILE)? {
            Built::Program(path) => {
                let mine = self.programs.join(name);
                std::fs::copy(&path, &mine)
                    .with_context(|| format!("cannot copy {}", path.display()))?;
                Ok(Built::Program(mine))
            }
            refused => Ok(refused),
        }
    }

    /// Whether another grader writes or builds there now.
    pub fn is_busy(places: &Places) -> bool {
        let lock = File::open(places.scratch.join("grade/lock"));
        lock.is_ok_and(|file| file.try_lock().is_err())
    }

    /// Waits until no other grader writes or builds here. The lock goes with the file, also if
    /// the process is killed.
    fn alone(&self) -> Result<File> {
        let path = self.dir.join("lock");
        let lock = File::create(&path)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(lock)
    }

    fn build(&self, check: &str, limit: Compiler) -> Result<Built> {
        // Another checkout may have used the same target folder meanwhile.
        let lock = std::fs::read_to_string(self.places.root.join("Cargo.lock")).unwrap_or_default();
        self.write(Path::new("Cargo.toml"), &self.manifest(&lock)?)?;
        if limit.wall == EVERYTHING.wall {
            self.write(Path::new("Cargo.lock"), &lock)?;
        }
        self.write(Path::new("checks/main.rs"), check)?;
        self.forget();
        let mut command = build::cargo(self.places);
        command
            .arg("--manifest-path")
            .arg(self.dir.join("Cargo.toml"))
            .args(["--bin", ATTEMPT, "--target-dir"])
            // In the folder where this program was built, most of it is built already.
            .arg(&self.places.target)
            // One file's half-finished state must not be the next one's beginning.
            .env("CARGO_INCREMENTAL", "0");
        build::made(command, ATTEMPT, limit)
    }

    /// Writes a file of the package, whole, if it says something else.
    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let path = self.dir.join(file);
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        write_whole(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes what earlier builds of the package have left: whether they ended well or were
    /// ended, the next one begins from nothing.
    fn forget(&self) {
        let profile = self.places.target.join("debug");
        let crate_name = ATTEMPT.replace('-', "_");
        for folder in ["", "deps", ".fingerprint", "incremental", "build"] {
            let entries = profile.join(folder).read_dir();
            for entry in entries.into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if name.starts_with(ATTEMPT) || name.starts_with(&crate_name) {
                    let path = entry.path();
                    let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
                }
            }
        }
    }

    fn manifest(&self, lock: &str) -> Result<String> {
        let root = self.places.root.join("Cargo.toml");
        let root: Table = std::fs::read_to_string(&root)
            .with_context(|| format!("cannot read {}", root.display()))?
            .parse()?;
        let dependencies = dependencies(&self.places.root)?;
        let bin = table([("name", ATTEMPT.into()), ("path", "checks/main.rs".into())]);
        let package = table([
            ("name", ATTEMPT.into()),
            ("version", "0.0.0".into()),
            ("edition", "2024".into()),
            ("publish", false.into()),
        ]);
        let mut manifest = table([
            ("package", package.into()),
            ("workspace", Table::new().into()),
            ("bin", Value::Array(vec![bin.into()])),
            ("dependencies", dependencies.into()),
        ]);
        if let Some(Value::Table(profiles)) = root.get("profile") {
            manifest.insert("profile".into(), as_at_home(profiles, lock).into());
        }
        Ok(manifest.to_string())
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.programs);
    }
}

fn dependencies(root: &Path) -> Result<Table> {
    let mut dependencies = Table::new();
    for package in USES {
        let path = root.join(package);
        let path = path.to_str().with_context(|| {
            format!(
                "cargo takes only paths that are UTF-8, not {}",
                path.display()
            )
        })?;
        dependencies.insert(package.into(), table([("path", path.into())]).into());
    }
    Ok(dependencies)
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// The workspace's profiles, with its own packages built as they are in the workspace: what
/// passes in `run` runs the same code here. Without this they would count as foreign.
fn as_at_home(profiles: &Table, lock: &str) -> Table {
    let lock: Table = lock.parse().unwrap_or_default();
    let packages = lock.get("package").and_then(Value::as_array);
    let own: Vec<&str> = packages
        .into_iter()
        .flatten()
        .filter(|package| package.get("source").is_none())
        .filter_map(|package| package.get("name")?.as_str())
        .collect();
    let mut profiles = profiles.clone();
    for profile in profiles.iter_mut().filter_map(|(_, p)| p.as_table_mut()) {
        let settings: Table = SETTINGS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), profile.get(*key)?.clone())))
            .collect();
        let packages = profile
            .entry("package")
            .or_insert_with(|| Table::new().into());
        if let Some(packages) = packages.as_table_mut() {
            for name in &own {
                packages.insert((*name).to_owned(), settings.clone().into());
            }
        }
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_can_stand_in_the_manifest() {
        for folder in [
            "caf\u{65}\u{301}",
            "a b",
            "q\"uo'te\\",
            "ไทย",
            "line\nfeed",
            "\u{1}",
        ] {
            let text = dependencies(Path::new(folder)).expect("UTF-8").to_string();
            let back: Table = text.parse().expect("TOML");
            let path = back["exercises"]["path"].as_str();
            assert_eq!(path, Some(&*format!("{folder}/exercises")));
        }
        use std::os::unix::ffi::OsStrExt;
        let bytes = std::ffi::OsStr::from_bytes(b"/\xff");
        assert!(dependencies(Path::new(bytes)).is_err());
    }

    #[test]
    fn our_packages_are_built_as_in_the_workspace() {
        let profiles: Table = "[dev]\nopt-level = 1\ndebug = \"line-tables-only\"\n\
                               [dev.package.\"*\"]\nopt-level = 0\n"
            .parse()
            .expect("TOML");
        let lock =
            "[[package]]\nname = \"ours\"\n[[package]]\nname = \"theirs\"\nsource = \"registry\"\n";
        let dev = &as_at_home(&profiles, lock)["dev"]["package"];
        assert_eq!(dev["ours"]["opt-level"].as_integer(), Some(1));
        assert_eq!(dev["*"]["opt-level"].as_integer(), Some(0));
        assert!(dev.get("theirs").is_none());
    }
}
