// A schedule as a snapshot: a scenario of the learner's own, the events that tell its
// story, and what they were.

use super::{CHANGED, every_10_ms, sound, with};
use crate::attempt::{Case, Fault, Judge, Kind, Run, tell};
use stage1_coop::{STAGE, Stage, WaitGroup, go};

/// What the learner writes.
#[derive(Clone, Copy)]
struct Work {
    /// Runs as `main`.
    scenario: fn(),
    /// The kinds of events to record.
    events: &'static [&'static str],
    /// What they were, with seed 1 on one P.
    expected: &'static str,
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        ends_well,
        notices_the_change,
        is_no_compilers,
        records_something,
        says_what_happened,
    ]),
    compare: false,
    cases: &[
        Case {
            name: "recorded",
            what: "your scenario on one processor; the flag is raised every 10 ms",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "another seed",
            what: "your scenario with another seed, for the invariants alone",
            procs: 1,
            seeds: &[7],
        },
        Case {
            name: "a changed scheduler",
            what: "your scenario, on a scheduler that puts a goroutine that yields in front of all others",
            procs: 1,
            seeds: &[1],
        },
    ],
    reference: |case| scenario(case, REFERENCE),
};

const REFERENCE: Work = Work {
    scenario: || {
        let all = WaitGroup::new();
        for name in ["left", "right"] {
            all.add(1);
            let all = all.clone();
            go(name, move || {
                for _ in 0..150 {
                    super::work(100_000);
                }
                all.done();
            });
        }
        all.wait();
    },
    events: &["GoStart", "GoPreempt", "GoEnd"],
    expected: "",
};

/// The `main` of an attempt.
pub fn attempt(main: fn(), events: &'static [&'static str], expected: &'static str) {
    let work = Work {
        scenario: main,
        events,
        expected,
    };
    crate::attempt::enter(|case| scenario(case, work));
}

fn scenario(case: &str, work: Work) {
    for event in work.events {
        tell!("event {event}");
    }
    for line in work.expected.trim().lines() {
        tell!("expected {}", line.trim_end());
    }
    let stage: &'static Stage = match case {
        "a changed scheduler" => &CHANGED,
        _ => &STAGE,
    };
    with(stage, every_10_ms, work.scenario);
}

fn ends_well(case: &Case, run: &Run) -> Result<(), Fault> {
    match case.name {
        // It noticed, in its own way.
        "a changed scheduler" if run.is_endless() => Ok(()),
        "a changed scheduler" => run.ended_well(),
        _ => run.ended_well().and_then(|()| sound(run)),
    }
}

/// What was recorded, and what happened, as a text and as lines.
fn record(run: &Run) -> (Vec<&str>, Vec<&str>, String) {
    let events: Vec<&str> = run.all("event").collect();
    let only = run.trace.only(&events);
    (events, run.all("expected").collect(), only)
}

fn notices_the_change(case: &Case, run: &Run) -> Result<(), Fault> {
    let (_, expected, only) = record(run);
    if case.name == "a changed scheduler" && !run.is_endless() && only.lines().eq(expected) {
        return Err(Fault::new(
            "blind",
            "The scheduler was changed so that a preempted goroutine comes back at once, and your snapshot is still right.",
            "A snapshot is worth what it would notice: choose events that show which goroutine runs after a yield.",
        ));
    }
    Ok(())
}

fn is_no_compilers(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name == "recorded" && !run.trace.portable() {
        return Err(Fault::new(
            "compiler",
            format!(
                "The trace depends on the compiler: portable={}.",
                run.trace
                    .head
                    .first()
                    .and_then(|l| l.split_once("portable="))
                    .map_or("?", |(_, p)| p)
            ),
            "A loop of compiled code takes as long as the compiler and the machine like; let time pass in spin, and put a check into the loop.",
        ));
    }
    Ok(())
}

fn records_something(case: &Case, run: &Run) -> Result<(), Fault> {
    let (events, ..) = record(run);
    if case.name != "recorded" {
        return Ok(());
    }
    if events.is_empty() {
        return Err(Fault::new(
            "no-events",
            "EVENTS names no events.",
            "An empty record is always right, and proves nothing.",
        ));
    }
    if let Some(unknown) = events
        .iter()
        .find(|e| !stage1_coop::rt::trace::KINDS.iter().any(|k| k.name == **e))
    {
        return Err(Fault::new(
            "unknown-event",
            format!("There is no event `{unknown}`."),
            "A name that never occurs records nothing; the legend in the book lists the kinds.",
        ));
    }
    if run.trace.count("GoPreempt") == 0 {
        return Err(Fault::new(
            "none-preempted",
            "No goroutine is preempted in your scenario.",
            "It ends before the first request, or no goroutine that is asked comes to a check: requests come every 10 ms.",
        ));
    }
    Ok(())
}

fn says_what_happened(case: &Case, run: &Run) -> Result<(), Fault> {
    let (events, expected, only) = record(run);
    let actual: Vec<&str> = only.lines().collect();
    if case.name == "recorded" && actual != expected {
        let differs = actual
            .iter()
            .zip(&expected)
            .position(|(a, e)| a != e)
            .unwrap_or(actual.len().min(expected.len()));
        let at = run
            .trace
            .events
            .iter()
            .enumerate()
            .filter(|(_, e)| events.contains(&e.name.as_str()))
            .nth(differs)
            .map(|(i, _)| i);
        let what = match expected.get(differs) {
            Some(e) => format!(
                "Line {} of EXPECTED is `{e}`, and what happened is `{}`.",
                differs + 1,
                actual.get(differs).unwrap_or(&"nothing")
            ),
            None => format!(
                "EXPECTED has {} lines, and {} events happened.",
                expected.len(),
                actual.len()
            ),
        };
        let fault = Fault::new(
            "stale",
            format!("{what}\nWhat to paste, if it is what should happen:\n{only}"),
            "Read it before you paste it: a record of a wrong schedule is a bug with a test.",
        );
        return Err(match at {
            Some(at) => fault.at(at),
            None => fault,
        });
    }
    Ok(())
}
