//! What the tests of this workspace share: running an example or a scenario as a child
//! process, and running the runtime in this process; both with a time limit, in a clean
//! environment.

pub use safepoint_testkit::{
    Ended, LIMIT, TraceOf, fresh_folder, fresh_folder_in, run, trace, trace_of, workspace,
};

pub mod gotext;

use stage1_coop::{Runtime, Stage, rt};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, SystemTime};

/// The workspace's root.
///
/// # Panics
/// If there is none: see [`workspace`].
pub fn root() -> PathBuf {
    workspace().expect(
        "the workspace is found from cargo's package, the current folder or this program's folder",
    )
}

/// What [`program!`] finds: the path that cargo gives at run time, else the program beside the
/// running test, else the path from build time.
pub fn built(variable: &str, at_build_time: &'static str) -> &'static str {
    let now = std::env::var(variable).ok();
    let beside = || {
        let exe = std::env::current_exe().ok()?;
        // A test is PROFILE/deps/NAME-HASH, a program PROFILE/NAME.
        let path = exe
            .ancestors()
            .nth(2)?
            .join(Path::new(at_build_time).file_name()?);
        path.is_file().then(|| path.to_str().map(str::to_owned))?
    };
    match now.or_else(beside) {
        Some(path) => path.leak(),
        None => at_build_time,
    }
}

/// The path of a program of the calling test's package, like `env!("CARGO_BIN_EXE_NAME")` but
/// right after the checkout has moved.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        $crate::built(
            concat!("CARGO_BIN_EXE_", $name),
            env!(concat!("CARGO_BIN_EXE_", $name)),
        )
    };
}

/// The cargo that runs this test, else the one that built it.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()))
}

/// Whether the long proofs were asked for.
pub fn long() -> bool {
    std::env::var_os("SAFEPOINT_LONG").is_some_and(|v| v != "0")
}

/// The path of an example's program, built if need be, in the profile of the tests.
pub fn example(package: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let exe = std::env::current_exe().expect("a test knows its own program");
    let dir = exe
        .parent()
        .and_then(Path::parent)
        .expect("tests are built into PROFILE/deps");
    let path = dir.join("examples").join(name);
    // `cargo test --workspace` has built all examples; `cargo test -p tests` has not.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.insert(package.to_owned()) {
        // A stage stands on those before it.
        let stage = |e: std::fs::DirEntry| {
            let name = e.file_name();
            name.to_str()?
                .starts_with("stage")
                .then(|| newest(&e.path()))
        };
        let stages = root().read_dir().into_iter().flatten().flatten();
        if modified(&path)
            < stages
                .filter_map(stage)
                .max()
                .unwrap_or(SystemTime::UNIX_EPOCH)
        {
            let mut cargo = cargo();
            cargo.args(["build", "-q", "-p", package, "--examples"]);
            if dir.file_name().is_some_and(|n| n == "release") {
                cargo.arg("--release");
            }
            let status = cargo
                .current_dir(root())
                .status()
                .expect("cargo can be started");
            assert!(status.success(), "the examples of {package} do not build");
        }
    }
    path
}

fn modified(path: &Path) -> SystemTime {
    path.metadata()
        .and_then(|m| m.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn newest(dir: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let Ok(entries) = dir.read_dir() else {
        return newest;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            newest = newest.max(self::newest(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            newest = newest.max(modified(&path));
        }
    }
    newest
}

/// The trace of an example of `stage`, built if need be. Examples replace no row, so how long
/// anything waits is checked too.
#[track_caller]
pub fn trace_of_example(stage: &'static Stage, name: &str) -> TraceOf {
    trace_of_program(example(stage.name, name), &[])
        .stage(stage)
        .bounded()
}

/// The trace of a program that runs any of the stages: the last one has the kinds of all.
#[track_caller]
pub fn trace_of_program(program: impl Into<PathBuf>, arguments: &[&str]) -> TraceOf {
    safepoint_testkit::trace_of_program(program, arguments).stage(&stage3_signals::STAGE)
}

/// The trace of a text of any of the stages.
pub fn parse(text: &str) -> trace::Trace {
    trace::Trace::parse(text, stage3_signals::STAGE.kinds)
}

/// Runs an example in lockstep and returns what a snapshot holds: see [`TraceOf::text`].
#[track_caller]
pub fn lockstep(package: &str, name: &str, procs: usize, seed: u64) -> String {
    trace_of_program(example(package, name), &[])
        .procs(procs)
        .seed(seed)
        .may_die()
        .text()
}

/// The programs in `package/examples`, by name, sorted.
pub fn examples(package: &str) -> Vec<String> {
    let mut names: Vec<String> = root()
        .join(package)
        .join("examples")
        .read_dir()
        .map(|dir| {
            dir.flatten()
                .filter_map(|e| {
                    let path = e.path();
                    (path.extension()? == "rs")
                        .then(|| path.file_stem()?.to_str().map(str::to_owned))?
                })
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// What a test must know of an example before it runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// Its exit status.
    pub exit: i32,
    /// The same seed gives the same trace. If not, only invariants can be asked for, in free
    /// runs.
    pub replays: bool,
    /// A run in lockstep takes about a second, so it is not run with hundreds of seeds.
    pub slow: bool,
    /// It runs on a runtime of ours, so there is a trace of it.
    pub traced: bool,
}

/// What is odd about this example. Whoever writes one that is gives it a line here.
pub fn about(package: &str, name: &str) -> About {
    let ordinary = About {
        exit: 0,
        replays: true,
        slow: false,
        traced: true,
    };
    match (package, name) {
        ("stage2-sysmon", "deadlock") => About {
            exit: 2,
            ..ordinary
        },
        // Its other side are sockets of the machine.
        ("stage2-sysmon", "echo") => About {
            replays: false,
            ..ordinary
        },
        // Nobody listens, so time passes only by the clock of the processor.
        ("stage2-sysmon", "the_loop_2") => About {
            slow: true,
            ..ordinary
        },
        // Signals alone: no goroutines.
        ("stage3-signals", "signals_101") => About {
            replays: false,
            traced: false,
            ..ordinary
        },
        // It prints what the compiler has made of it.
        ("stage3-signals", "unsafe_points") => About {
            replays: false,
            ..ordinary
        },
        _ => ordinary,
    }
}

/// Does all `jobs`, two at a time, in their order: a process in lockstep uses one processor.
///
/// # Panics
/// If a job does, once the jobs that were begun are done.
pub fn two_at_a_time<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(job) = jobs.get(next.fetch_add(1, SeqCst)) {
            work(job);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
}

/// Ends the process with a dump of all goroutines if `f` takes longer than `limit`: a lost
/// wake-up then shows who sleeps, and where.
pub fn watched<R>(limit: Duration, f: impl FnOnce() -> R) -> R {
    let (done, over) = channel::<()>();
    let watcher = std::thread::spawn(move || {
        if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            rt::last_words::throw_args(format_args!("the test has not ended after {limit:?}"));
        }
    });
    let result = f();
    drop(done);
    let _ = watcher.join();
    result
}

/// Runs `main` on `runtime` in this process and returns its result; gives up after `limit`.
///
/// # Panics
/// If one of the runtime's switches is set: what these tests say holds without.
///
/// # Safety
/// As for [`Runtime::run`].
pub unsafe fn within<R: Send + 'static>(
    limit: Duration,
    runtime: Runtime,
    main: impl FnOnce() -> R + Send + 'static,
) -> R {
    for name in rt::life::SWITCHES.iter().map(|switch| switch.name) {
        assert!(std::env::var_os(name).is_none(), "unset {name} for tests");
    }
    REGISTERED.call_once(|| {
        // SAFETY: the function is there for the whole life of the process.
        unsafe { libc::atexit(ended_inside) };
    });
    // The time counts from when it is this run's turn: there is one at a time in a process.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let result = Arc::new(Mutex::new(None));
    let put = result.clone();
    INSIDE.fetch_add(1, SeqCst);
    watched(limit, || {
        // SAFETY: the caller's promise; the lock is held for one store.
        unsafe {
            runtime.run(move || {
                let r = main();
                *put.lock().expect("no panic while it is held") = Some(r);
            })
        };
    });
    INSIDE.fetch_sub(1, SeqCst);
    let mut result = result.lock().expect("no panic while it is held");
    result.take().expect("main has returned")
}

static REGISTERED: Once = Once::new();
/// Calls of [`within`] that have not come back.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// A run that cannot stop a goroutine ends the process with status 0. For a test that is no
/// success.
extern "C" fn ended_inside() {
    if INSIDE.load(SeqCst) > 0 {
        eprintln!("the process has ended in the middle of a test's run");
        // SAFETY: `_exit` takes no pointer and does not return.
        unsafe { libc::_exit(101) }
    }
}

/// Runs the scenario `words[0]` of the helper program `exe` with the rest as its arguments.
pub fn scenario_of(exe: &str, words: &[&str], env: &[(&str, &str)]) -> Ended {
    let ended = run(Command::new(exe).args(words), env, LIMIT);
    assert!(!ended.timed_out, "{words:?} did not end: {ended:#?}");
    ended
}

/// Runs a scenario of `tests/tests/it/*/scenario.rs` as a child process: `scenario!(env, words...)`.
#[macro_export]
macro_rules! scenario {
    ($env:expr, $($word:expr),+) => {
        $crate::scenario_of($crate::program!("scenario"), &[$($word),+], &$env)
    };
}

/// Asserts that `text` contains all of `parts`, one after the other.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("{part:?} is missing, or not in its place, in:\n{text}"),
        }
    }
}

/// A small random generator (xorshift): a test's choices, the same in every run.
pub struct Random(u64);

impl Random {
    /// A generator for this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % n
    }
}

/// The kernel's number of the calling thread.
#[inline(never)]
pub fn gettid() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// The kernel's numbers of all threads of this process.
pub fn threads() -> Vec<i32> {
    std::fs::read_dir("/proc/self/task")
        .map(|dir| {
            dir.flatten()
                .filter_map(|e| e.file_name().to_str()?.parse().ok())
                .collect()
        })
        .unwrap_or_default()
}

/// KiB of memory that this process has resident, and of address space.
pub fn memory() -> (usize, usize) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = text.split(' ').map(|n| n.parse::<usize>().unwrap_or(0));
    let size = pages.next().unwrap_or(0);
    (pages.next().unwrap_or(0) * 4, size * 4)
}
