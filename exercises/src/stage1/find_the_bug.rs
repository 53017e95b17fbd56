//! A planted bug, found from a captured trace alone.

use super::read_a_trace::{by_number, given};
use super::{every_10_ms, with, work};
use crate::attempt::{Case, Exercise, Fault, Kind};
use safepoint_testkit::trace::Trace;
use stage1_coop::rt;
use stage1_coop::rt::gmp::{G, SCHED};
use stage1_coop::rt::sched::Next;
use stage1_coop::{STAGE, Stage, WaitGroup, go};
use toml::Table;

/// The exercise.
pub(crate) const EXERCISE: Exercise = Exercise {
    name: "find-the-bug",
    kind: Kind::Answers(judge),
    row: None,
    compare: false,
    cases: &[Case {
        name: "captured",
        what: "two equal loops on one processor; every 10 ms somebody asks",
        procs: 1,
        seeds: &[1],
    }],
    reference: |_| scenario(&CHANGED),
};

/// The changed scheduler: a goroutine that yields does not go behind all others, but in
/// front of them.
pub(crate) static CHANGED: Stage = Stage {
    preempted: back_to_the_front,
    ..STAGE
};

fn back_to_the_front(gp: &'static G) -> Next {
    let pp = rt::arch::getm().p.get();
    (STAGE.preempted)(gp);
    // Out of the global queue again, and into runnext.
    let back = pp.and_then(|pp| {
        let mut sched = SCHED.lock();
        rt::queues::globrunqget(&mut sched, pp, 1)
    });
    if let (Some(pp), Some(gp)) = (pp, back) {
        rt::queues::runqput(pp, gp, true);
    }
    None
}

fn scenario(stage: &'static Stage) {
    with(stage, every_10_ms, || {
        let all = WaitGroup::new();
        for name in ["loop_a", "loop_b"] {
            all.add(1);
            let all = all.clone();
            go(name, move || {
                for _ in 0..250 {
                    work(100_000);
                }
                all.done();
            });
        }
        all.wait();
    });
}

fn judge(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let yielded = trace.find("GoPreempt").next().unwrap_or(0);
    let bad = trace
        .after(yielded, |e| e.name == "GoStart")
        .unwrap_or(yielded);
    let given = text("time");
    let ms: f64 = given.parse().unwrap_or(-1.0);
    let us = (ms * 1000.0).round() as i64;
    if us != trace.events[bad].us as i64 {
        let at = trace.events.iter().position(|e| e.us as i64 == us);
        let known = at.map(|at| &trace.events[at]);
        let (rule, what) = match known {
            Some(e) if e.name == "Preempt" => (
                "the-request",
                format!("{given} is the request. A sound scheduler makes requests too."),
            ),
            Some(e) if e.name == "GoPreempt" => (
                "the-yield",
                format!("{given} is where the goroutine yields. That is what it was asked for."),
            ),
            Some(e) if e.us > trace.events[bad].us => (
                "not-the-first",
                format!(
                    "{given} is not the first event that a sound scheduler would not have produced."
                ),
            ),
            Some(_) => (
                "too-early",
                format!("{given}: a sound scheduler produces this event too."),
            ),
            None => (
                "no-event",
                format!("No event of the trace has the time \"{given}\"."),
            ),
        };
        // The mark is on the answer that was given: one beside the right answer would be it.
        return Err(Fault {
            at,
            ..Fault::new(
                rule,
                what,
                "Follow the first request: who was asked, when did it yield, and who ran next?",
            )
        });
    }
    let winner = trace.events[bad].target();
    let harmed = ["loop_a", "loop_b"]
        .iter()
        .filter_map(|n| trace.goroutine(n))
        .find(|g| Some(*g) != winner);
    if by_number(trace, &text("harmed")) != harmed.map_or(String::new(), |g| format!("g{g}")) {
        return Err(Fault::new(
            "harmed",
            format!(
                "The event is right. \"{}\" is not the one that was harmed.",
                text("harmed")
            ),
            "Who could have run at that moment, and had to wait instead?",
        )
        .at(bad));
    }
    if text("cause") != "d" {
        let meaning = match text("cause").as_str() {
            "a" => "The checks do look: each request was taken within microseconds.",
            "b" => "Nothing was refused: there is no PollHit in the trace.",
            "c" => "The request came on time, every 10 ms, from a thread without a processor.",
            "e" => "With one processor there is no thief, and the trace has no Steal.",
            _ => "Choose one of the letters in the file.",
        };
        return Err(Fault::new(
            "cause",
            format!(
                "Event and victim are right. The cause \"{}\" is not.",
                text("cause")
            ),
            meaning,
        )
        .at(bad));
    }
    Ok(())
}
