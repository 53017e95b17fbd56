// A planted bug, found from a captured trace alone.

use super::{CHANGED, every_10_ms, with, work};
use crate::answers::{by_number, given};
use crate::attempt::{Case, Fault, Judge, Kind};
use safepoint_testkit::trace::Trace;
use stage1_coop::{Stage, WaitGroup, go};
use toml::Table;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Answers(&[the_event, the_harmed, the_cause]),
    compare: false,
    cases: &[Case {
        name: "captured",
        what: "two equal loops on one processor; a request every 10 ms",
        procs: 1,
        seeds: &[1],
    }],
    reference: |_| scenario(&CHANGED),
};

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

/// The first event that a sound scheduler would not have produced.
fn bad(trace: &Trace) -> usize {
    let yielded = trace.find("GoPreempt").next().unwrap_or(0);
    trace
        .after(yielded, |e| e.name == "GoStart")
        .unwrap_or(yielded)
}

fn the_event(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let bad = bad(trace);
    let given = given(answers, "time");
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
                "Follow the first request: which goroutine was asked, when did it yield, and which ran next?",
            )
        });
    }
    Ok(())
}

fn the_harmed(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let bad = bad(trace);
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
            "Which goroutine could have run at that moment, and had to wait instead?",
        )
        .at(bad));
    }
    Ok(())
}

fn the_cause(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let bad = bad(trace);
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
