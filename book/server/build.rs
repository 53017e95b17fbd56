//! Builds the pages with mdBook, in this process.
//!
//! A build goes to a folder of its own first and takes its place only when it is whole, so
//! that a failed one leaves the old pages alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use mdbook_driver::MDBook;

use crate::preprocess::Safepoint;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// Renders the book into `out`, which should be an empty folder or not exist.
pub fn render(ws: &Workspace, out: &Path, strict: bool) -> Result<()> {
    let mut book = MDBook::load(ws.book())
        .with_context(|| format!("cannot load the book in {}", ws.book().display()))?;
    book.config.build.build_dir = out.to_path_buf();
    // Takes the place of the command of the same name in book.toml.
    book.with_preprocessor(Safepoint::new(ws.clone(), strict));
    book.build()
}

/// Builds the book for hosting: strict, and all or nothing.
pub fn publish(ws: &Workspace, out: &Path) -> Result<()> {
    if !replaceable(out) {
        bail!(
            "{} holds files that are not an earlier build of this book; choose an empty or new folder with --out",
            out.display()
        );
    }
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let fresh =
        Scratch::within(parent).with_context(|| format!("cannot write to {}", parent.display()))?;
    let pages = fresh.path().join("pages");
    // mdBook takes the folder as relative to the book, a user means the current one.
    render(ws, &std::path::absolute(&pages)?, true)?;
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot replace {}", out.display()))?;
    }
    fs::rename(&pages, out).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(())
}

/// May this folder be replaced? Only when it is missing, empty, or clearly ours.
fn replaceable(out: &Path) -> bool {
    match fs::read_dir(out) {
        Err(_) => !out.exists(),
        Ok(mut entries) => {
            entries.next().is_none()
                || (out.join("toc.html").is_file() && out.join(".nojekyll").is_file())
        }
    }
}

/// A number that changes when any source of the pages does: name, size or time of a file.
pub fn stamp(ws: &Workspace) -> u64 {
    let mut roots = vec![
        ws.book(),
        ws.root.join(mechanisms::FILE),
        ws.root.join("BENCHMARKS.md"),
        // Listings come from these too.
        ws.root.join("tests"),
        ws.snapshots.dir().to_path_buf(),
    ];
    // Not the whole folder: the reader's progress and attempts are in it too.
    let exercises = fs::read_dir(ws.root.join("exercises"));
    for entry in exercises.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("stage") {
            roots.push(entry.path());
        }
    }
    roots.extend(ws.stages().iter().map(|stage| ws.root.join(stage)));
    let mut sum = 0;
    for root in roots {
        add(&root, &mut sum);
    }
    sum
}

/// Adds a file, or all files of a folder. A sum does not depend on the folder's order.
fn add(path: &Path, sum: &mut u64) {
    if let Ok(entries) = fs::read_dir(path) {
        for entry in entries.flatten() {
            add(&entry.path(), sum);
        }
    } else if let Ok(meta) = fs::metadata(path) {
        let time = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let time = time.map_or(0, |time| time.as_nanos());
        *sum = sum.wrapping_add(hash(&(path.to_path_buf(), meta.len(), time)));
    }
}

fn hash(what: &(PathBuf, u64, u128)) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
