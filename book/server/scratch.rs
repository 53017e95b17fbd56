//! A temporary folder that is gone when its owner is.
//!
//! Pages are built in one, traces of runs are written into one. Removing it on `Drop`
//! means that every way out of the program, an error too, leaves nothing behind. A process
//! that was killed cannot do that. Its folders stay until `sweep`, at the next start: the
//! owner of a folder holds a lock on it, and the system releases the lock of a dead process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "safepoint-book-";

/// A folder of our own.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Says that the folder has an owner. `None` where folders cannot be locked.
    _lock: Option<File>,
}

impl Scratch {
    /// A new folder in the system's place for temporary files.
    pub fn new() -> io::Result<Scratch> {
        Scratch::within(&std::env::temp_dir())
    }

    /// A new folder inside `parent`: needed when its contents are to be moved by renaming.
    pub fn within(parent: &Path) -> io::Result<Scratch> {
        Scratch::make(parent).map_err(|error| {
            let line = format!("cannot make a folder in {}: {error}", parent.display());
            io::Error::new(error.kind(), line)
        })
    }

    fn make(parent: &Path) -> io::Result<Scratch> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(parent)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{NAME}{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {}
                // Left by a process that had our number and was killed: take the next name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            let lock = File::open(&path).ok();
            let locked = lock.as_ref().is_none_or(|lock| lock.try_lock().is_ok());
            // Another start may have swept it away before it was locked.
            if locked && path.is_dir() {
                return Ok(Scratch { path, _lock: lock });
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

/// Removes this process's folders in the system's temporary place: it ends now, and a thread that
/// still builds pages will not drop its own.
pub fn leave() {
    let mine = format!("{NAME}{}-", process::id());
    let entries = fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&mine) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Removes the folders that killed processes left in the system's temporary place.
pub fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| {
            let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            name.strip_prefix(NAME)
                .and_then(|rest| rest.split_once('-'))
                .is_some_and(|(process, folder)| number(process) && number(folder))
        });
        // A link to a folder is no folder of ours.
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // Another user's folder refuses this, and that is as it should be.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_owner_is_swept() {
        let place = Scratch::new().unwrap();
        let at = |name: &str| place.path().join(name);
        let mine = Scratch::within(place.path()).unwrap();
        fs::write(mine.path().join("run-0.txt"), "x").unwrap();
        fs::create_dir_all(at("safepoint-book-1-0/deep")).unwrap();
        fs::create_dir(at("safepoint-book-x-0")).unwrap();
        fs::create_dir(at("other")).unwrap();
        std::os::unix::fs::symlink(at("other"), at("safepoint-book-2-0")).unwrap();
        sweep_in(place.path());
        assert!(!at("safepoint-book-1-0").exists(), "its process is gone");
        assert!(mine.path().join("run-0.txt").exists(), "ours is in use");
        for kept in ["safepoint-book-x-0", "other", "safepoint-book-2-0"] {
            assert!(at(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn an_error_names_the_place() {
        let error = Scratch::within(Path::new("/dev/null")).unwrap_err();
        assert!(error.to_string().contains("/dev/null"), "{error}");
    }
}
