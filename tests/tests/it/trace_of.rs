//! `trace_of` as its users see it: closures, examples, what is refused, and the invariants,
//! held against every recorded run.

use crate::fixture::with_panic_hook;
use stage1_coop::{Chan, STAGE, ThirdParty, WaitGroup, go, gofunc, gosched, prologue, spin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use tests::trace::Trace;
use tests::{
    LIMIT, TraceOf, example, fresh_folder, in_order, long, root, run, trace_of, trace_of_example,
    trace_of_program,
};

/// The trace of a closure on a stage's own table.
#[track_caller]
fn traced(main: impl FnOnce() + Send + 'static) -> TraceOf {
    // SAFETY: nothing in this file keeps anything that belongs to a thread across a yield.
    unsafe { trace_of(&STAGE, main) }
}

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
    let text = traced(two_workers).procs(2).text();
    in_order(
        &text,
        &[
            "exit 0\n--- output\nboth are done\n--- trace\n",
            "stage1-coop trace_of::a_closure_in_three_lines  procs=2 seed=1",
            "GoCreate     g2 left",
            "GoSched",
            "# preempt: 0 requested",
        ],
    );
    assert!(!text.contains("replay"));
}

#[test]
fn the_same_bytes_again_and_others_with_another_seed() {
    let first = traced(two_workers).procs(2).name("x").text();
    let again = traced(two_workers).procs(2).name("x").text();
    let other = traced(two_workers).procs(2).name("x").seed(2).text();
    assert_eq!(first, again);
    assert_ne!(first, other);
}

/// A loop passes the same call with other values; each child finds its own.
#[test]
fn a_loop_of_scenarios() {
    for n in 1..=4 {
        let trace = traced(move || {
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
    let only = trace_of_example(&STAGE, "hello").only(&["GoCreate", "GoSched"]);
    assert_eq!(
        only,
        "m0  p0  --   GoCreate     g1 main\nm0  p0  g1   GoCreate     g2 greeter\nm0  p0  g1   GoSched\n"
    );
    let strip = trace_of_example(&STAGE, "hello").strip();
    assert!(strip.ends_with("p0 | g1~ g2. g1.\n"), "{strip}");
}

#[test]
fn an_example_gives_what_its_snapshot_holds() {
    for procs in [1, 2] {
        let file = root().join(format!(
            "tests/snapshots/stage1-coop__steal__p{procs}__seed1.snap"
        ));
        let recorded = std::fs::read_to_string(file).expect("a snapshot");
        let text = trace_of_example(&STAGE, "steal").procs(procs).text();
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
    let trace = traced(|| {
        for _ in 0..30 {
            work(100_000);
        }
    })
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
        traced(scenario).third_party(somebody).text()
    }))
    .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(
        message,
        &[
            "depends on what the compiler made",
            "a loop without a check ran long",
            "#[gofunc]",
            "spin(n)",
            ".only(",
        ],
    );
}

#[test]
fn what_goes_to_stderr_is_in_the_text() {
    let text = traced(|| eprintln!("mind the gap")).text();
    in_order(
        &text,
        &["--- output\n", "--- stderr\nmind the gap\n--- trace\n"],
    );
}

#[test]
fn a_scenario_that_dies_is_no_snapshot() {
    let panic = catch_unwind(AssertUnwindSafe(|| traced(|| panic!("on purpose")).text()))
        .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(message, &["did not end well: status 2", "on purpose"]);
}

/// The words with which `f` panics, and the place that the panic names.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it is not refused"),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().expect("a text").to_string(),
        },
    }
}

#[test]
fn a_misspelled_event_is_refused() {
    let near = panic_of(|| trace_of_example(&STAGE, "hello").only(&["GoStrat"]));
    assert!(near.contains("is `GoStart` meant?"), "{near}");
    let far = panic_of(|| trace_of_example(&STAGE, "hello").only(&["Nonsense"]));
    in_order(&far, &["stage1-coop", "GoCreate", ".stage(&STAGE)"]);
    // A kind of a later stage is none here, even if it could happen there.
    let later = panic_of(|| trace_of_example(&STAGE, "hello").only(&["ProcSteal"]));
    in_order(&later, &["there is no event `ProcSteal`"]);
    let stage = &stage2_sysmon::STAGE;
    // One that is known and does not happen is a fact about the schedule.
    assert_eq!(trace_of_example(stage, "sleepers").only(&["ProcSteal"]), "");
}

/// A count of a misspelt event would be 0 on every schedule.
#[test]
fn a_misspelt_event_is_refused_in_questions_too() {
    let trace = trace_of_example(&STAGE, "hello").trace();
    for near in [
        panic_of(|| trace.count("GoSnd")),
        panic_of(|| trace.find("GoSnd").count()),
    ] {
        assert!(near.contains("is `GoEnd` meant?"), "{near}");
        assert!(near.contains("Also near: GoSched"), "{near}");
    }
    // One that is known and does not happen is a fact about the schedule.
    assert_eq!(trace.count("PollHit"), 0);
}

/// A program whose stage was not said: its events are not known, and nothing can be held.
#[test]
fn a_trace_of_another_stage_says_that_the_stage_is_missing() {
    let program = example("stage2-sysmon", "blocking_call");
    let words = panic_of(|| safepoint_testkit::trace_of_program(&program, &[]).text());
    in_order(
        &words,
        &["no event `GoSysCall`", "stage2-sysmon", ".stage(&STAGE)"],
    );
}

#[test]
fn what_is_refused_says_what_to_do() {
    let none = panic_of(|| trace_of_program("/nowhere/prog", &[]).text());
    in_order(&none, &["/nowhere/prog cannot be started"]);
    let example = panic_of(|| safepoint_testkit::trace_of_example("no_such").text());
    in_order(&example, &["examples/no_such", "trace_of_program"]);
    let dead = panic_of(|| traced(|| assert_eq!(Chan::<u32>::new(0).recv(), None)).text());
    in_order(
        &dead,
        &["status 2", ".may_die()", "nothing can happen any more"],
    );
    let procs = panic_of(|| traced(|| {}).procs(0));
    assert_eq!(procs, "procs(0): a run has 1 to 256 Ps");
}

/// A scenario that never ends shows where it was.
#[test]
fn a_scenario_without_an_end_shows_its_last_events() {
    let scenario = traced(|| {
        loop {
            spin(1_000);
            gosched();
        }
    });
    let late = panic_of(|| scenario.limit(Duration::from_millis(500)).text());
    in_order(
        &late,
        &["did not end within 500ms", ".limit(", "GoSched", "GoSched"],
    );
}

/// Where a panic is reported, in the words of the harness: at the caller's line.
#[test]
fn a_refusal_names_the_line_of_the_test() {
    static AT: Mutex<Option<(String, u32)>> = Mutex::new(None);
    let me = std::thread::current().id();
    let remember = move |info: &std::panic::PanicHookInfo<'_>| {
        if std::thread::current().id() == me {
            let at = info.location().map(|at| (at.file().to_owned(), at.line()));
            *AT.lock().expect("no panic while it is held") = at;
        }
    };
    let line = line!() + 2;
    let _ = with_panic_hook(remember, || {
        catch_unwind(|| trace_of_program("/nowhere/prog", &[]).text())
    });
    let at = AT.lock().expect("no panic while it is held").take();
    assert_eq!(at, Some((file!().to_owned(), line)));
}

/// Two goroutines on two Ps: which of them is made last depends on nothing, which ends first
/// depends on the seed.
fn race() {
    let all = WaitGroup::new();
    for name in ["left", "right"] {
        all.add(1);
        let all = all.clone();
        go(name, move || {
            work(1_000);
            gosched();
            work(1_000);
            all.done();
        });
    }
    all.wait();
}

#[test]
fn a_rule_that_holds_on_every_schedule() {
    traced(race).procs(2).seeds(0..12).check(|trace| {
        assert_eq!(trace.count("GoCreate"), 3);
    });
    // A later call in the same test: its child passes the search above without repeating it.
    assert_eq!(traced(race).trace().count("GoEnd"), 3);
}

#[test]
fn the_first_seed_that_breaks_a_rule_is_named() {
    let first_end = |trace: &Trace| {
        let end = trace.find("GoEnd").next().expect("one ends first");
        trace.events[end].g
    };
    let (left, right) = {
        let trace = traced(race).procs(2).trace();
        (trace.goroutine("left"), trace.goroutine("right"))
    };
    let ends: Vec<bool> = (0..40)
        .map(|seed| first_end(&traced(race).procs(2).seed(seed).trace()) == left)
        .collect();
    let broken = ends.iter().filter(|&&is_left| !is_left).count();
    assert!(0 < broken && broken < 40, "{ends:?}");
    let first = ends.iter().position(|&is_left| !is_left).expect("one");
    let words = panic_of(|| {
        traced(race).procs(2).seeds(0..40).check(|trace| {
            assert_ne!(first_end(trace), right, "right was first");
        });
    });
    in_order(
        &words,
        &[
            &format!("{broken} of 40 schedules broke something"),
            &format!("The first is .seed({first}): "),
            "right was first",
            // The place of the assertion: the panics themselves are not printed.
            "trace_of.rs:",
            "The shortest trace, ",
            "# safepoint trace v1",
        ],
    );
}

#[test]
fn a_schedule_on_which_the_scenario_dies_is_found_with_its_trace() {
    let words = panic_of(|| {
        traced(|| {
            gosched();
            panic!("on purpose");
        })
        .seeds(3..=4)
        .check(|_| {});
    });
    in_order(
        &words,
        &["2 of 2", ".seed(3): it dies", "on purpose", "GoSched"],
    );
    let empty = panic_of(|| traced(|| {}).seeds(5..5).check(|_| {}));
    assert!(empty.contains("there is none"), "{empty}");
}

/// The two files in the kit's documentation, as they stand there, in a crate outside this
/// workspace. Long: it builds the runtime once more.
#[test]
fn an_outside_crate_as_the_documentation_says() {
    if !long() {
        println!("skipped: builds a crate of its own; set SAFEPOINT_LONG=1");
        return;
    }
    let kit = std::fs::read_to_string(root().join("tests/kit/src/lib.rs")).expect("the kit");
    let listing = |fence: &str| -> String {
        let text = kit.split_once(fence).expect("a listing").1;
        let lines = text.lines().skip(1).take_while(|l| !l.contains("```"));
        lines
            .map(|l| l.trim_start_matches("//!").strip_prefix(' ').unwrap_or(""))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    let dir = fresh_folder("safepoint-outside-").expect("a folder");
    let here = root().display().to_string();
    let manifest = listing("//! ```toml").replace("../safepoint", &here);
    std::fs::create_dir_all(dir.join("src")).expect("a folder");
    std::fs::create_dir_all(dir.join("tests")).expect("a folder");
    std::fs::write(dir.join("src/lib.rs"), "").expect("a file");
    std::fs::write(dir.join("Cargo.toml"), manifest).expect("a file");
    std::fs::write(dir.join("tests/schedule.rs"), listing("//! ```ignore")).expect("a file");
    std::fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).expect("a file");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["test", "--target-dir"])
        .arg(root().join("target/outside"))
        .current_dir(&dir)
        // Cargo tells the tests that it runs about the package they belong to.
        .env_remove("CARGO_MANIFEST_DIR");
    let ended = run(&mut cargo, &[], Duration::from_secs(600));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    in_order(&ended.stdout, &["2 passed", "0 failed"]);
    std::fs::remove_dir_all(&dir).expect("it was there");
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
