//! Running an attempt: in a process group of its own, with limits on time, memory and
//! output, without a terminal, and with its trace in a file of ours.

use super::Program;
use crate::attempt::{Case, LIMIT_VARIABLE, Limit, Run};
use ::tests::trace_of::Trace;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// MiB of resident memory that an attempt may take.
const MEMORY_MIB: u64 = 512;
/// Bytes of its output that are kept.
const OUTPUT: usize = 1 << 20;
/// Time between its own limit, at which it saves its trace, and ours.
const GRACE: Duration = Duration::from_millis(700);

/// The process group that runs now, for the handler of Ctrl-C.
static GROUP: AtomicI32 = AtomicI32::new(0);

/// Kills what runs now, if anything does. Async-signal-safe.
pub fn kill_current() {
    let group = GROUP.load(SeqCst);
    if group > 0 {
        // SAFETY: kill takes no pointers; the group is a child of ours that was not yet
        // waited for, so its number belongs to nobody else.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Runs one case.
///
/// # Errors
/// If the program cannot be started.
pub fn run(
    program: &Program<'_>,
    case: &Case,
    seed: Option<u64>,
    limit: Duration,
) -> std::io::Result<Run> {
    let traces = Traces::new()?;
    let mut command = Command::new(program.path);
    command.args(program.arguments).arg(case.name);
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "GOTRACEBACK",
        "SAFEPOINT_SEED",
        "RUST_BACKTRACE",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command.env("GOMAXPROCS", case.procs.to_string());
    command.env(LIMIT_VARIABLE, limit.as_millis().to_string());
    if let Some(seed) = seed {
        command.env("SAFEPOINT_SEED", seed.to_string());
    }
    traces.announce(&mut command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe { command.pre_exec(move || limits(parent)) };

    let mut child = command.spawn()?;
    let group = child.id() as i32;
    GROUP.store(group, SeqCst);
    let out = keep(child.stdout.take());
    let err = keep(child.stderr.take());
    let deadline = Instant::now() + limit + GRACE;
    let ended = wait(&mut child, deadline, limit);
    // Whoever it started goes with it. Still a zombie of ours here, so the group exists.
    // SAFETY: as in `kill_current`.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    GROUP.store(0, SeqCst);
    let status = child.wait()?;
    let (out, err) = (text(out), text(err));
    let (out, model) = match out.split_once("@trace\n") {
        Some((before, model)) => (before.to_owned(), Some(model.to_owned())),
        None => (out, None),
    };
    let text = model.unwrap_or_else(|| traces.read());
    Ok(Run {
        code: status.code(),
        signal: status.signal(),
        limit: ended,
        out,
        err,
        trace: Trace::parse(&text),
        text,
    })
}

/// In the child: dies with its parent, leaves no core, and cannot burn a processor for
/// ever if nobody is left to end it.
fn limits(parent: u32) -> std::io::Result<()> {
    let set = |what, n| {
        let limit = libc::rlimit {
            rlim_cur: n,
            rlim_max: n,
        };
        // SAFETY: the structure is ours.
        unsafe { libc::setrlimit(what, &limit) }
    };
    set(libc::RLIMIT_CORE, 0);
    set(libc::RLIMIT_CPU, 120);
    // SAFETY: prctl with these arguments takes no pointers; getppid has no arguments.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() as u32 != parent {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// Waits until the child is a zombie or must be ended; does not collect it.
fn wait(child: &mut Child, deadline: Instant, limit: Duration) -> Option<Limit> {
    let pid = child.id();
    let mut pause = Duration::from_millis(1);
    loop {
        if is_zombie(pid) {
            return None;
        }
        if Instant::now() > deadline {
            return Some(Limit::Time(limit));
        }
        if resident_mib(pid) > MEMORY_MIB {
            return Some(Limit::Memory(MEMORY_MIB));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(8));
    }
}

fn is_zombie(pid: u32) -> bool {
    // SAFETY: a zeroed siginfo is valid; the structure is ours.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid, &mut info, flags) != 0 || info.si_pid() != 0
    }
}

fn resident_mib(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * 4 / 1024)
}

/// Reads everything, and keeps the beginning: a program that prints without an end must
/// neither block nor fill our memory.
fn keep(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let Some(mut from) = from else { return kept };
        let mut chunk = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut chunk) {
            let room = OUTPUT.saturating_sub(kept.len());
            kept.extend_from_slice(&chunk[..n.min(room)]);
        }
        kept
    })
}

/// The text, without what could change a terminal's mode or colours.
fn text(from: JoinHandle<Vec<u8>>) -> String {
    let bytes = from.join().unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect()
}

/// Where the trace comes to lie: the text that the runtime writes at the end of a run, and
/// a mapping that holds the last events whatever becomes of the process.
struct Traces {
    dir: PathBuf,
}

/// Bytes of one event in the mapping: its number, and its line.
const RECORD: usize = 128;
/// Events that it holds.
const RECORDS: usize = 1 << 15;

impl Traces {
    fn new() -> std::io::Result<Traces> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = std::env::temp_dir().join(format!(
            "safepoint-exercise-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Relaxed)
        ));
        std::fs::create_dir_all(&dir)?;
        // Sparse: it takes room only where there are events.
        std::fs::File::create(dir.join("map"))?.set_len((RECORD * RECORDS) as u64)?;
        Ok(Traces { dir })
    }

    fn announce(&self, command: &mut Command) {
        command.env("SAFEPOINT_TRACE", self.dir.join("trace.txt"));
        command.env("SAFEPOINT_TRACE_MAP", self.dir.join("map"));
    }

    /// The text if there is one; else what the mapping holds, the last events first lost.
    fn read(&self) -> String {
        match std::fs::read_to_string(self.dir.join("trace.txt")) {
            Ok(text) if !text.is_empty() => text,
            _ => std::fs::read(self.dir.join("map"))
                .map(|bytes| from_map(&bytes))
                .unwrap_or_default(),
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Reads a mapping: records of a number (from 1, 0 is an empty or unfinished one) and a
/// line, in a ring.
fn from_map(bytes: &[u8]) -> String {
    let mut lines: Vec<(u64, String)> = bytes
        .chunks_exact(RECORD)
        .filter_map(|record| {
            let (number, line) = record.split_at(8);
            let number = u64::from_ne_bytes(number.try_into().ok()?);
            let end = line.iter().position(|&b| b == 0).unwrap_or(line.len());
            (number != 0).then(|| (number, String::from_utf8_lossy(&line[..end]).into_owned()))
        })
        .collect();
    lines.sort_by_key(|&(number, _)| number);
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_in_order_and_without_what_is_unfinished() {
        let record = |number: u64, line: &str| {
            let mut bytes = vec![0; RECORD];
            bytes[..8].copy_from_slice(&number.to_ne_bytes());
            bytes[8..8 + line.len()].copy_from_slice(line.as_bytes());
            bytes
        };
        let bytes = [record(3, "c"), record(0, "half"), record(2, "b")].concat();
        assert_eq!(from_map(&bytes), "b\nc\n");
    }

    #[test]
    fn output_cannot_change_the_terminal() {
        let bytes = b"a\x1b[31mb\x07\tc\n\x9bd".to_vec();
        let shown = text(std::thread::spawn(move || bytes));
        assert_eq!(shown, "a[31mb\tc\n\u{fffd}d");
    }
}
