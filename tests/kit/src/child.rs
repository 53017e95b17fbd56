//! Child processes with a time limit and without the runtime's switches, and folders for what
//! they leave.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The runtime's switches in the environment.
pub const SWITCHES: [&str; 6] = [
    "GOMAXPROCS",
    "GODEBUG",
    "GOTRACEBACK",
    "SAFEPOINT_SEED",
    "SAFEPOINT_TRACE",
    "SAFEPOINT_TRACE_MAP",
];

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
    for name in SWITCHES.iter().chain(&["RUST_BACKTRACE"]) {
        command.env_remove(name);
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

/// A new folder for temporary files. Folders of processes that are gone, and that could not
/// remove theirs, are removed here if they are older than an hour: a process that is not
/// visible from here may be in a container that shares the folder.
///
/// # Errors
/// The system's.
pub fn fresh_folder(prefix: &str) -> std::io::Result<PathBuf> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, SeqCst);
    let temp = std::env::temp_dir();
    if n == 0 {
        remove_what_was_left(&temp);
    }
    let dir = temp.join(format!("{prefix}{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn remove_what_was_left(temp: &Path) {
    for entry in temp.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|n| n.strip_prefix("safepoint-")?.rsplit('-').nth(1))
            .and_then(|pid| pid.parse::<u32>().ok());
        let modified = entry.metadata().and_then(|m| m.modified());
        let old = modified.is_ok_and(|m| m.elapsed().is_ok_and(|t| t > AN_HOUR));
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) && old {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
