//! Lists the folders of the exercises as modules. For each stage it writes a file of modules,
//! and an array with each exercise's name, text and judge, which `src/stageN.rs` includes.
//!
//! The paths are put together by the compiler from `CARGO_MANIFEST_DIR` and not written down
//! here: a checkout may be moved together with what was built in it, and then this program
//! does not run again.

#[path = "../card/src/folders.rs"]
mod folders;

use folders::folders;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut stages: BTreeMap<u8, (String, String)> = BTreeMap::new();
    for folder in folders(&here.join("..")) {
        let (stage, name) = (folder.stage, &folder.name);
        let (modules, list) = stages.entry(stage).or_default();
        let module = name.replace('-', "_");
        let file = |file| {
            format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../stage{stage}/{name}/{file}\")")
        };
        let _ = writeln!(
            modules,
            "/// The judge of `{name}`, and what the learner's piece may call.\n\
             pub mod {module} {{ include!({}); }}",
            file("judge.rs")
        );
        let _ = writeln!(
            list,
            "Found {{ name: \"{name}\", text: include_str!({}), judge: &{module}::JUDGE }},",
            file("exercise.toml")
        );
    }
    for (stage, (modules, list)) in stages {
        let text = format!("{modules}\npub(crate) const ALL: &[Found] = &[\n{list}];\n");
        std::fs::write(out.join(format!("stage{stage}.rs")), text).expect("OUT_DIR can be written");
        // The whole folder, so that a new exercise is seen.
        println!("cargo::rerun-if-changed=../stage{stage}");
    }
    println!("cargo::rerun-if-changed=../card/src/folders.rs");
}
