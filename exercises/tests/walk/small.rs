//! Parts of the way that need no build: on a small checkout with the exercises that are no
//! code, and with a script in the place of cargo.

use super::terminal::{PATIENCE, Terminal};
use exercises::catalogue;
use exercises::runner::places::Places;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A checkout with starters and nothing else, and a folder for temporary files.
struct Small {
    dir: PathBuf,
    root: PathBuf,
    temp: PathBuf,
}

impl Small {
    fn new() -> Small {
        let dir = tests::fresh_folder("safepoint-small-").expect("a folder");
        let (root, temp) = (dir.join("root"), dir.join("temp"));
        fs::create_dir_all(&temp).expect("a folder");
        let ours = Places::new(Some(tests::root())).expect("the workspace");
        for exercise in catalogue::all() {
            let starter = ours.given(exercise, "starter");
            let to = root.join(starter.strip_prefix(&ours.root).expect("in the workspace"));
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(starter, to).expect("a copy");
        }
        Small { dir, root, temp }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(tests::program!("exercises"));
        command
            .args(words)
            .arg("--root")
            .arg(&self.root)
            .env("TMPDIR", &self.temp)
            .env_remove("CARGO_TARGET_DIR")
            .env("TERM", "dumb");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it starts")
    }

    fn work(&self) -> PathBuf {
        self.root.join("exercises/work/read_a_trace.toml")
    }

    /// A script, in the place of cargo or of an attempt.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// Waits for something that comes soon on a quiet machine.
fn until(what: &str, mut f: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !f() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn watch_survives_the_ways_in_which_editors_save() {
    let small = Small::new();
    let mut terminal = Terminal::start(small.command(&["watch", "read_a_trace"]));
    let watching = "watching read-a-trace";
    terminal.until(watching);
    let work = small.work();
    let starter = fs::read_to_string(&work).expect("a starter");

    // Over the old file.
    let first = starter.replace("first = \"g1\"", "first = \"g3\"");
    fs::write(&work, &first).expect("a file");
    terminal.until("1 of 7 answers");
    terminal.until(watching);

    // By another file that gets its name.
    let beside = work.with_extension("new");
    let second = first.replace("from = \"?\"", "from = \"runnext\"");
    fs::write(&beside, &second).expect("a file");
    fs::rename(&beside, &work).expect("a name");
    terminal.until("2 of 7 answers");
    terminal.until(watching);

    // Bytes that are no text.
    fs::write(&work, b"# caf\xe9\n").expect("a file");
    terminal.until("cannot read exercises/work/read_a_trace.toml");
    terminal.until(watching);

    // The old file first moved away, and for long.
    fs::rename(&work, &beside).expect("a name");
    terminal.until("is not there; waiting for it");
    assert!(!work.exists(), "the starter was put into its place");
    fs::write(&work, &first).expect("a file");
    terminal.until("1 of 7 answers");
    terminal.until(watching);

    // The folder made anew.
    let folder = work.parent().expect("a folder");
    fs::rename(folder, small.dir.join("old")).expect("a name");
    fs::create_dir(folder).expect("a folder");
    fs::write(&work, &second).expect("a file");
    terminal.until("2 of 7 answers");
    terminal.until(watching);

    // Each verdict stands apart, with its time.
    let shown = terminal.text();
    let rules = shown.lines().filter(|l| l.starts_with("---- ")).count();
    assert_eq!(rules, 6, "{shown}");
    terminal.press("q\n");
    assert_eq!(terminal.ends().0, 0);
}

#[test]
fn a_trace_is_printed_again_by_the_command_in_its_header() {
    let small = Small::new();
    let first = small.run(&["reference", "read_a_trace", "left and right"]);
    assert!(first.status.success(), "{}", said(&first));
    let text = String::from_utf8(first.stdout).expect("text");
    let line = text.lines().find_map(|l| l.strip_prefix("# replay: "));
    let words = line
        .and_then(|l| l.strip_prefix("cargo run -q -p exercises -- "))
        .unwrap_or_else(|| panic!("{text}"));
    // As a shell would read it.
    let own = tests::program!("exercises");
    let again = Command::new("sh")
        .args(["-c", &format!("'{own}' {words}")])
        .output()
        .expect("a shell");
    assert_eq!(String::from_utf8_lossy(&again.stdout), text);
}

#[test]
fn names_are_taken_in_near_forms() {
    let small = Small::new();
    for name in [
        "read-a-trace",
        "read_a_trace",
        "Read-A-Trace",
        "readatrace",
        "exercises/work/read_a_trace.toml",
    ] {
        let output = small.run(&["hint", name]);
        assert!(
            said(&output).contains("for read-a-trace"),
            "{}",
            said(&output)
        );
    }
    let output = small.run(&["run", "read-a-tracee"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("perhaps: read-a-trace"),
        "{}",
        said(&output)
    );
}

#[test]
fn errors_are_json_for_those_who_ask_for_json() {
    let small = Small::new();
    let gone = small.dir.join("gone").display().to_string();
    for (words, status) in [
        (vec!["run", "no-such-thing"], 2),
        (vec!["no-such-command"], 2),
        (vec!["run"], 2),
        (vec!["watch"], 2),
        (vec!["grade", "--stage", "9"], 2),
        (vec!["grade", "--stage", "1", "--work", &gone], 2),
        (vec!["run", "eintr"], 2),
        // Nothing can be built here.
        (vec!["grade", "--stage", "1"], 3),
    ] {
        let output = small.run(&[&words[..], &["--json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{words:?}: {e}: {}", said(&output)));
        assert_eq!(output.status.code(), Some(status), "{words:?}: {value}");
        assert_eq!(value["status"], status, "{words:?}");
        assert!(value["error"].as_str().is_some_and(|e| !e.is_empty()));
    }
}

#[test]
fn the_last_hint_says_when_the_solution_opens() {
    let small = Small::new();
    for _ in 0..3 {
        small.run(&["hint", "read-a-trace"]);
    }
    let text = said(&small.run(&["hint", "read-a-trace"]));
    assert!(
        text.contains("opens after 3 honest tries (0 so far)"),
        "{text}"
    );
    assert_eq!(
        small.run(&["solution", "read-a-trace"]).status.code(),
        Some(1)
    );
    let starter = small
        .root
        .join("exercises/stage1/read-a-trace/starter.toml");
    let starter = fs::read_to_string(starter);
    let starter = starter.expect("a starter");
    fs::create_dir_all(small.work().parent().expect("a folder")).expect("a folder");
    for n in 0..3 {
        fs::write(small.work(), format!("{starter}\n# {n}\n")).expect("a file");
        small.run(&["run", "read-a-trace"]);
    }
    let text = said(&small.run(&["hint", "read-a-trace"]));
    assert!(
        text.contains("`solution read-a-trace` shows the rest"),
        "{text}"
    );
    // This checkout has none, and that is what it says now.
    let output = small.run(&["solution", "read-a-trace"]);
    assert!(
        said(&output).contains("has no solutions"),
        "{}",
        said(&output)
    );
}

/// A disk without room for the trace is not the learner's fault.
#[test]
fn a_full_folder_for_temporary_files_is_said() {
    let small = Small::new();
    let mut command = small.command(&["run", "read-a-trace"]);
    // SAFETY: setrlimit is async-signal-safe, the structure ours.
    unsafe {
        command.pre_exec(|| {
            let little = libc::rlimit {
                rlim_cur: 1 << 20,
                rlim_max: 1 << 20,
            };
            libc::setrlimit(libc::RLIMIT_FSIZE, &little);
            Ok(())
        })
    };
    let output = command.output().expect("it starts");
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let temp = small.temp.display().to_string();
    assert!(
        text.contains("cannot be kept in") && text.contains(&temp),
        "{text}"
    );
}

/// A cargo that says it has built the script `attempt`.
fn cargo_that_builds(small: &Small, attempt: &Path) -> PathBuf {
    let message = format!(
        "{{\"reason\":\"compiler-artifact\",\"target\":{{\"name\":\"attempt\"}},\"executable\":\"{}\"}}",
        attempt.display()
    );
    small.script("cargo", &format!("echo '{message}'"))
}

/// The numbers of processes that a script has written into a file.
fn numbers(file: &Path) -> Vec<u32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|l| l.parse().ok()).collect()
}

fn lives(pid: u32) -> bool {
    // A zombie that is not collected has ended too.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.split_whitespace().next().is_some_and(|s| s != "Z"))
}

fn kill(mut runner: Child) {
    runner.kill().expect("it runs");
    runner.wait().expect("it is ours");
}

#[test]
fn what_a_killed_runner_has_started_ends_and_its_folder_goes() {
    let small = Small::new();
    let pids = small.dir.join("pids");
    let text = format!(
        "sleep 300 & echo $! >> '{0}'; echo $$ >> '{0}'; wait",
        pids.display()
    );
    // Killed while it builds, and then while an attempt runs.
    let cargo = small.script("slow-cargo", &text);
    let attempt = small.script("attempt", &text);
    for cargo in [cargo, cargo_that_builds(&small, &attempt)] {
        let _ = fs::remove_file(&pids);
        let runner = small
            .command(&["run", "guard-check"])
            .env("CARGO", cargo)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        until("two processes", || numbers(&pids).len() == 2);
        kill(runner);
        until("they end", || !numbers(&pids).iter().any(|&pid| lives(pid)));
    }
    let folders = || fs::read_dir(&small.temp).expect("a folder").count();
    assert_eq!(folders(), 1, "the attempt's");
    let output = small.run(&["run", "read-a-trace"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(folders(), 0);
}

/// The runner was told where to build by a relative path: cargo, which starts in another
/// folder, must be told the same place.
#[test]
fn a_relative_target_folder_is_the_same_for_cargo() {
    let small = Small::new();
    let cargo = small.script("cargo", "echo \"at $CARGO_TARGET_DIR\" >&2; exit 1");
    let output = small
        .command(&["run", "guard-check"])
        .current_dir(small.root.join("exercises"))
        .env("CARGO", cargo)
        .env("CARGO_TARGET_DIR", "tgt")
        .output()
        .expect("it starts");
    let here = small
        .root
        .join("exercises")
        .canonicalize()
        .expect("it is there");
    let wanted = format!("at {}", here.join("tgt").display());
    assert!(said(&output).contains(&wanted), "{}", said(&output));
}

/// A program that was built elsewhere judges the checkout in which it is started.
#[test]
fn a_copy_judges_itself() {
    let small = Small::new();
    for package in ["stage1-coop", "exercises", "tests"] {
        fs::create_dir_all(small.root.join(package)).expect("a folder");
        fs::write(small.root.join(package).join("Cargo.toml"), "").expect("a file");
    }
    let output = Command::new(tests::program!("exercises"))
        .args(["run", "read-a-trace"])
        .current_dir(small.root.join("exercises"))
        .env("CARGO_MANIFEST_DIR", small.root.join("exercises"))
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(small.work().is_file(), "{}", said(&output));
    assert!(small.root.join("exercises/.progress.toml").is_file());
}
