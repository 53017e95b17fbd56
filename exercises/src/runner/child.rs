//! Running an attempt, or the compiler: in a process group of its own, with limits on time,
//! memory and output, and without a terminal. An attempt leaves its trace in a file of ours.

use super::Program;
use crate::attempt::{Case, LIMIT_VARIABLE, Limit, MARK_VARIABLE, Run};
use safepoint_testkit::trace::Trace;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::*};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// MiB of resident memory that an attempt may take.
const MEMORY_MIB: u64 = 512;
/// Bytes that are kept of the beginning of its output, and as many of the end.
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
    let mark = format!("{:016x}", RandomState::new().hash_one(case.name));
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
    command.env(MARK_VARIABLE, &mark);
    if let Some(seed) = seed {
        command.env("SAFEPOINT_SEED", seed.to_string());
    }
    traces.announce(&mut command);
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            set_limit(libc::RLIMIT_CORE, 0);
            set_limit(libc::RLIMIT_CPU, 120);
            end_with(parent)
        })
    };
    let (output, over) = in_a_group(&mut command, limit + GRACE, MEMORY_MIB)?;
    let (said, out) = apart(&text(&output.stdout), &format!("@{mark} "));
    let mut run = Run {
        code: output.status.code(),
        signal: output.status.signal(),
        limit: over.map(|over| match over {
            Over::Time => Limit::Time(limit),
            Over::Memory => Limit::Memory(MEMORY_MIB),
        }),
        said,
        out,
        err: text(&output.stderr),
        ..Run::default()
    };
    // A model has no runtime that writes a trace; it tells it.
    run.text = run
        .all("trace")
        .fold(String::new(), |t, line| t + line + "\n");
    if run.text.is_empty() {
        run.text = traces.read();
    }
    run.trace = Trace::parse(&run.text);
    Ok(run)
}

/// What was said behind the mark, and the rest. A learner's own output may stand in front
/// of the mark in the same line.
fn apart(out: &str, mark: &str) -> (String, String) {
    let (mut said, mut rest) = (String::new(), String::new());
    for line in out.lines() {
        match line.split_once(mark) {
            Some((before, what)) => {
                said.push_str(what);
                said.push('\n');
                rest.push_str(before);
            }
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (said, rest)
}

/// Runs a compiler: the same, with a limit on the time and on the address space of each of
/// its processes. True: it was ended.
///
/// # Errors
/// If it cannot be started.
pub(super) fn compile(
    mut command: Command,
    limit: Duration,
    bytes: u64,
) -> std::io::Result<(Output, bool)> {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            set_limit(libc::RLIMIT_AS, bytes);
            end_with(parent)
        })
    };
    let (output, over) = in_a_group(&mut command, limit, u64::MAX)?;
    Ok((output, over.is_some()))
}

/// In the child: sets a limit, as far as the system lets us.
fn set_limit(what: libc::__rlimit_resource_t, n: u64) {
    let limit = libc::rlimit {
        rlim_cur: n,
        rlim_max: n,
    };
    // SAFETY: the structure is ours.
    unsafe { libc::setrlimit(what, &limit) };
}

/// In the child: it dies with its parent.
fn end_with(parent: u32) -> std::io::Result<()> {
    // SAFETY: prctl with these arguments takes no pointers; getppid has no arguments.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() as u32 != parent {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// Which limit a child ran into.
enum Over {
    Time,
    Memory,
}

/// Runs a child in a process group of its own, without a terminal, and ends the group with
/// it or at a limit.
fn in_a_group(
    command: &mut Command,
    limit: Duration,
    mib: u64,
) -> std::io::Result<(Output, Option<Over>)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = child.id() as i32;
    GROUP.store(group, SeqCst);
    let out = keep(child.stdout.take());
    let err = keep(child.stderr.take());
    let over = wait(group, Instant::now() + limit, mib);
    // Whoever it started goes with it. Still a zombie of ours here, so the group exists.
    // SAFETY: as in `kill_current`.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    GROUP.store(0, SeqCst);
    let output = Output {
        status: child.wait()?,
        stdout: out.join().unwrap_or_default(),
        stderr: err.join().unwrap_or_default(),
    };
    Ok((output, over))
}

/// Waits until the child is a zombie or must be ended; does not collect it.
fn wait(pid: i32, deadline: Instant, mib: u64) -> Option<Over> {
    let mut pause = Duration::from_millis(1);
    loop {
        if is_zombie(pid) {
            return None;
        }
        if Instant::now() > deadline {
            return Some(Over::Time);
        }
        if resident_mib(pid) > mib {
            return Some(Over::Memory);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(8));
    }
}

fn is_zombie(pid: i32) -> bool {
    // SAFETY: a zeroed siginfo is valid; the structure is ours.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags) != 0 || info.si_pid() != 0
    }
}

fn resident_mib(pid: i32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * 4 / 1024)
}

/// Reads everything, and keeps the beginning and the end: a program that prints without an
/// end must neither block nor fill our memory.
fn keep(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut kept, mut end) = (Vec::new(), Vec::new());
        let Some(mut from) = from else { return kept };
        let mut chunk = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut chunk) {
            let (fits, more) = chunk[..n].split_at(n.min(OUTPUT - kept.len()));
            kept.extend_from_slice(fits);
            end.extend_from_slice(more);
            if end.len() > 2 * OUTPUT {
                end.drain(..end.len() - OUTPUT);
            }
        }
        kept.append(&mut end);
        kept
    })
}

/// The text, without what could change a terminal's mode or colours.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
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
        let dir = safepoint_testkit::fresh_folder("safepoint-exercise-")?;
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
    fn what_was_said_is_told_from_what_was_printed() {
        let out = "hello\n@7 looks 3\nno newline@7 end\n@ looks 9\n@8 looks 9\n";
        let (said, rest) = apart(out, "@7 ");
        assert_eq!(said, "looks 3\nend\n");
        assert_eq!(rest, "hello\nno newline@ looks 9\n@8 looks 9\n");
    }

    #[test]
    fn of_long_output_the_end_is_kept_too() {
        let mut bytes = vec![b'a'; 5 * OUTPUT];
        bytes.extend_from_slice(b"end");
        let kept = keep(Some(std::io::Cursor::new(bytes))).join().unwrap();
        assert!(kept.len() <= 3 * OUTPUT + 8192 && kept.ends_with(b"end"));
    }

    #[test]
    fn output_cannot_change_the_terminal() {
        let shown = text(b"a\x1b[31mb\x07\tc\n\x9bd");
        assert_eq!(shown, "a[31mb\tc\n\u{fffd}d");
    }
}
