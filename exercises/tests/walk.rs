//! The whole path of a learner, through the runner's real command line in a terminal: from
//! the first start to *finished*, with an interrupt, a resize and a full disk on the way.
//!
//! It happens in a copy of the workspace, so the learner's own files and progress are not
//! touched, whatever they are.

#[path = "walk/small.rs"]
mod small;
#[path = "walk/terminal.rs"]
mod terminal;

use exercises::catalogue::{self, Exercise};
use exercises::runner::places::Places;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use terminal::Terminal;

struct Walk {
    root: PathBuf,
    target: PathBuf,
}

impl Walk {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(tests::program!("exercises"));
        command
            .args(words)
            .arg("--root")
            .arg(&self.root)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("TERM", "dumb");
        command
    }

    fn run(&self, words: &[&str]) -> (i32, String) {
        Terminal::start(self.command(words)).ends()
    }

    fn work(&self, file: &str) -> PathBuf {
        self.root.join("exercises/work").join(file)
    }

    /// Puts the solution in place of the learner's file, as an editor does.
    fn solve(&self, exercise: &Exercise) {
        let places = Places::new(Some(self.root.clone())).expect("a copy");
        let text = fs::read(places.given(exercise, "solution")).expect("a text");
        fs::write(places.work_file(exercise), text).expect("it can be written");
    }
}

/// A copy of the workspace without what was built.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let name = entry.file_name();
        let (path, there) = (entry.path(), to.join(&name));
        if ["target", ".git", "work", ".progress.toml"]
            .iter()
            .any(|n| name == *n)
        {
            continue;
        }
        if name == "Cargo.toml" || name == "Cargo.lock" {
            write_if_new(&there, &of_another_version(&path));
            continue;
        }
        if path.is_dir() {
            copy(&path, &there);
        } else if let Ok(bytes) = fs::read(&path) {
            // An editor's dangling link, say, is left out.
            write_if_new(&there, &bytes);
        }
    }
}

/// Not touched if it is the same: cargo then builds nothing anew.
fn write_if_new(there: &Path, bytes: &[u8]) {
    if fs::read(there).ok().as_deref() != Some(bytes) {
        fs::write(there, bytes).expect("a copy");
    }
}

/// A manifest whose packages have a version of their own. Two workspaces that share a target
/// folder, so that the dependencies are built once, must not have the same packages: cargo
/// would take the one's for the other's.
fn of_another_version(manifest: &Path) -> Vec<u8> {
    let text = fs::read_to_string(manifest).expect("a manifest");
    let text: Vec<String> = match manifest.file_name().is_some_and(|n| n == "Cargo.lock") {
        false => text.lines().map(other_version).collect(),
        // A package without a source is one of ours.
        true => text
            .split("\n\n")
            .flat_map(|package| {
                let ours = package.starts_with("[[package]]") && !package.contains("\nsource = ");
                let lines = package.lines().chain([""]);
                lines.map(move |l| if ours { other_version(l) } else { l.to_owned() })
            })
            .collect(),
    };
    (text.join("\n") + "\n").into_bytes()
}

fn other_version(line: &str) -> String {
    match line.strip_prefix("version = \"0.1.0\"") {
        Some(rest) => format!("version = \"0.1.0-walk\"{rest}"),
        None => line.to_owned(),
    }
}

#[test]
fn from_the_first_start_to_finished() {
    if !tests::long() {
        println!("skipped: the walk builds a copy of the workspace; SAFEPOINT_LONG=1 walks it");
        return;
    }
    let source = tests::root();
    let source = source.as_path();
    let places = Places::new(Some(source.to_owned())).expect("the workspace");
    if !catalogue::all()
        .iter()
        .all(|e| places.given(e, "solution").is_file())
    {
        println!("skipped: the solutions are not all there, so there is no walking ahead");
        return;
    }
    // Where cargo put this test: PROFILE/deps.
    let exe = std::env::current_exe().expect("our own file");
    let target = exe.ancestors().nth(3).expect("a target folder").to_owned();
    let root = target.join("walk");
    copy(source, &root);
    let _ = fs::remove_dir_all(root.join("exercises/work"));
    let _ = fs::remove_file(root.join("exercises/.progress.toml"));
    let walk = Walk { root, target };

    the_first_start(&walk);
    a_first_attempt(&walk);
    a_starter_that_is_code(&walk);
    an_endless_loop(&walk);
    a_full_disk(&walk);
    the_rest_under_watch(&walk);
}

/// The first start.
fn the_first_start(walk: &Walk) {
    let (code, text) = walk.run(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("Stage 1: 0 of ") && text.contains("> [ ] read-a-trace"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colors: {text:?}");
    let (code, text) = walk.run(&["run", "no-such-thing"]);
    assert_eq!(code, 2, "{text}");
}

/// A first attempt, which is a starter, and what one may ask about it.
fn a_first_attempt(walk: &Walk) {
    let (code, text) = walk.run(&["next"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("GoCreate     g3 right") && text.contains("not yet"),
        "{text}"
    );
    let (code, text) = walk.run(&["solution", "guard-check"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("0 of 3 honest tries"), "{text}");
    for level in 1..=3 {
        let (code, text) = walk.run(&["hint", "guard-check"]);
        assert_eq!(code, 0);
        assert!(text.contains(&format!("hint {level} of 3")), "{text}");
    }
    walk.solve(&catalogue::all()[0]);
    let (code, text) = walk.run(&["run", "read-a-trace"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("next: guard-check"), "{text}");
}

/// A starter that is code: seen, explained, reset.
fn a_starter_that_is_code(walk: &Walk) {
    let (code, text) = walk.run(&["run", "sticky-flag"]);
    assert_eq!(code, 1, "{text}");
    for part in [
        "broke",
        "means",
        "expected (the stage's own)",
        "| yours",
        " > ",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
    let (code, text) = walk.run(&["why", "sticky-flag"]);
    assert_eq!(code, 1);
    assert!(text.contains("what each processor ran"), "{text}");
    fs::write(walk.work("sticky_flag.rs"), "pub fn oops(").expect("it can be written");
    let (code, text) = walk.run(&["run", "sticky-flag"]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("it does not build") && text.contains("oops"),
        "{text}"
    );
    let (code, _) = walk.run(&["reset", "sticky-flag"]);
    assert_eq!(code, 0);
    assert!(walk.work("sticky_flag.rs.before-reset-1").exists());
}

/// An endless loop, and a learner out of patience: Ctrl-C.
fn an_endless_loop(walk: &Walk) {
    fs::write(
        walk.work("every_61st.rs"),
        "pub fn look_first(_: u32, _: usize) -> bool { loop { std::hint::spin_loop() } }",
    )
    .expect("it can be written");
    let mut terminal = Terminal::start(walk.command(&["run", "every-61st"]));
    let before = terminal.mode();
    terminal.until("your file");
    terminal.until_it_runs("every-61st");
    terminal.press("\u{3}");
    assert_eq!(terminal.mode(), before, "the terminal's mode has changed");
    let (code, text) = terminal.ends();
    assert_eq!(code, 130, "{text}");
    assert!(
        text.contains("stopped; your progress and your files are as they were"),
        "{text}"
    );
}

/// A full disk: the answer comes, the old progress stays whole, the status says so.
fn a_full_disk(walk: &Walk) {
    let progress = walk.root.join("exercises/.progress.toml");
    let kept = fs::read_to_string(&progress).expect("progress");
    let mut command = walk.command(&["hint", "half-plus-one"]);
    // SAFETY: setrlimit is async-signal-safe, the structure ours.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit {
                rlim_cur: 0,
                rlim_max: 0,
            };
            libc::setrlimit(libc::RLIMIT_FSIZE, &none);
            Ok(())
        })
    };
    let (code, text) = Terminal::start(command).ends();
    assert_eq!(code, 3, "{text}");
    assert!(
        text.contains("hint 1 of 3") && text.contains("could not be saved"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&progress).expect("progress"), kept);
}

/// The rest under `watch`, each file saved in its turn; the window changes its size.
fn the_rest_under_watch(walk: &Walk) {
    let mut terminal = Terminal::start(walk.command(&["watch"]));
    for (i, exercise) in catalogue::all().iter().skip(1).enumerate() {
        terminal.until(&format!("watching {}", exercise.name));
        if i == 1 {
            terminal.resize(24, 70);
        }
        if i == 2 {
            terminal.press("h\n");
            terminal.until("hint 1 of 3");
        }
        walk.solve(exercise);
        terminal.until("passed:");
    }
    terminal.until("finished");
    let (code, text) = terminal.ends();
    assert_eq!(code, 0, "{text}");
    let (_, text) = walk.run(&[]);
    let solved = text.lines().filter(|l| l.starts_with("  [x] ")).count();
    assert!(
        solved == catalogue::all().len() && text.contains("finished"),
        "{text}"
    );
    let (code, text) = walk.run(&["--json"]);
    assert_eq!(code, 0);
    let rows: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        rows.as_array()
            .is_some_and(|r| r.iter().all(|r| r["solved"] == true))
    );
    // A learner who has solved it may look.
    assert_eq!(walk.run(&["solution", "guard-check"]).0, 0);
}
