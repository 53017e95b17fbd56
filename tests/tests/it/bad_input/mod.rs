//! What a program gets that asks for nonsense, or runs where the system refuses: one clear
//! line on stderr, status 2, nothing on stdout and nothing half-done. And what lockstep says
//! when it cannot go on.
//!
//! Rows 11, 25 and 31 of the list of mechanisms, and the switches.
mod disk;
mod lockstep;
mod stderr;
mod system;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;
use tests::{Ended, LIMIT, in_order, run, scenario};

/// A folder of its own for a test, which is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("safepoint-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SEED: (&str, &str) = ("SAFEPOINT_SEED", "1");

/// Refused: one line with these words in it, status 2, and `main` never ran.
#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(ended.stdout, "", "{ended:#?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    assert!(ended.stderr.ends_with('\n'));
    in_order(&ended.stderr, words);
}

#[test]
fn a_switch_that_cannot_be_understood_is_refused_in_one_line() {
    for (name, value, words) in [
        (
            "GOMAXPROCS",
            "abc",
            "not a number of processors; use 1 to 256",
        ),
        ("GOMAXPROCS", "0", "use 1 to 256"),
        ("GOMAXPROCS", "-1", "use 1 to 256"),
        ("GOMAXPROCS", "257", "use 1 to 256"),
        ("GOMAXPROCS", " 2", "use 1 to 256"),
        ("GOMAXPROCS", "99999999999999999999", "use 1 to 256"),
        ("GOMAXPROCS", "+5", "use 1 to 256"),
        ("SAFEPOINT_SEED", "+5", "not a seed"),
        ("SAFEPOINT_TRACE_LAST", "+5", "not a number of events"),
        ("GODEBUG", "asyncpreemptoff=+1", "takes a number, not `+1`"),
        (
            "GODEBUG",
            "asyncpreemptoff=x",
            "`asyncpreemptoff` takes a number, not `x`",
        ),
        ("GODEBUG", "asyncpreemptoff=", "takes a number, not ``"),
        ("GODEBUG", "foo", "`foo` is not of the form key=number"),
        (
            "GODEBUG",
            "asyncpreemptoff=1,foo",
            "`foo` is not of the form key=number",
        ),
        (
            "SAFEPOINT_SEED",
            "x",
            "not a seed; use a number from 0 to 18446744073709551615",
        ),
        ("SAFEPOINT_SEED", "-1", "not a seed"),
        (
            "GOTRACEBACK",
            "nonsense",
            "use none, single, all, system or crash",
        ),
        (
            "SAFEPOINT_TRACE",
            "trace",
            "end the name in .txt (text), .json",
        ),
        (
            "SAFEPOINT_TRACE",
            "trace.xml",
            "end the name in .txt (text), .json",
        ),
        (
            "SAFEPOINT_TRACE",
            "/nonexistent/trace.txt",
            "cannot be written: No such file or directory",
        ),
    ] {
        let ended = scenario!([(name, value)], "hello");
        refused(&ended, &[&format!("{name}={value}: "), words]);
    }
}

#[test]
fn a_value_is_shown_in_one_line_whatever_is_in_it() {
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "SAFEPOINT_SEED",
        "GOTRACEBACK",
        "SAFEPOINT_TRACE",
        "SAFEPOINT_TRACE_LAST",
        "SAFEPOINT_TRACE_MAP",
        "SAFEPOINT_TRACE_STREAM",
    ] {
        let ended = scenario!([(name, "a'ü\n\x1b[31m\u{202e}b")], "hello");
        refused(
            &ended,
            &[&format!("{name}=a'ü\\n\\u{{1b}}[31m\\u{{202e}}b: ")],
        );
    }
}

#[test]
fn an_example_says_which_arguments_it_takes() {
    let mut deep = Command::new(tests::example("stage1-coop", "deep"));
    let ended = run(deep.arg("--for\never"), &[], LIMIT);
    refused(
        &ended,
        &["deep: takes --forever or nothing, not \"--for\\never\""],
    );
}

/// Without its handlers a run could not tell an overflow from a wild pointer, and lockstep
/// would die of its own clock.
#[test]
fn a_system_that_refuses_handlers_is_named_in_one_line() {
    for (what, seed, words) in [
        (
            "SIGSEGV",
            false,
            "refuses a handler for signal 11: Operation not permitted",
        ),
        (
            "SIGBUS",
            false,
            "refuses a handler for signal 7: Operation not permitted",
        ),
        (
            "sigaltstack",
            false,
            "refuses a signal stack: Operation not permitted",
        ),
        (
            "SIGTRAP",
            true,
            "needs a handler for signal 5, and the system refuses it",
        ),
        (
            "SIGVTALRM",
            true,
            "needs a handler for signal 26, and the system refuses it",
        ),
    ] {
        let env: &[_] = if seed {
            &[("SAFEPOINT_SEED", "1")]
        } else {
            &[]
        };
        let ended = tests::scenario_of(env!("CARGO_BIN_EXE_scenario"), &["no_handlers", what], env);
        if ended.stdout.starts_with("no filter here") {
            println!("skipped: {}", ended.stdout);
            return;
        }
        refused(&ended, &[words]);
    }
}

#[test]
fn a_value_that_is_no_text_is_refused() {
    for name in ["GOMAXPROCS", "GODEBUG", "SAFEPOINT_SEED", "SAFEPOINT_TRACE"] {
        // An invalid byte; `run` removes the switches, so it goes through a shell's hands.
        let mut command = Command::new("env");
        let mut assignment = name.as_bytes().to_vec();
        assignment.extend(b"=\xff");
        command.arg(OsStr::from_bytes(&assignment));
        command.args([tests::program!("scenario"), "hello"]);
        refused(&run(&mut command, &[], LIMIT), &[name, ": not UTF-8"]);
    }
}

#[test]
fn an_empty_value_is_no_value() {
    for name in [
        "GOMAXPROCS",
        "GODEBUG",
        "GOTRACEBACK",
        "SAFEPOINT_SEED",
        "SAFEPOINT_TRACE",
    ] {
        let ended = scenario!([(name, "")], "hello");
        assert_eq!(ended.code, Some(0), "{name}: {ended:#?}");
        assert_eq!((&*ended.stdout, &*ended.stderr), ("hello\n", ""), "{name}");
    }
}

#[test]
fn what_go_knows_and_this_stage_does_not_is_said_and_ignored() {
    let ended = scenario!([("GODEBUG", "gctrace=1,asyncpreemptoff=1")], "hello");
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "hello\n"));
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    in_order(&ended.stderr, &["GODEBUG: `gctrace`", "ignored\n"]);
}

#[test]
fn a_program_sets_the_keys_of_its_stage_and_the_environment_wins() {
    for stage in ["1", "2"] {
        let keys: Vec<&str> = match stage {
            "1" => vec!["asyncpreemptoff"],
            _ => vec![
                "asyncpreemptoff",
                "schedtrace",
                "scheddetail",
                "asynctimerchan",
            ],
        };
        // Every key that the stage has; a trace of the scheduler once in two weeks.
        let values = ["1", "1200000000", "3", "4"];
        let mut words = vec!["godebug", stage];
        for (key, value) in keys.iter().zip(values) {
            words.extend([key, value]);
        }
        let exe = tests::program!("scenario");
        let ended = tests::scenario_of(exe, &words, &[]);
        let said = |values: &[&str]| -> String {
            let all = keys.iter().zip(values);
            all.map(|(key, value)| format!("{key}={value}\n")).collect()
        };
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), &*said(&values)),
            "{ended:#?}"
        );
        // Said twice: the last one counts. And what the environment says counts more.
        words.extend(["asyncpreemptoff", "5"]);
        let ended = tests::scenario_of(exe, &words, &[]);
        assert!(
            ended.stdout.starts_with("asyncpreemptoff=5\n"),
            "{ended:#?}"
        );
        let ended = tests::scenario_of(exe, &words, &[("GODEBUG", "asyncpreemptoff=0")]);
        assert!(
            ended.stdout.starts_with("asyncpreemptoff=0\n"),
            "{ended:#?}"
        );
        // The next runtime knows nothing of it.
        let ended = tests::scenario_of(exe, &["godebug", stage], &[]);
        assert_eq!(ended.stdout, said(&["0"; 4]), "{ended:#?}");
    }
}

#[test]
fn a_program_hears_the_same_words_of_its_own_settings() {
    for (key, value) in [
        ("asyncpreemptoff", "x"),
        ("asyncpreemptoff", "-1"),
        ("schedtrace", ""),
    ] {
        let ended = scenario!([], "godebug", "2", key, value);
        let line = format!("Runtime::godebug: `{key}` takes a number, not `{value}`\n");
        refused(&ended, &[&line]);
    }
    // Of another stage, Go's own, and none at all.
    for (stage, key) in [("1", "schedtrace"), ("2", "gctrace"), ("2", "a\nb")] {
        let ended = scenario!([], "godebug", stage, key, "1", "asyncpreemptoff", "1");
        let shown = key.replace('\n', "\\n");
        let line = format!("Runtime::godebug: `{shown}` means nothing here and is ignored\n");
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(0), &*line),
            "{ended:#?}"
        );
        assert!(
            ended.stdout.starts_with("asyncpreemptoff=1\n"),
            "{ended:#?}"
        );
    }
}

#[test]
fn every_number_of_ps_works() {
    for procs in ["1", "2", "7", "256"] {
        let ended = scenario!([("GOMAXPROCS", procs)], "hello");
        assert_eq!(
            (ended.code, &*ended.stdout),
            (Some(0), "hello\n"),
            "{procs}"
        );
        assert_eq!(ended.stderr, "", "{procs}");
    }
}
