//! Running an attempt, or the compiler: in a process group of its own, with limits on time,
//! memory and output, and without a terminal. An attempt leaves its trace in a file of ours.

use super::clean::clean;
use super::traces::Traces;
use super::{Program, keeper};
use crate::attempt::{Case, JUDGE_VARIABLE, LIMIT_VARIABLE, Limit, Run};
use safepoint_testkit::trace::Trace;
use stage1_coop::rt::life::SWITCHES;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicI32, Ordering::*};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// MiB of resident memory that an attempt may take.
const MEMORY_MIB: u64 = 512;
/// Bytes that are kept of the beginning of its output, and as many of the end.
const OUTPUT: usize = 1 << 20;
/// Bytes of the longest file that it may write.
const FILE: u64 = 1 << 30;
/// Time between the moment at which it is told to save its trace, and its end.
const GRACE: Duration = Duration::from_millis(700);
/// How much longer than its limit something may take on a machine that is busy with other
/// things.
const PATIENCE: u32 = 12;
/// How long output is waited for when its writer is gone and another process keeps the pipe open.
const LINGER: Duration = Duration::from_secs(1);

/// The process group that runs now, for the handler of Ctrl-C.
static GROUP: AtomicI32 = AtomicI32::new(0);

/// Kills what runs now, if anything does. Async-signal-safe.
pub fn kill_current() {
    let group = GROUP.load(SeqCst);
    if group > 0 {
        // SAFETY: kill takes no pointers; the group is a child of ours that was not yet
        // waited for, so its number is not used again.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Runs one case. `limit`: how long it may run, not counting the time in which the machine
/// had no processor for it.
///
/// # Errors
/// If the program cannot be started, or its trace not be kept.
pub fn run(
    program: &Program<'_>,
    case: &Case,
    seed: Option<u64>,
    limit: Duration,
) -> std::io::Result<Run> {
    let traces = Traces::new()?;
    // What the scenario tells the judge comes by a pipe that only it writes to.
    let (judge, to_judge) = std::io::pipe()?;
    // A byte in stdin: the time is up.
    let (stdin, clock) = std::io::pipe()?;
    let mut command = Command::new(program.path);
    command.args(program.arguments).arg(case.name).stdin(stdin);
    let switches = SWITCHES.iter().map(|switch| switch.name);
    for name in switches.chain(["RUST_BACKTRACE", "RUST_LOG"]) {
        command.env_remove(name);
    }
    command.env("GOMAXPROCS", case.procs.to_string());
    command.env(LIMIT_VARIABLE, "stdin");
    command.env(JUDGE_VARIABLE, to_judge.as_raw_fd().to_string());
    if let Some(seed) = seed {
        command.env("SAFEPOINT_SEED", seed.to_string());
    }
    traces.announce(&mut command);
    let (parent, judge_fd) = (std::process::id(), to_judge.as_raw_fd());
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            set_limit(libc::RLIMIT_CORE, 0);
            set_limit(libc::RLIMIT_CPU, 120);
            set_limit(libc::RLIMIT_FSIZE, FILE);
            inherit(judge_fd)?;
            end_with(parent)
        })
    };
    let limits = Limits {
        time: limit,
        wall: limit * PATIENCE,
        mib: MEMORY_MIB,
    };
    let said = keep(Some(judge));
    let ran = in_a_group(&mut command, Some(clock), &limits);
    // Ours too, or the judge would wait for us.
    drop((to_judge, command));
    let (output, over) = ran?;
    let mut run = Run {
        code: output.status.code(),
        signal: output.status.signal(),
        limit: over.map(|over| match over {
            Over::Time => Limit::Time(limit),
            Over::Memory => Limit::Memory(MEMORY_MIB),
        }),
        said: text(&said.taken(Instant::now() + LINGER)),
        out: text(&output.stdout),
        err: text(&output.stderr),
        ..Run::default()
    };
    // A model has no runtime that writes a trace; it tells it.
    run.text = run
        .all("trace")
        .fold(String::new(), |t, line| t + line + "\n");
    if run.text.is_empty() {
        run.text = traces.read()?;
    }
    run.trace = Trace::parse(&run.text, safepoint_judges::KINDS);
    Ok(run)
}

/// What a compiler may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compiler {
    /// Seconds of processor time, for each of its processes.
    pub(super) seconds: u64,
    /// Bytes of address space, for each of its processes.
    pub(super) memory: u64,
    /// Bytes of the longest file that it may write.
    pub(super) file: u64,
    /// How long it may take in all, as a clock on the wall shows it.
    pub(super) wall: Duration,
}

/// Runs a compiler, in a process group of its own. True: it was ended.
///
/// # Errors
/// If it cannot be started.
pub(super) fn compile(mut command: Command, limit: Compiler) -> std::io::Result<(Output, bool)> {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are made.
    unsafe {
        command.pre_exec(move || {
            set_limit(libc::RLIMIT_CORE, 0);
            set_limit(libc::RLIMIT_CPU, limit.seconds);
            set_limit(libc::RLIMIT_AS, limit.memory);
            set_limit(libc::RLIMIT_FSIZE, limit.file);
            end_with(parent)
        })
    };
    let limits = Limits {
        time: limit.wall,
        wall: limit.wall,
        mib: u64::MAX,
    };
    let (output, over) = in_a_group(command.stdin(Stdio::null()), None, &limits)?;
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

/// In the child: it keeps this descriptor.
fn inherit(fd: RawFd) -> std::io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What a child may take.
struct Limits {
    /// Not counting the time in which the machine had no processor for it.
    time: Duration,
    /// As a clock on the wall shows it.
    wall: Duration,
    mib: u64,
}

/// Which limit a child ran into.
enum Over {
    Time,
    Memory,
}

/// Runs a child in a process group of its own, without a terminal, and ends the group with
/// it or at a limit. `clock`: where it reads that its time is up, some time before its end.
fn in_a_group(
    command: &mut Command,
    clock: Option<PipeWriter>,
    limits: &Limits,
) -> std::io::Result<(Output, Option<Over>)> {
    if let Some(line) = keeper::line() {
        // SAFETY: between fork and exec only async-signal-safe calls are made. The keeper's
        // line is open as long as this process lives.
        unsafe {
            command.pre_exec(move || {
                keeper::announce(line);
                Ok(())
            })
        };
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = child.id() as i32;
    GROUP.store(group, SeqCst);
    let out = keep(child.stdout.take());
    let err = keep(child.stderr.take());
    let over = wait(group, clock, limits);
    // What it started goes with it. It is still a zombie of ours here, so the group exists.
    // SAFETY: as in `kill_current`.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    keeper::over(group);
    GROUP.store(0, SeqCst);
    let status = child.wait()?;
    // A process that has left the group may hold the pipes open for as long as it likes.
    let deadline = Instant::now() + LINGER;
    let output = Output {
        status,
        stdout: out.taken(deadline),
        stderr: err.taken(deadline),
    };
    Ok((output, over))
}

/// Waits until the child is a zombie or must be ended; does not collect it.
fn wait(pid: i32, mut clock: Option<PipeWriter>, limits: &Limits) -> Option<Over> {
    let began = Instant::now();
    let grace = if clock.is_some() {
        GRACE
    } else {
        Duration::ZERO
    };
    let (mut told, mut pause) = (false, Duration::from_millis(1));
    loop {
        if is_zombie(pid) {
            return None;
        }
        let wall = began.elapsed();
        if wall > limits.time {
            let had = wall - waited(pid).min(wall);
            let is_over = |grace| had > limits.time + grace || wall > limits.wall + grace;
            if is_over(grace) {
                return Some(Over::Time);
            }
            // Our command holds the other end too, so this is no broken pipe.
            if !told && is_over(Duration::ZERO) {
                told = true;
                if let Some(clock) = &mut clock {
                    let _ = clock.write_all(b".");
                }
            }
        }
        if resident_mib(pid) > limits.mib {
            return Some(Over::Memory);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(8));
    }
}

/// How long this process could run and got no processor: that of the thread which waited
/// longest. Zero where the kernel does not count it.
fn waited(pid: i32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        // Nanoseconds on a processor, nanoseconds in a run queue, and how often.
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().nth(1)?.parse().ok())
        .max()
        .map_or(Duration::ZERO, Duration::from_nanos)
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

/// What was read from a pipe so far.
struct Kept {
    /// The beginning, and the end.
    bytes: Arc<Mutex<(Vec<u8>, Vec<u8>)>>,
    /// Disconnected at the end of the pipe.
    more: Receiver<()>,
}

impl Kept {
    /// Everything up to the end of the pipe, or what came until `deadline`.
    fn taken(self, deadline: Instant) -> Vec<u8> {
        let rest = deadline.saturating_duration_since(Instant::now());
        let _ = self.more.recv_timeout(rest);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, end) = &mut *bytes;
        begin.append(end);
        std::mem::take(begin)
    }
}

/// Reads everything, and keeps the beginning and the end: a program that prints without an
/// end must neither block nor fill our memory.
fn keep(from: Option<impl Read + Send + 'static>) -> Kept {
    let bytes = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let (done, more) = channel();
    let to = bytes.clone();
    std::thread::spawn(move || {
        let _done = done;
        let Some(mut from) = from else { return };
        let mut chunk = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut chunk) {
            let mut bytes = to.lock().unwrap_or_else(PoisonError::into_inner);
            let (begin, end) = &mut *bytes;
            let (fits, rest) = chunk[..n].split_at(n.min(OUTPUT.saturating_sub(begin.len())));
            begin.extend_from_slice(fits);
            end.extend_from_slice(rest);
            if end.len() > 2 * OUTPUT {
                end.drain(..end.len() - OUTPUT);
            }
        }
    });
    Kept { bytes, more }
}

fn text(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_output_the_end_is_kept_too() {
        let mut bytes = vec![b'a'; 5 * OUTPUT];
        bytes.extend_from_slice(b"end");
        let kept = keep(Some(std::io::Cursor::new(bytes)));
        let kept = kept.taken(Instant::now() + Duration::from_secs(60));
        assert!(kept.len() <= 3 * OUTPUT + 8192 && kept.ends_with(b"end"));
    }

    /// A daemon of the attempt's that keeps stdout open must not hold the runner.
    #[test]
    fn a_pipe_that_stays_open_is_waited_for_only_so_long() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"said").expect("a reader");
        let kept = keep(Some(reader));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(kept.taken(Instant::now()), b"said");
        drop(writer);
    }

    #[test]
    fn who_leaves_the_group_does_not_hold_the_runner() {
        let mut command = Command::new("sh");
        command.args(["-c", "setsid sleep 30 & echo started"]);
        let began = Instant::now();
        let limits = Limits {
            time: Duration::from_secs(20),
            wall: Duration::from_secs(20),
            mib: u64::MAX,
        };
        let (output, over) = in_a_group(&mut command, None, &limits).expect("a shell");
        assert!(over.is_none());
        assert_eq!(output.stdout, b"started\n");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it was waited for"
        );
    }

    fn shell(script: &str) -> Run {
        let program = Program {
            path: std::path::Path::new("/bin/sh"),
            arguments: &["-c", script],
        };
        let case = Case {
            name: "a case",
            what: "",
            procs: 1,
            seeds: &[],
        };
        run(&program, &case, None, Duration::from_secs(30)).expect("a shell")
    }

    /// What looks like a line for the judge counts only if it comes by the judge's pipe.
    #[test]
    fn what_is_printed_is_not_told_to_the_judge() {
        let run = shell("echo '@ end'; echo end; eval \"echo looks 3 >&$EXERCISE_JUDGE\"");
        assert_eq!((run.says("end"), run.says("looks")), (None, Some("3")));
        assert_eq!(run.out, "@ end\nend\n");
        assert_eq!(run.death().map(|f| f.rule), Some("left"));
    }

    /// Beside others on one processor, a fair attempt needs many times its own time.
    #[test]
    fn a_busy_machine_does_not_end_an_attempt() {
        let pinned = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::null());
            // SAFETY: both calls are async-signal-safe, the set is ours.
            unsafe {
                command.pre_exec(|| {
                    let mut set: libc::cpu_set_t = std::mem::zeroed();
                    libc::CPU_SET(0, &mut set);
                    libc::sched_setaffinity(0, size_of_val(&set), &set);
                    Ok(())
                })
            };
            command
        };
        let mut others: Vec<_> = (0..8)
            .map(|_| pinned("while :; do :; done").spawn().expect("a shell"))
            .collect();
        let limits = Limits {
            time: Duration::from_secs(1),
            wall: Duration::from_secs(240),
            mib: u64::MAX,
        };
        let mut attempt = pinned("i=0; while [ $i -lt 250000 ]; do i=$((i+1)); done");
        let began = Instant::now();
        let result = in_a_group(&mut attempt, None, &limits);
        let wall = began.elapsed();
        for other in &mut others {
            other.kill().expect("it runs");
            other.wait().expect("it is ours");
        }
        let (output, over) = result.expect("a shell");
        assert!(
            over.is_none() && output.status.success(),
            "ended after {wall:?}"
        );
        println!("took {wall:?}");
    }

    #[test]
    fn time_asleep_counts() {
        // A process that sleeps has had all of its time.
        let mut child = Command::new("sleep").arg("30").spawn().expect("sleep");
        std::thread::sleep(Duration::from_millis(200));
        assert!(waited(child.id() as i32) < Duration::from_millis(200));
        child.kill().expect("it runs");
        child.wait().expect("it is ours");
        assert_eq!(waited(0), Duration::ZERO, "no such process");
    }
}
