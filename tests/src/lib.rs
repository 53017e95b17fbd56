//! What the tests of this workspace share: running an example as a child process, with a
//! time limit, in a clean environment.

pub mod bench;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Whether the long proofs were asked for.
pub fn long() -> bool {
    std::env::var_os("SAFEPOINT_LONG").is_some_and(|v| v != "0")
}

/// How a child process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Exit status; `None` if a signal ended it, or the limit.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// The time limit ended it.
    pub timed_out: bool,
}

/// The path of an example's program, built if need be, in the profile of the tests.
pub fn example(package: &str, name: &str) -> PathBuf {
    static BUILD: Once = Once::new();
    let exe = std::env::current_exe().expect("a test knows its own program");
    let dir = exe
        .parent()
        .and_then(Path::parent)
        .expect("tests are built into PROFILE/deps");
    let path = dir.join("examples").join(name);
    // `cargo test --workspace` has built all examples; `cargo test -p tests` has not.
    BUILD.call_once(|| {
        if modified(&path) < newest(&root().join(package)) {
            let mut cargo = Command::new(env!("CARGO"));
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
    });
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

/// Runs `command` with none of the runtime's switches in its environment but those given,
/// and kills it after `limit`.
pub fn run(command: &mut Command, env: &[(&str, &str)], limit: Duration) -> Ended {
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "GOTRACEBACK",
        "SAFEPOINT_SEED",
        "SAFEPOINT_TRACE",
        "RUST_BACKTRACE",
    ] {
        command.env_remove(name);
    }
    command
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = from.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(Box::new(child.stdout.take().expect("stdout is piped")));
    let stderr = read(Box::new(child.stderr.take().expect("stderr is piped")));
    let deadline = Instant::now() + limit;
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            break status;
        }
        if Instant::now() > deadline {
            timed_out = true;
            let _ = child.kill();
            break child.wait().expect("the child can be waited for");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended {
        code: status.code(),
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        timed_out,
    }
}

/// Runs an example in lockstep and returns what a snapshot holds: exit status, output and
/// trace.
///
/// # Panics
/// If the example writes to stderr, does not end, or its trace is not portable.
pub fn lockstep(package: &str, name: &str, procs: usize, seed: u64, args: &[&str]) -> String {
    let dir = std::env::temp_dir().join(format!(
        "safepoint-{}-{name}-{procs}-{seed}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&dir).expect("a folder for the trace");
    let trace = dir.join("trace.txt");
    let ended = run(
        Command::new(example(package, name)).args(args),
        &[
            ("GOMAXPROCS", &procs.to_string()),
            ("SAFEPOINT_SEED", &seed.to_string()),
            ("SAFEPOINT_TRACE", &trace.display().to_string()),
        ],
        Duration::from_secs(60),
    );
    let text = std::fs::read_to_string(&trace).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&dir);
    assert!(!ended.timed_out, "{name} did not end: {ended:?}");
    assert_eq!(ended.stderr, "", "{name} wrote to stderr");
    assert!(
        text.lines()
            .next()
            .is_some_and(|l| l.ends_with("portable=yes")),
        "the trace of {name} depends on the compiler; use spin(n) or with_frame, or snapshot chosen events only:\n{text}"
    );
    format!(
        "exit {}\n--- output\n{}--- trace\n{text}",
        ended.code.unwrap_or(-1),
        ended.stdout
    )
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
