//! Recorded and mapped traces keep the invariants, and broken ones do not.

use stage1_coop::STAGE;
use std::process::Command;
use tests::{LIMIT, example, fresh_folder, root, run, trace_of_example};

/// Every recorded run keeps the invariants, and a trace that was changed does not.
#[test]
fn invariants_of_recorded_runs() {
    let mut seen = 0;
    for entry in root()
        .join("tests/snapshots")
        .read_dir()
        .expect("snapshots")
        .flatten()
    {
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        let Some((_, text)) = text.split_once("--- trace\n") else {
            continue;
        };
        // A program without a runtime has none.
        if text.trim().is_empty() {
            continue;
        }
        let trace = tests::parse(text);
        assert!(trace.portable(), "{entry:?}");
        if let Err(broken) = trace.check() {
            panic!("{entry:?}: {broken}\n{text}");
        }
        seen += 1;
    }
    assert!(seen >= 32, "only {seen} recorded runs");
}

#[test]
fn broken_traces_are_noticed() {
    let good = trace_of_example(&STAGE, "two_hogs").procs(2).text();
    let (_, good) = good.split_once("--- trace\n").expect("a trace");
    let cases: [(&str, &str, &str); 6] = [
        ("GoStart      g2", "GoStart      g3", "starts while it runs"),
        (
            "ProcStart    p1",
            "ProcStart    p0",
            "belongs to m0 already",
        ),
        (
            "GoUnblock    g1",
            "GoUnblock    g2",
            "is woken and does not wait",
        ),
        ("GoCreate     g3", "GoCreate     g2", "is made twice"),
        ("GoStart      g1", "GoStart      g7", "was never made"),
        (
            "p0/g3 ran=10.005              #1",
            "p0/g3 ran=10.001",
            "which nobody made",
        ),
    ];
    for (old, new, what) in cases {
        let bad = good.replacen(old, new, 1);
        assert_ne!(bad, good, "{old} is not there");
        let broken = tests::parse(&bad).check().expect_err(what);
        assert!(broken.what.contains(what), "{broken}");
    }
}

/// `SAFEPOINT_TRACE_MAP`: the last events lie in somebody else's file, whatever its length,
/// and what is no such file is refused in one line.
#[test]
fn the_last_events_in_a_mapped_file() {
    let dir = fresh_folder("safepoint-map-").expect("a folder");
    let map = dir.join("map");
    let shown = map.display().to_string();
    let hello = || {
        let mut command = Command::new(example("stage1-coop", "hello"));
        run(&mut command, &[("SAFEPOINT_TRACE_MAP", &shown)], LIMIT)
    };
    let missing = hello();
    assert_eq!((missing.code, missing.stderr.lines().count()), (Some(2), 1));
    assert!(missing.stderr.contains("cannot be opened"), "{missing:?}");
    std::fs::write(&map, "short").expect("a file");
    let short = hello();
    assert_eq!((short.code, short.stderr.lines().count()), (Some(2), 1));
    assert!(short.stderr.contains("give the file its length first"));
    // Room for four events, and a bit: the first ones are overwritten.
    std::fs::write(&map, [0; 4 * 128 + 77]).expect("a file");
    let ended = hello();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let bytes = std::fs::read(&map).expect("the file");
    assert_eq!(bytes[4 * 128..], [0; 77]);
    let mut lines: Vec<(u64, &str)> = bytes
        .chunks_exact(128)
        .map(|record| {
            let number = u64::from_ne_bytes(record[..8].try_into().expect("eight bytes"));
            let text = std::str::from_utf8(&record[8..]).expect("a text");
            (number, text.trim_end_matches('\0'))
        })
        .collect();
    lines.sort_unstable();
    let (first, (last, line)) = (lines[0].0, lines[3]);
    assert_eq!(last, first + 3, "{lines:?}");
    assert!(first > 4 && line.contains("GoEnd"), "{lines:?}");
    let text: Vec<&str> = lines.iter().map(|l| l.1).collect();
    assert_eq!(tests::parse(&text.join("\n")).events.len(), 4);
    std::fs::remove_dir_all(&dir).expect("it was there");
}

#[test]
fn half_a_trace_can_be_read() {
    let text =
        "# safepoint trace v1  x y  procs=1\n    0.000  m0  p0  --   ProcStart    p0\n    0.0";
    let trace = tests::parse(text);
    assert_eq!(trace.events.len(), 1);
    assert_eq!(trace.header("procs"), Some("1"));
    assert!(!trace.portable());
}
