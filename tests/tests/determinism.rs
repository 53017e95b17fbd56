//! Same seed, same bytes: again and again, on a busy machine, whatever the compiler made of
//! the code. `SAFEPOINT_LONG=1` does it two hundred times and in every build profile.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tests::{example, examples, lockstep, long, root, run};

const PROCS: [usize; 3] = [1, 2, 8];

/// Runs `f` beside threads that take the processors away from it.
fn under_load<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !STOP.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = f();
        STOP.store(true, Relaxed);
        result
    })
}

#[test]
fn again_and_again_and_under_load() {
    let rounds = if long() { 200 } else { 4 };
    for name in examples("stage1-coop") {
        for procs in PROCS {
            let first = lockstep("stage1-coop", &name, procs, 1);
            for round in 1..rounds {
                let again = if round % 2 == 0 {
                    lockstep("stage1-coop", &name, procs, 1)
                } else {
                    under_load(3, || lockstep("stage1-coop", &name, procs, 1))
                };
                assert_eq!(
                    first, again,
                    "{name} on {procs} Ps differs in round {round}"
                );
            }
        }
    }
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
    for name in examples("stage1-coop") {
        // Built before the clock starts.
        let _ = example("stage1-coop", &name);
        for procs in PROCS {
            let begin = Instant::now();
            lockstep("stage1-coop", &name, procs, 1);
            let took = begin.elapsed();
            assert!(
                took < Duration::from_secs(4),
                "{name} on {procs} Ps took {took:?}"
            );
        }
    }
}

/// Builds the examples in other profiles and compares bytes. Long: six builds.
#[test]
fn whatever_the_compiler_made() {
    if !long() {
        println!("skipped: builds the examples five times; set SAFEPOINT_LONG=1");
        return;
    }
    for level in ["1", "2", "3", "s", "release"] {
        let target = root().join("target/opt").join(level);
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([
                "build",
                "-q",
                "-p",
                "stage1-coop",
                "--examples",
                "--target-dir",
            ])
            .arg(&target)
            .current_dir(root());
        let profile = if level == "release" {
            cargo.arg("--release");
            "release"
        } else {
            cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", level);
            "debug"
        };
        assert!(cargo.status().expect("cargo can be started").success());
        for name in examples("stage1-coop") {
            for procs in PROCS {
                let ours = trace_of(example("stage1-coop", &name), procs);
                let other = trace_of(target.join(profile).join("examples").join(&name), procs);
                assert_eq!(ours, other, "{name} on {procs} Ps, opt-level {level}");
            }
        }
    }
}

fn trace_of(program: PathBuf, procs: usize) -> (String, String) {
    let ended = run(
        &mut Command::new(program),
        &[
            ("GOMAXPROCS", &procs.to_string()),
            ("SAFEPOINT_SEED", "1"),
            ("SAFEPOINT_TRACE", "-"),
        ],
        Duration::from_secs(60),
    );
    (ended.stdout, ended.stderr)
}
