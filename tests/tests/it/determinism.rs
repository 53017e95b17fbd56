//! Same seed, same bytes: again and again, on a busy machine, whatever the compiler made of
//! the code. `SAFEPOINT_LONG=1` does it two hundred times and in every build profile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tests::{about, example, examples, lockstep, long, root, trace_of_program, two_at_a_time};

const STAGES: [&str; 3] = ["stage1-coop", "stage2-sysmon", "stage3-signals"];
const PROCS: [usize; 3] = [1, 2, 8];

/// Runs `f` beside threads that take the processors away from it.
fn under_load<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    static STOP: AtomicBool = AtomicBool::new(false);
    /// Also when `f` panics.
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            STOP.store(true, Relaxed);
        }
    }
    STOP.store(false, Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !STOP.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let _stop = Stop;
        f()
    })
}

#[test]
fn again_and_again_and_under_load() {
    let rounds = if long() { 200 } else { 1 };
    let mut jobs = Vec::new();
    for stage in STAGES {
        for name in replaying(stage) {
            jobs.extend(PROCS.map(|procs| (stage, name.clone(), procs)));
        }
    }
    let run = |job: &(&str, String, usize)| lockstep(job.0, &job.1, job.2, 1);
    let first = Mutex::new(BTreeMap::new());
    two_at_a_time(&jobs, |job| {
        let text = recorded(job.0, &job.1, job.2).unwrap_or_else(|| run(job));
        let mut first = first.lock().expect("no panic while it is held");
        first.insert(job.clone(), text);
    });
    let first = first.into_inner().expect("no panic while it is held");
    let all = |round| {
        two_at_a_time(&jobs, |job| {
            let text = run(job);
            let (text, first) = (text.trim_end(), first[job].trim_end());
            assert_eq!(first, text, "{job:?} differs in round {round}");
        });
    };
    // Every second round beside threads that take the processors away.
    for round in 0..rounds {
        if round % 2 == 0 {
            under_load(2, || all(round));
        } else {
            all(round);
        }
    }
}

/// The recorded schedule of an example, if there is one: the module `traces` holds a run on a
/// machine as it is to it.
fn recorded(stage: &str, name: &str, procs: usize) -> Option<String> {
    let file = format!("tests/snapshots/{stage}__{name}__p{procs}__seed1.snap");
    let text = std::fs::read_to_string(root().join(file)).ok()?;
    let (_, text) = text.strip_prefix("---\n")?.split_once("\n---\n")?;
    Some(text.to_owned())
}

#[test]
fn seeds_give_different_schedules() {
    let one = lockstep("stage1-coop", "steal", 2, 1);
    let two = lockstep("stage1-coop", "steal", 2, 2);
    assert_ne!(one, two);
}

/// An example's run in lockstep must be quick enough for a button on a page: 2 s, of which
/// a quiet machine needs 0.3. Twice that here, for a busy one.
#[test]
fn lockstep_runs_are_short() {
    let stages = ["stage1-coop", "stage3-signals"];
    let names = stages.map(|stage| replaying(stage).into_iter().map(move |name| (stage, name)));
    for (stage, name) in names.into_iter().flatten() {
        // Built before the clock starts.
        let _ = example(stage, &name);
        for procs in PROCS {
            let begin = Instant::now();
            lockstep(stage, &name, procs, 1);
            let took = begin.elapsed();
            assert!(
                took < Duration::from_secs(4),
                "{name} on {procs} Ps took {took:?}"
            );
        }
    }
}

/// Builds the examples in other profiles and compares bytes. Long: two builds. The tests
/// themselves are built with opt-level 1, and release is 3.
#[test]
fn whatever_the_compiler_made() {
    if !long() {
        println!("skipped: builds the examples twice; set SAFEPOINT_LONG=1");
        return;
    }
    for level in ["s", "release"] {
        let target = root().join("target/opt").join(level);
        let mut cargo = tests::cargo();
        cargo
            .args(["build", "-q", "--examples", "--target-dir"])
            .arg(&target)
            .args(STAGES.iter().flat_map(|stage| ["-p", *stage]))
            .current_dir(root());
        let profile = if level == "release" {
            cargo.arg("--release");
            "release"
        } else {
            cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", level);
            "debug"
        };
        assert!(cargo.status().expect("cargo can be started").success());
        for stage in STAGES {
            for name in replaying(stage) {
                for procs in PROCS {
                    let ours = text(example(stage, &name), procs);
                    let other = text(target.join(profile).join("examples").join(&name), procs);
                    assert_eq!(ours, other, "{name} on {procs} Ps, opt-level {level}");
                }
            }
        }
    }
}

/// The examples of a stage whose schedule is the same each time.
fn replaying(stage: &str) -> Vec<String> {
    let mut names = examples(stage);
    names.retain(|name| about(stage, name).replays);
    names
}

fn text(program: PathBuf, procs: usize) -> String {
    let scenario = trace_of_program(program, &[]).procs(procs);
    scenario.may_die().text()
}
