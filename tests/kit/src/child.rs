//! Child processes with a time limit and without the runtime's switches, and folders for what
//! they leave.

use stage1_coop::rt::life::SWITCHES;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a scenario may take unless it says otherwise. A quiet machine needs a tenth.
pub const LIMIT: Duration = Duration::from_secs(60);

const AN_HOUR: Duration = Duration::from_secs(3_600);

/// How a child process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Exit status; `None` if a signal ended it, or the limit.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// The time limit ended it.
    pub timed_out: bool,
}

/// Runs `command` with none of the runtime's switches in its environment except those in
/// `env`, and kills it after `limit`.
///
/// # Errors
/// The system's, if the program cannot be started; with the program's path.
pub fn try_run(
    command: &mut Command,
    env: &[(&str, &str)],
    limit: Duration,
) -> std::io::Result<Ended> {
    command.env_remove("RUST_BACKTRACE");
    for switch in SWITCHES {
        command.env_remove(switch.name);
    }
    command
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| {
        let program = Path::new(command.get_program()).display();
        std::io::Error::new(e.kind(), format!("{program} cannot be started: {e}"))
    })?;
    let read = |from: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut from) = from {
                let _ = from.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|s| Box::new(s) as _));
    let stderr = read(child.stderr.take().map(|s| Box::new(s) as _));
    let deadline = Instant::now() + limit;
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            timed_out = true;
            let _ = child.kill();
            break child.wait()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ok(Ended {
        code: status.code(),
        signal: status.signal(),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        timed_out,
    })
}

/// [`try_run`] for a program that is known to be there.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn run(command: &mut Command, env: &[(&str, &str)], limit: Duration) -> Ended {
    match try_run(command, env, limit) {
        Ok(ended) => ended,
        Err(error) => panic!("{error}"),
    }
}

/// A folder of our own for temporary files, in the system's folder for them. Those of
/// processes that are gone, and that had no chance to remove theirs, are removed on the way.
///
/// # Errors
/// The system's.
pub fn fresh_folder(prefix: &str) -> std::io::Result<PathBuf> {
    fresh_folder_in(&std::env::temp_dir(), prefix)
}

/// The same, in another folder.
///
/// # Errors
/// The system's.
pub fn fresh_folder_in(parent: &Path, prefix: &str) -> std::io::Result<PathBuf> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let n = NEXT.fetch_add(1, SeqCst);
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.insert(parent.to_owned()) {
        for entry in parent.read_dir().into_iter().flatten().flatten() {
            if is_left_over(&entry.path()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
    drop(swept);
    let dir = parent.join(format!("{prefix}{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    hold(&dir);
    Ok(dir)
}

/// Locks a file in `dir` until this process ends. The name appears only when the lock is
/// taken, so another process never finds it free too early.
fn hold(dir: &Path) {
    static HELD: Mutex<Vec<std::fs::File>> = Mutex::new(Vec::new());
    let new = dir.join(".lock.new");
    // On a file system without locks, age decides.
    if let Ok(file) = std::fs::File::create(&new)
        && file.try_lock().is_ok()
        && std::fs::rename(&new, dir.join(LOCK)).is_ok()
    {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        // A folder that was removed needs its lock no longer: its file has no name.
        held.retain(|f| f.metadata().is_ok_and(|m| m.nlink() > 0));
        held.push(file);
    }
}

const LOCK: &str = ".lock";

/// Whether this is a folder of [`fresh_folder`] whose process is gone. The lock says so, even
/// across containers that share the folder. Without a lock the process must be gone for more
/// than an hour, since a process that we cannot see may run in another container.
fn is_left_over(dir: &Path) -> bool {
    let owner = dir
        .file_name()
        .and_then(|n| n.to_str()?.strip_prefix("safepoint-")?.rsplit('-').nth(1))
        .and_then(|pid| pid.parse::<u32>().ok());
    let Some(pid) = owner.filter(|&pid| pid != std::process::id()) else {
        return false;
    };
    match std::fs::File::open(dir.join(LOCK)) {
        Ok(file) => file.try_lock().is_ok(),
        Err(_) => {
            let modified = dir.metadata().and_then(|m| m.modified());
            let old = modified.is_ok_and(|m| m.elapsed().is_ok_and(|t| t > AN_HOUR));
            old && !Path::new(&format!("/proc/{pid}")).exists()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LOCK, fresh_folder, is_left_over};

    #[test]
    fn the_folder_of_a_process_that_was_killed_goes_at_once_and_that_of_a_live_one_stays() {
        let mine = fresh_folder("safepoint-unit-").expect("a folder");
        // As another process would see it: only the owner's number differs.
        let other = mine.with_file_name(format!("safepoint-unit-{}-0", u32::MAX));
        std::fs::rename(&mine, &other).expect("it can be moved");
        assert!(!is_left_over(&other), "its owner still holds the lock");
        let dead = mine.with_file_name(format!("safepoint-unit-{}-1", u32::MAX));
        std::fs::create_dir_all(&dead).expect("a folder");
        assert!(!is_left_over(&dead), "young, and without a lock");
        std::fs::File::create(dead.join(LOCK)).expect("a file");
        assert!(is_left_over(&dead), "nobody holds its lock");
        for dir in [other, dead] {
            std::fs::remove_dir_all(dir).expect("it is there");
        }
    }
}
