//! The modules of all stages, as text: `build.rs` writes it, and `src/lib.rs` includes it.
//!
//! The paths are put together by the compiler from `CARGO_MANIFEST_DIR` and not written down
//! here: a checkout may be moved together with what was built in it, and then `build.rs` does
//! not run again.
//!
//! Tests: `exercises/tests/proof/folders.rs`.

use safepoint_card::Folder;
use std::fmt::Write;

/// A module for each stage, with what the judges of the stage share and a module for each
/// exercise; and the list of them all.
pub fn modules(folders: &[Folder]) -> String {
    let (mut text, mut stages, mut last) = (String::new(), String::new(), 0);
    for here in folders.chunk_by(|a, b| a.stage == b.stage) {
        let stage = here[0].stage;
        let mut list = String::new();
        let _ = writeln!(
            text,
            "/// The exercises of stage {stage}, and what their judges share.\n\
             pub mod stage{stage} {{\n{}",
            include(&format!("stage{stage}/shared.rs"))
        );
        for Folder { name, .. } in here {
            let module = name.replace('-', "_");
            let _ = writeln!(
                text,
                "/// The judge of `{name}`, and what the learner's piece may call.\n\
                 pub mod {module} {{ {} }}",
                include(&format!("stage{stage}/{name}/judge.rs"))
            );
            let _ = writeln!(
                list,
                "crate::catalogue::Found {{ stage: {stage}, name: \"{name}\", text: include_str!({}), judge: &{module}::JUDGE }},",
                path(&format!("stage{stage}/{name}/exercise.toml"))
            );
        }
        let _ = writeln!(
            text,
            "pub(crate) const ALL: &[crate::catalogue::Found] = &[\n{list}];\n}}"
        );
        let _ = write!(stages, "stage{stage}::ALL, ");
        last = stage;
    }
    let _ = writeln!(
        text,
        "/// Every exercise, by stage.\n\
         pub(crate) const ALL: &[&[catalogue::Found]] = &[{stages}];\n\
         /// The kinds of events in the traces of all exercises: those of the last stage.\n\
         pub const KINDS: safepoint_testkit::trace::Kinds = stage{last}::library::STAGE.kinds;"
    );
    text
}

fn include(file: &str) -> String {
    format!("include!({});", path(file))
}

fn path(file: &str) -> String {
    format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../{file}\")")
}
