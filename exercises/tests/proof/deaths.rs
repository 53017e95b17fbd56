//! However an attempt dies, its trace can be read, and it gets calm words.

use super::BENCH;
use exercises::attempt::Case;
use exercises::runner::build::Built;
use exercises::runner::{Program, child};
use std::time::Duration;

#[test]
fn every_death_leaves_a_readable_trace() {
    if !tests::long() {
        println!("skipped: dies twenty times, some of them slowly; SAFEPOINT_LONG=1 does");
        return;
    }
    let built = BENCH.program("deaths", include_str!("dies.rs"));
    let Built::Program(path) = built.expect("cargo") else {
        panic!("deaths does not build");
    };
    let program = Program {
        path: &path,
        arguments: &[],
    };
    for (name, rule) in [
        ("endless", "endless"),
        ("endless with checks", "endless"),
        ("segfault", "segfault"),
        ("abort", "abort"),
        ("killed", "killed"),
        ("deadlock", "deadlock"),
        ("overflow", "overflow"),
        ("unchecked overflow", "overflow"),
        ("memory", "memory"),
        ("panic", "panic"),
        ("printer", "endless"),
    ] {
        let case = Case {
            name,
            what: "a death",
            procs: 1,
            seeds: &[1],
        };
        for seed in [Some(1), None] {
            if name == "deadlock" && seed.is_none() {
                // Free-running, stage 1 hangs there; that is `endless`.
                continue;
            }
            // Only what never ends has to wait for its limit. All else may take its time: a
            // busy machine needs a while to fill the memory, or to write a dump.
            let limit = Duration::from_secs(if rule == "endless" { 2 } else { 30 });
            let run = child::run(&program, &case, seed, limit).expect("it starts");
            let fault = run
                .death()
                .unwrap_or_else(|| panic!("{name} did not die: {run:?}"));
            assert_eq!(fault.rule, rule, "{name} {seed:?}: {run:?}");
            assert!(!fault.what.is_empty() && !fault.meaning.is_empty());
            let said = run
                .trace
                .find("UserLog")
                .any(|i| run.trace.events[i].args.join(" ") == "about to die");
            assert!(
                said,
                "{name} {seed:?} left no trace: {}\n{}",
                run.text, run.err
            );
            assert_eq!(run.trace.check(), Ok(()), "{name}");
        }
    }
}
