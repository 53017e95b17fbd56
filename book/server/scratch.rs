//! A temporary folder that is gone when its owner is.
//!
//! Pages are built in one, traces of runs are written into one. Removing it on `Drop`
//! means that every way out of the program, an error too, leaves nothing behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder of our own.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new folder in the system's place for temporary files.
    pub fn new() -> io::Result<Scratch> {
        Scratch::within(&std::env::temp_dir())
    }

    /// A new folder inside `parent`: needed when its contents are to be moved by renaming.
    pub fn within(parent: &Path) -> io::Result<Scratch> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(parent)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("safepoint-book-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch { path }),
                // Left by a process that had our number and was killed: take the next name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing useful can be done when it fails; the folder is in the temporary place.
        let _ = fs::remove_dir_all(&self.path);
    }
}
