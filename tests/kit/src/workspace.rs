//! Where this workspace is, for its own packages.

use std::path::{Path, PathBuf};

/// The workspace that this process belongs to: the nearest one above the package that cargo
/// runs, else above the current folder, else above this program.
///
/// Decided when the program runs. A checkout can be moved or copied together with its target
/// folder; cargo then rebuilds nothing, and a path from build time names the old checkout.
pub fn workspace() -> Option<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let (here, own) = (std::env::current_dir(), std::env::current_exe());
    [package, here.ok(), own.ok()]
        .into_iter()
        .flatten()
        .find_map(|from| workspace_above(&from))
}

fn workspace_above(from: &Path) -> Option<PathBuf> {
    let ours = |dir: &&Path| {
        ["stage1-coop", "exercises", "tests"]
            .iter()
            .all(|package| dir.join(package).join("Cargo.toml").is_file())
    };
    from.ancestors().find(ours).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::workspace_above;
    use crate::fresh_folder;

    #[test]
    fn a_workspace_is_found_from_below_and_a_copy_finds_itself() {
        let dir = fresh_folder("safepoint-unit-").expect("a folder");
        let copy = dir.join("a copy");
        for package in ["stage1-coop", "exercises", "tests"] {
            std::fs::create_dir_all(copy.join(package)).expect("a folder");
            std::fs::write(copy.join(package).join("Cargo.toml"), "").expect("a file");
        }
        let program = copy.join("target/debug/exercises");
        assert_eq!(workspace_above(&program), Some(copy.clone()));
        assert_eq!(workspace_above(&copy.join("tests")), Some(copy));
        assert_eq!(workspace_above(&dir), None);
        std::fs::remove_dir_all(dir).expect("it is there");
    }
}
