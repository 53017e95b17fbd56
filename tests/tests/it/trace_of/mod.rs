//! `trace_of` as its users see it: closures, examples, what is refused, and the invariants,
//! held against every recorded run.

mod recorded;
mod refused;
mod seeds;

use stage1_coop::{STAGE, ThirdParty, WaitGroup, go, gofunc, gosched, prologue, spin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;
use tests::{TraceOf, fresh_folder, in_order, long, root, run, trace_of, trace_of_example};

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
fn what_goes_to_stderr_is_in_the_text() {
    let text = traced(|| eprintln!("mind the gap")).text();
    in_order(
        &text,
        &["--- output\n", "--- stderr\nmind the gap\n--- trace\n"],
    );
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
