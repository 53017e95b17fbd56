//! Where the exercises are: `stageN/NAME/exercise.toml` in the folder `exercises`. A folder is
//! all that makes an exercise, and all that makes a stage, so its name has to be a good one:
//! it becomes a word of the command line, a file in `work/` and a module of Rust.
//!
//! Tests: `exercises/tests/proof/folders.rs`.

use std::path::{Path, PathBuf};

/// The folder of one exercise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// The stage whose chapters bring it.
    pub stage: u8,
    /// Its name on the command line.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Folder {
    /// The folder as a reader of the repository types it.
    pub fn shown(&self) -> String {
        format!("exercises/stage{}/{}", self.stage, self.name)
    }
}

/// The folders in `exercises`, by stage and name. Names that begin with a dot belong to editors
/// and to the system, and a file beside the folders is no exercise.
///
/// # Errors
/// The first folder, in the order of names, that is no stage or no exercise, and why: one line.
pub fn folders(exercises: &Path) -> Result<Vec<Folder>, String> {
    let mut found: Vec<Folder> = Vec::new();
    for (place, path) in subfolders(exercises, "exercises")? {
        let Some(number) = place.strip_prefix("stage") else {
            continue;
        };
        let place = format!("exercises/{}", place.escape_debug());
        let stage = stage(number).ok_or_else(|| {
            format!("{place}: a stage's folder is `stage` and its number, from 1 to 99")
        })?;
        for (name, path) in subfolders(&path, &place)? {
            let problem = |why: &str| format!("{place}/{}: {why}", name.escape_debug());
            check(&name).map_err(|why| problem(&why))?;
            if let Some(twin) = found.iter().find(|f| plain(&f.name) == plain(&name)) {
                return Err(problem(&format!(
                    "{} has this name already; on the command line only letters and digits count",
                    twin.shown()
                )));
            }
            if !path.join("exercise.toml").is_file() {
                return Err(problem("there is no exercise.toml in it"));
            }
            found.push(Folder { stage, name, path });
        }
    }
    found.sort();
    Ok(found)
}

/// The folders in a folder, by name. A name that is no UTF-8 has a replacement character.
fn subfolders(folder: &Path, shown: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let cannot = |error| format!("{shown}: it cannot be read: {error}");
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The number of a stage in the only form that it has: `1`, and not `01` or `+1`.
fn stage(number: &str) -> Option<u8> {
    let stage: u8 = number.parse().ok().filter(|n| (1..=99).contains(n))?;
    (stage.to_string() == number).then_some(stage)
}

/// What the command line reads of a name.
fn plain(name: &str) -> String {
    name.replace('-', "")
}

/// Whether an exercise can have this name.
fn check(name: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(fits);
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if name.len() > 32 || !begins || !name.split('-').all(is_word) {
        return Err(
            "an exercise's name has at most 32 characters: lower-case letters and digits, \
             in words joined by `-`, such as `half-plus-one`"
                .to_owned(),
        );
    }
    if TAKEN.contains(&name) {
        return Err(format!(
            "an exercise becomes a module of its name, and `{name}` means something else in Rust \
             or in the judges"
        ));
    }
    Ok(())
}

/// Rust's keywords, the reserved ones too, its own crates, and what the judges of every stage
/// have beside the modules of its exercises.
const TAKEN: &[&str] = &[
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue",
    "core", "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen",
    "if", "impl", "in", "let", "library", "loop", "macro", "match", "mod", "move", "mut",
    "override", "priv", "pub", "ref", "return", "rt", "self", "static", "std", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where",
    "while", "yield",
];
