//! Where things are: the workspace, its stages, and the examples that a page may run.
//!
//! The list of examples is read from the folders `stage*/examples`. It is also the whole
//! allow-list of the server: a name that is not found here is never run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files;
use crate::snapshot::Snapshots;

/// The workspace that this book belongs to.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The recorded runs.
    pub snapshots: Snapshots,
}

/// The nearest workspace that holds `from`.
fn above(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .find(|dir| dir.join("book/book.toml").is_file())
        .map(Path::to_path_buf)
}

/// A program of a stage that a page shows and runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The stage's package, which is also its folder.
    pub pkg: String,
    /// The file's name without `.rs`.
    pub name: String,
    /// The first line of the head comment.
    pub title: String,
    /// The argument variants that the head comment offers with `Try:`.
    pub tries: Vec<String>,
    /// Does it have a third party that can raise the flag when asked?
    pub flag: bool,
    /// The whole source.
    pub source: String,
}

impl Workspace {
    /// The workspace that this process belongs to: the nearest one above the package that
    /// cargo runs, else above the current folder, else above this program; else the current
    /// folder itself.
    ///
    /// Decided when the program runs. A checkout can be moved or copied together with its
    /// target folder; cargo then rebuilds nothing, and a path from build time names the old
    /// checkout.
    pub fn find() -> Workspace {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let (here, own) = (std::env::current_dir(), std::env::current_exe());
        let found = [package, here.ok(), own.ok()]
            .into_iter()
            .flatten()
            .find_map(|from| above(&from));
        Workspace::at(found.unwrap_or_else(|| PathBuf::from(".")))
    }

    /// The workspace in this folder.
    pub fn at(root: impl Into<PathBuf>) -> Workspace {
        let root = root.into();
        let snapshots = Snapshots::new(root.join("tests/snapshots"));
        Workspace { root, snapshots }
    }

    /// The folder with `book.toml`.
    pub fn book(&self) -> PathBuf {
        self.root.join("book")
    }

    /// The stages, in order of their names.
    pub fn stages(&self) -> Vec<String> {
        let Ok(dir) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let mut names: Vec<String> = dir
            .flatten()
            .filter(|entry| entry.path().join("Cargo.toml").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with("stage") && plain(name))
            .collect();
        names.sort();
        names
    }

    /// All examples of all stages.
    pub fn examples(&self) -> Vec<Example> {
        let mut all = Vec::new();
        for pkg in self.stages() {
            let Ok(dir) = fs::read_dir(self.root.join(&pkg).join("examples")) else {
                continue;
            };
            let mut names: Vec<String> = dir
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter_map(|file| Some(file.strip_suffix(".rs")?.to_string()))
                .collect();
            names.sort();
            all.extend(names.iter().filter_map(|name| self.example(&pkg, name)));
        }
        all
    }

    /// One example, if there is one of that name.
    pub fn example(&self, pkg: &str, name: &str) -> Option<Example> {
        // Both names become parts of paths and of command lines.
        if !plain(name) || !self.stages().iter().any(|stage| stage == pkg) {
            return None;
        }
        let path = self
            .root
            .join(pkg)
            .join("examples")
            .join(format!("{name}.rs"));
        let source = files::text(&path, files::MOST).ok()?;
        Some(Example::new(pkg, name, source))
    }

    /// The names of a stage's examples, for "did you mean" lines.
    pub fn example_names(&self) -> Vec<String> {
        self.examples()
            .iter()
            .map(|example| format!("{}/{}", example.pkg, example.name))
            .collect()
    }
}

impl Example {
    fn new(pkg: &str, name: &str, source: String) -> Example {
        let head = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim);
        let title = head.clone().next().unwrap_or(name);
        let title = title.trim_end_matches('.').to_string();
        let tries = head
            .filter_map(|line| line.strip_prefix("Try:"))
            .map(|rest| rest.trim().trim_matches('`').to_string())
            .filter(|variant| !variant.is_empty())
            .collect();
        Example {
            pkg: pkg.to_string(),
            name: name.to_string(),
            title,
            tries,
            flag: source.contains("third_party("),
            source,
        }
    }

    /// The command that runs it without the book.
    pub fn command(&self) -> String {
        format!("cargo run -p {} --example {}", self.pkg, self.name)
    }
}

/// A name without anything that a path or a command line could read as more than a name.
fn plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_comment_is_read() {
        let source = "//! A tower of calls.\n//!\n//! Text.\n//! Try: --forever\nfn main() { third_party(1) }\n//! Try: --no\n";
        let example = Example::new("stage1-coop", "deep", source.to_string());
        assert_eq!(example.title, "A tower of calls");
        assert_eq!(example.tries, ["--forever"]);
        assert!(example.flag);
    }

    #[test]
    fn names_are_only_names() {
        for good in ["two_hogs", "stage1-coop", "a"] {
            assert!(plain(good), "{good}");
        }
        for bad in ["", "../x", "a/b", "--release", "a b", ".hidden", "a.rs"] {
            assert!(!plain(bad), "{bad}");
        }
    }
}
