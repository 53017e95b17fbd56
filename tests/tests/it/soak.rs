//! Many schedules of the same programs, each exactly repeatable: every seed is another one,
//! and what must hold in a trace must hold in all of them.
//!
//! Each program runs on 1, 2 and 4 Ps with 3 seeds. `SAFEPOINT_LONG=1` tries a thousand;
//! `SAFEPOINT_SOAK=SECONDS` as many of them as fit. A broken invariant is reported with the
//! command that repeats it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tests::{About, about, example, examples, lockstep, long, trace_of_program, two_at_a_time};

const STAGES: [&str; 2] = ["stage2-sysmon", "stage3-signals"];
const PROCS: [usize; 3] = [1, 2, 4];

/// All programs that replay, each on every number of Ps.
fn programs() -> Vec<(&'static str, String, About, usize)> {
    let mut programs = Vec::new();
    for stage in STAGES {
        for name in examples(stage) {
            let about = about(stage, &name);
            for procs in PROCS.into_iter().filter(|_| about.replays) {
                programs.push((stage, name.clone(), about, procs));
            }
        }
    }
    programs
}

#[test]
fn every_seed_keeps_the_invariants() {
    let limit = std::env::var("SAFEPOINT_SOAK")
        .ok()
        .map(|text| Duration::from_secs(text.parse().expect("SAFEPOINT_SOAK is seconds")));
    let seeds = if long() || limit.is_some() { 1_000 } else { 3 };
    let programs = programs();
    let begin = Instant::now();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let broken = Mutex::new(Vec::new());
    let work = || {
        // All programs with one seed before any with the next.
        while let n = next.fetch_add(1, SeqCst)
            && n < seeds * programs.len()
            && limit.is_none_or(|limit| begin.elapsed() < limit)
        {
            let seed = n / programs.len() + 1;
            let (stage, name, about, procs) = &programs[n % programs.len()];
            if about.slow && seed > 5 && !long() {
                continue;
            }
            if let Err(what) = one(stage, name, *about, *procs, seed as u64) {
                let mut broken = broken.lock().expect("no panic while it is held");
                eprintln!(
                    "SAFEPOINT_SEED={seed} GOMAXPROCS={procs} cargo run -p {stage} --example {name}: {what}"
                );
                broken.push((name.clone(), *procs, seed));
            }
            done.fetch_add(1, SeqCst);
        }
    };
    // Two at a time: in lockstep a process uses one processor.
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let took = begin.elapsed().as_secs();
    println!("soaked: {} schedules in {took} s", done.into_inner());
    let broken = broken.into_inner().expect("no panic while it is held");
    assert!(broken.is_empty(), "program, Ps and seed: {broken:?}");
}

/// One schedule.
fn one(stage: &str, name: &str, about: About, procs: usize, seed: u64) -> Result<(), String> {
    let program = trace_of_program(example(stage, name), &[]);
    let (code, trace) = program.procs(procs).seed(seed).may_die().try_trace()?;
    // Whatever the schedule: who ends badly does so on every one.
    if code != about.exit {
        return Err(format!("exit {code}"));
    }
    let whole = trace.check_run().and_then(|()| trace.check_waits());
    whole.map_err(|broken| broken.to_string())
}

/// With another seed than the recorded runs have.
#[test]
fn the_same_seed_is_the_same_schedule() {
    let mut programs = programs();
    programs.retain(|(_, _, about, _)| long() || !about.slow);
    let rounds = if long() { 100 } else { 1 };
    two_at_a_time(&programs, |(stage, name, _, procs)| {
        let first = lockstep(stage, name, *procs, 7);
        for _ in 0..rounds {
            assert_eq!(first, lockstep(stage, name, *procs, 7));
        }
    });
}
