// A full ring gives half of itself, and the one that did not fit, to the global queue. Row
// `runqputslow`.

use super::sound;
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage1_coop::rt::gmp::{G, P, SCHED};
use stage1_coop::{Runtime, STAGE, Stage, WaitGroup, go};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        not_back_into_the_ring,
        all_in_the_global_queue,
        |_, run| run.ended_well(),
        |_, run| sound(run),
        was_called,
    ]),
    compare: true,
    cases: &[
        Case {
            name: "three hundred",
            what: "main makes 300 goroutines in one go, on one processor",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "with a thief",
            what: "main makes 300 goroutines in one go, and a second processor steals",
            procs: 2,
            seeds: &[1, 2, 3],
        },
    ],
    reference: |_| scenario(&STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|_| scenario(mine));
}

static MINE: OnceLock<fn(&'static P, &[&'static G])> = OnceLock::new();

/// Calls the learner's function and says what it did to the global queue.
fn watched(pp: &'static P, batch: &[&'static G]) {
    // Called for a goroutine that the learner's own function puts back.
    static INSIDE: AtomicBool = AtomicBool::new(false);
    if INSIDE.swap(true, Relaxed) {
        tell!("again");
        stage1_coop::exit(3);
    }
    let ring = pp.runq.len();
    let before = global();
    if let Some(mine) = MINE.get() {
        mine(pp, batch);
    }
    let after = global();
    INSIDE.store(false, Relaxed);
    let numbers = |gs: &[&'static G]| gs.iter().map(|g| g.goid.get()).collect::<Vec<_>>();
    let added: Vec<usize> = numbers(after.get(before.len()..).unwrap_or(&[]));
    let wanted = numbers(batch);
    let missing = wanted.iter().filter(|g| !added.contains(g)).count();
    tell!(
        "overflow {} {} {missing} {} {}",
        batch.len(),
        added.len(),
        added == wanted,
        pp.runq.len() as i64 - ring as i64,
    );
}

/// The goroutines in the global queue; cut off where a circle would begin.
fn global() -> Vec<&'static G> {
    let sched = SCHED.lock();
    std::iter::successors(sched.runqhead, |gp| gp.schedlink.get())
        .take(5000)
        .collect()
}

fn scenario(mine: &'static Stage) {
    let _ = MINE.set(mine.runqputslow);
    let stage: &'static Stage = Box::leak(Box::new(Stage {
        runqputslow: watched,
        ..*mine
    }));
    start(Runtime::new(stage), || {
        static RAN: AtomicU64 = AtomicU64::new(0);
        let all = WaitGroup::new();
        all.add(300);
        for _ in 0..300 {
            let all = all.clone();
            go("one_of_300", move || {
                RAN.fetch_add(1, Relaxed);
                all.done();
            });
        }
        all.wait();
        tell!("ran {}", RAN.load(Relaxed));
    });
}

/// The event at which the ring overflows.
fn place(run: &Run) -> usize {
    let created = run.trace.find("GoCreate").nth(258);
    created
        .or(run.trace.events.len().checked_sub(1))
        .unwrap_or(0)
}

fn not_back_into_the_ring(_: &Case, run: &Run) -> Result<(), Fault> {
    if run.says("again").is_some() {
        return Err(Fault::new(
            "kept",
            "The goroutines went back into the ring that was full, until it was full again.",
            "The next `go` finds it full too, and no other processor ever sees them without stealing.",
        )
        .at(place(run)));
    }
    Ok(())
}

fn all_in_the_global_queue(case: &Case, run: &Run) -> Result<(), Fault> {
    // With a second processor others move goroutines while we count.
    let counted = run.all("overflow").filter(|_| case.procs == 1);
    for line in counted {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or("");
        let (batch, added, missing) = (next(), next(), next());
        let (in_order, kept) = (next() == "true", next());
        let kept: i64 = kept.parse().unwrap_or(0);
        if kept > 0 {
            return Err(Fault::new(
                "kept",
                format!("{kept} of the {batch} went back into the ring that was full."),
                "The next `go` finds it full again, and no other processor ever sees them without stealing.",
            )
            .at(place(run)));
        }
        if missing != "0" {
            return Err(Fault::new(
                "lost",
                format!(
                    "{batch} goroutines were handed over, and {missing} of them {} in no queue now.",
                    if missing == "1" { "is" } else { "are" }
                ),
                "A goroutine that can run and is in no queue never runs; what waits for it waits for ever.",
            )
            .at(place(run)));
        }
        if !in_order && added == batch {
            return Err(Fault::new(
                "order",
                format!("All {batch} are in the global queue, but not in their order."),
                "First come, first served: turned around, the one that waits longest is served last, and under load never.",
            )
            .at(place(run)));
        }
        if !in_order {
            return Err(Fault::new(
                "twice",
                format!(
                    "{batch} goroutines were handed over, and some were queued twice: the global queue does not end where it should."
                ),
                "A goroutine that is in two places runs on two threads at once, on one stack.",
            )
            .at(place(run)));
        }
    }
    Ok(())
}

fn was_called(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.procs == 1 && run.says("overflow").is_none() {
        return Err(Fault::new(
            "never-called",
            "The ring never overflowed.",
            "300 goroutines do not fit into 256 places; this exercise is broken, please report it.",
        ));
    }
    Ok(())
}
