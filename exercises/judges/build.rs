//! Looks at the exercises' folders, and lists them as modules (`list.rs`). What is wrong with a
//! folder or with its `exercise.toml` is said here, in one line, before anything is compiled.

mod list;

use safepoint_card::{Card, Folder, folders};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    // Cargo can watch no folder that is not there yet. A new stage adds its crate to this file.
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed=list.rs");
    let exercises = here.join("..");
    let found = match folders(&exercises) {
        Ok(found) => found,
        Err(why) => return say(&why),
    };
    let stages: BTreeSet<u8> = found.iter().map(|folder| folder.stage).collect();
    for stage in stages {
        // The whole folder, so that a new exercise is seen.
        println!("cargo::rerun-if-changed=../stage{stage}");
        let shared = format!("stage{stage}/shared.rs");
        if !exercises.join(&shared).is_file() {
            say(&format!(
                "exercises/{shared} is missing: what the judges of the stage share"
            ));
        }
    }
    for folder in &found {
        if let Err(why) = whole(folder) {
            say(&why);
        }
    }
    let text = list::modules(&found);
    std::fs::write(out.join("stages.rs"), text).expect("OUT_DIR can be written");
}

/// Whether the folder's texts can be read and its judge is there.
fn whole(folder: &Folder) -> Result<(), String> {
    let shown = folder.shown();
    let text = std::fs::read_to_string(folder.path.join("exercise.toml"))
        .map_err(|error| format!("{shown}/exercise.toml: {error}"))?;
    Card::parse(folder, &text)?;
    if !folder.path.join("judge.rs").is_file() {
        return Err(format!("{shown}: there is no judge.rs in it"));
    }
    Ok(())
}

/// Ends the build with this line.
fn say(line: &str) {
    println!("cargo::error={line}");
}
