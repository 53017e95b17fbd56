//! `trace_of` as its users see it: closures, examples, what is refused, and the invariants,
//! held against every recorded run.

use stage1_coop::{STAGE, ThirdParty, WaitGroup, go, gofunc, gosched, prologue, spin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;
use tests::trace::Trace;
use tests::trace_of::{trace_of, trace_of_example};
use tests::{LIMIT, example, fresh_folder, in_order, root, run};

#[gofunc]
fn work(turns: u64) -> u64 {
    spin(turns)
}

fn two_workers() {
    let all = WaitGroup::new();
    for name in ["left", "right"] {
        all.add(1);
        let all = all.clone();
        go(name, move || {
            work(200_000);
            gosched();
            work(200_000);
            all.done();
        });
    }
    all.wait();
    println!("both are done");
}

#[test]
fn a_closure_in_three_lines() {
    let text = trace_of(two_workers).procs(2).text();
    in_order(
        &text,
        &[
            "exit 0\n--- output\nboth are done\n--- trace\n",
            "stage1-coop a_closure_in_three_lines  procs=2 seed=1",
            "GoCreate     g2 left",
            "GoSched",
            "# preempt: 0 requested",
        ],
    );
    assert!(!text.contains("replay"));
}

#[test]
fn the_same_bytes_again_and_others_with_another_seed() {
    let first = trace_of(two_workers).procs(2).name("x").text();
    let again = trace_of(two_workers).procs(2).name("x").text();
    let other = trace_of(two_workers).procs(2).name("x").seed(2).text();
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// A loop passes the same call with other values; each child finds its own.
#[test]
fn a_loop_of_scenarios() {
    for n in 1..=4 {
        let trace = trace_of(move || {
            for _ in 0..n {
                go("child", || {});
            }
            gosched();
            println!("{n}");
        });
        assert_eq!(trace.trace().count("GoCreate"), n + 1);
    }
}

#[test]
fn chosen_events_and_the_strip() {
    let only = trace_of_example("hello").only(&["GoCreate", "GoSched"]);
    assert_eq!(
        only,
        "m0  p0  --   GoCreate     g1 main\nm0  p0  g1   GoCreate     g2 greeter\nm0  p0  g1   GoSched\n"
    );
    let strip = trace_of_example("hello").strip();
    assert!(strip.ends_with("p0 | g1~ g2. g1.\n"), "{strip}");
}

#[test]
fn an_example_gives_what_its_snapshot_holds() {
    for procs in [1, 2] {
        let file = root().join(format!(
            "tests/snapshots/stage1-coop__steal__p{procs}__seed1.snap"
        ));
        let recorded = std::fs::read_to_string(file).expect("a snapshot");
        let text = trace_of_example("steal").procs(procs).text();
        assert!(recorded.ends_with(&format!("---\n{text}")), "{text}");
    }
}

#[test]
fn stage_and_third_party() {
    fn ask_once(me: &mut ThirdParty) {
        if me.sleep(Duration::from_millis(1)) {
            me.raise_the_flag();
        }
    }
    let trace = trace_of(|| {
        for _ in 0..30 {
            work(100_000);
        }
    })
    .stage(&STAGE)
    .third_party(ask_once)
    .trace();
    assert_eq!(trace.count("Preempt"), 1);
    assert_eq!(trace.count("GoPreempt"), 1);
}

#[test]
fn what_depends_on_the_compiler_is_refused_with_the_ways_out() {
    // Compiled code without a check, far beyond the laboratory's patience.
    #[gofunc(nosplit)]
    fn burn() {
        // Counted, and not timed: the laboratory's patience is processor time.
        for i in 0..300_000_000_u32 {
            std::hint::black_box(i);
        }
    }
    // Somebody who waits for a time; else nobody is left to interrupt the loop.
    fn somebody(me: &mut ThirdParty) {
        while me.sleep(Duration::from_millis(10)) {}
    }
    let scenario = || {
        burn();
        gosched();
    };
    let panic = catch_unwind(AssertUnwindSafe(|| {
        trace_of(scenario).third_party(somebody).text()
    }))
    .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(
        message,
        &[
            "depends on what the compiler made",
            "spin(n)",
            "#[gofunc]",
            ".only(",
        ],
    );
}

#[test]
fn what_goes_to_stderr_is_in_the_text() {
    let text = trace_of(|| eprintln!("mind the gap")).text();
    in_order(
        &text,
        &["--- output\n", "--- stderr\nmind the gap\n--- trace\n"],
    );
}

#[test]
fn a_scenario_that_dies_is_no_snapshot() {
    let panic = catch_unwind(AssertUnwindSafe(|| {
        trace_of(|| panic!("on purpose")).text()
    }))
    .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(message, &["did not end well: status 2", "on purpose"]);
}

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
        let trace = Trace::parse(text);
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
    let good = trace_of_example("two_hogs").procs(2).text();
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
            "p0/g3 ran=10.001              #1",
            "p0/g3 ran=10.001",
            "which nobody made",
        ),
    ];
    for (old, new, what) in cases {
        let bad = good.replacen(old, new, 1);
        assert_ne!(bad, good, "{old} is not there");
        let broken = Trace::parse(&bad).check().expect_err(what);
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
    assert_eq!(Trace::parse(&text.join("\n")).events.len(), 4);
    std::fs::remove_dir_all(&dir).expect("it was there");
}

#[test]
fn half_a_trace_can_be_read() {
    let text =
        "# safepoint trace v1  x y  procs=1\n    0.000  m0  p0  --   ProcStart    p0\n    0.0";
    let trace = Trace::parse(text);
    assert_eq!(trace.events.len(), 1);
    assert_eq!(trace.header("procs"), Some("1"));
    assert!(!trace.portable());
}
