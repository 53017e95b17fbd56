//! Where the exercises are: `stageN/NAME/exercise.toml` in the folder `exercises`. A folder is
//! all that makes one. The package's build script uses this file too.

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

/// The folders in `exercises`, by stage and name.
pub fn folders(exercises: &Path) -> Vec<Folder> {
    let mut found = Vec::new();
    for (stage, path) in entries(exercises) {
        let number = stage.strip_prefix("stage").and_then(|n| n.parse().ok());
        let Some(stage) = number else { continue };
        for (name, path) in entries(&path) {
            if path.join("exercise.toml").is_file() {
                found.push(Folder { stage, name, path });
            }
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|e| Some((e.file_name().into_string().ok()?, e.path())))
}
