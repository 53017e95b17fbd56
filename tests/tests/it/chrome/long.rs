//! More events than there is room for, and runs without an end: whole traces, their last events,
//! and traces in pieces.

use super::scenario;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::{LIMIT, fresh_folder, long};

/// The last bytes of a file.
fn tail(file: &Path) -> String {
    let mut file = std::fs::File::open(file).expect("a trace");
    let length = file.metadata().expect("a file").len();
    file.seek(SeekFrom::Start(length.saturating_sub(2_000)))
        .expect("a file");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("its end");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs `yields N` with its trace in a file of this form; returns the file, and how much memory
/// the program used at most, in KiB.
fn yields(n: &str, form: &str, dir: &Path, switches: &[(&str, &str)]) -> (PathBuf, i64) {
    let file = dir.join(format!("long.{form}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
    for switch in [
        "SAFEPOINT_SEED",
        "SAFEPOINT_TRACE_LAST",
        "SAFEPOINT_TRACE_STREAM",
        "GODEBUG",
    ] {
        command.env_remove(switch);
    }
    command.args(["yields", n]).env("SAFEPOINT_TRACE", &file);
    let out = command.envs(switches.iter().copied()).output();
    let out = out.expect("a child");
    assert!(out.status.success(), "yields {n}, {form}");
    // Its own word: what wait4 says of a child begins with the memory of its parent.
    let words = String::from_utf8_lossy(&out.stdout);
    let peak = words.lines().last().and_then(|line| line.parse().ok());
    (file, peak.expect("a number of KiB"))
}

/// More events than an M has room for: what is there is the whole truth up to a moment, and
/// each form says which.
#[test]
fn a_trace_that_ran_full_says_so() {
    let dir = fresh_folder("safepoint-long-").expect("a folder");
    let forms: &[&str] = match long() {
        true => &["txt", "json", "trace"],
        false => &["txt"],
    };
    for &form in forms {
        let (file, memory) = yields("400000", form, &dir, &[]);
        // 64 MiB of them are the events themselves.
        assert!(memory < 128 << 10, "{form}: {memory} KiB");
        let tail = tail(&file);
        match form {
            "txt" => {
                let mut lines = tail.lines().rev();
                let totals = lines.next().expect("totals");
                assert!(totals.contains(" unheard so far"), "{totals}");
                let cut = lines.next().expect("a word about the rest");
                assert!(cut.starts_with("# the trace ends at "), "{cut}");
                assert!(cut.contains(" are missing"), "{cut}");
                let last = lines.next().expect("an event").trim_start();
                let at = cut.split(' ').nth(5).expect("a time").trim_end_matches(',');
                assert!(last.starts_with(at), "{last}");
            }
            "json" => assert!(tail.contains("\"endsAt\":\""), "{tail}"),
            _ => assert!(tail.contains("this trace ends at "), "{tail}"),
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// A quarter of a million events: no form needs much more memory than the events themselves,
/// which are 48 bytes each. JSON's text alone is larger than the limit.
#[test]
fn writing_takes_little_memory() {
    let dir = fresh_folder("safepoint-long-").expect("a folder");
    let (_, without) = yields("1", "json", &dir, &[]);
    for form in ["txt", "json", "trace"] {
        let (file, memory) = yields("60000", form, &dir, &[]);
        assert!(
            memory - without < 24 << 10,
            "{form}: {memory} KiB, {without} without events"
        );
        let length = file.metadata().expect("a trace").len();
        assert!(form != "json" || length > 24 << 20, "{length} bytes");
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// Written while the program runs, a trace has all of them.
#[test]
fn a_trace_can_be_as_long_as_the_run() {
    let dir = fresh_folder("safepoint-long-").expect("a folder");
    let (file, memory) = yields("100000", "txt", &dir, &[("SAFEPOINT_TRACE_STREAM", "1")]);
    assert!(memory < 64 << 10, "{memory} KiB");
    let text = std::fs::read_to_string(&file).expect("a trace");
    let count = |name: &str| text.lines().filter(|l| l.contains(name)).count();
    assert_eq!(count("  GoSched"), 200_000);
    assert_eq!(count("  GoCreate"), 3);
    assert_eq!(count("  GoEnd"), 3);
    assert!(!text.contains("missing") && !text.contains("so far"));
    let _ = std::fs::remove_dir_all(&dir);
}

/// In lockstep the pieces put together are the trace that is written at the end.
#[test]
fn pieces_are_the_whole() {
    let env = [("SAFEPOINT_SEED", "5"), ("SAFEPOINT_TRACE", "-")];
    let streamed = [env[0], env[1], ("SAFEPOINT_TRACE_STREAM", "1")];
    let whole = tests::parse(&scenario(&["pairs", "3000"], &env).stderr);
    let pieces = tests::parse(&scenario(&["pairs", "3000"], &streamed).stderr);
    pieces.check_run().expect("a trace of what was");
    assert_eq!(pieces.events.len(), whole.events.len());
    assert_eq!(pieces.events, whole.events);
    assert_eq!(whole.header("portable"), Some("yes"));
    assert_eq!(pieces.header("portable"), Some("unknown"));
    assert_eq!(pieces.totals[0], "# portable=yes");
    assert_eq!(pieces.totals[1..], whole.totals);
    // Free-running, on as many threads as there are.
    let ended = scenario(&["pairs", "20000"], &streamed[1..]);
    let free = tests::parse(&ended.stderr);
    free.check_run().expect("a trace of what was");
    assert_eq!(free.count("GoCreate"), 5);
}

/// The flight recorder.
#[test]
fn the_last_events_are_kept() {
    let env = [("SAFEPOINT_SEED", "5"), ("SAFEPOINT_TRACE", "-")];
    let last = [env[0], env[1], ("SAFEPOINT_TRACE_LAST", "1500")];
    let whole = tests::parse(&scenario(&["pairs", "3000"], &env).stderr);
    let ended = scenario(&["pairs", "3000"], &last);
    let end = tests::parse(&ended.stderr);
    assert_eq!(
        end.events,
        whole.events[whole.events.len() - 1500..],
        "{:?}",
        end.head
    );
    let missing = format!(
        ": {} earlier events are left out",
        whole.events.len() - 1500
    );
    assert!(
        end.head.iter().any(|l| l.contains(&missing)),
        "{:?}",
        end.head
    );
    assert!(
        end.totals[0].contains(" unheard since then"),
        "{:?}",
        end.totals
    );
    // A run that is shorter loses nothing.
    let ended = scenario(&["pairs", "20"], &last);
    assert!(!ended.stderr.contains("left out"));
    assert_eq!(ended.stderr, scenario(&["pairs", "20"], &env).stderr);
}

/// Whatever becomes of the process, what was written is there, in whole lines.
#[test]
fn a_killed_program_leaves_its_trace() {
    let dir = fresh_folder("safepoint-killed-").expect("a folder");
    let file = dir.join("x.txt");
    for seed in ["", "1"] {
        let _ = std::fs::remove_file(&file);
        let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
        command
            .arg("for_ever")
            .env("SAFEPOINT_TRACE", &file)
            .env("SAFEPOINT_TRACE_STREAM", "1")
            .env("SAFEPOINT_SEED", seed)
            .stdout(Stdio::null());
        let mut child = command.spawn().expect("a child");
        let begin = Instant::now();
        let text = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.matches("still here").count() > 20 {
                break text;
            }
            assert!(begin.elapsed() < LIMIT, "{text}");
            std::thread::sleep(Duration::from_millis(20));
        };
        let _ = child.kill();
        let _ = child.wait();
        let trace = tests::parse(&text[..=text.rfind('\n').expect("lines")]);
        trace.check().expect("a trace of what was");
    }
    let _ = std::fs::remove_dir_all(&dir);
}

#[test]
fn switches_of_long_traces_are_checked() {
    let refused = [
        (
            [("SAFEPOINT_TRACE_LAST", "0"), ("SAFEPOINT_TRACE", "-")],
            "not a number of events",
        ),
        (
            [("SAFEPOINT_TRACE_LAST", "many"), ("SAFEPOINT_TRACE", "-")],
            "not a number of events",
        ),
        (
            [("SAFEPOINT_TRACE_STREAM", "yes"), ("SAFEPOINT_TRACE", "-")],
            "use 1 to write",
        ),
        (
            [
                ("SAFEPOINT_TRACE_LAST", "9"),
                ("SAFEPOINT_TRACE", "x.trace"),
            ],
            "Go's form cannot begin",
        ),
    ];
    for (env, why) in refused {
        let ended = scenario(&["names"], &env);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(
            ended.stderr.contains(why) && ended.stderr.lines().count() == 1,
            "{ended:#?}"
        );
    }
    let both = [
        ("SAFEPOINT_TRACE", "-"),
        ("SAFEPOINT_TRACE_LAST", "9"),
        ("SAFEPOINT_TRACE_STREAM", "1"),
    ];
    assert_eq!(scenario(&["names"], &both).code, Some(2));
}
