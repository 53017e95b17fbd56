// A processor that stands still, and why: found in a captured trace alone.

use super::{Crew, busy};
use crate::answers::{by_number, given};
use crate::attempt::{Case, Fault, Judge, Kind, start};
use safepoint_testkit::trace::Trace;
use stage2_sysmon::{Runtime, STAGE, nanosleep, rt, user_log};
use std::time::Duration;
use toml::Table;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Answers(&[the_pause, the_holder, the_requests, the_missing, the_cause]),
    compare: false,
    cases: &[Case {
        name: "captured",
        what: "a reader, a writer and a goroutine that computes, on one processor",
        procs: 1,
        seeds: &[1],
    }],
    reference: |_| scenario(),
};

fn scenario() {
    start(Runtime::new(&STAGE).procs(1), || {
        let crew = Crew::new();
        crew.go("writer", || {
            busy(1_000);
            user_log("writes");
            write_35_ms();
            user_log("has written");
            busy(1_000);
        });
        crew.go("worker", || busy(6_000));
        crew.go("reader", || {
            user_log("reads");
            nanosleep(Duration::from_millis(8));
            user_log("has read");
        });
        crew.wait();
    });
}

/// The planted bug: the thread sleeps in the kernel, and the scheduler is not told.
fn write_35_ms() {
    rt::os::usleep(35_000);
}

/// The two events on p0 between which nothing happens there for the longest time.
fn standstill(trace: &Trace) -> (usize, usize) {
    let here: Vec<usize> = (0..trace.events.len())
        .filter(|&i| trace.events[i].p == Some(0))
        .collect();
    here.windows(2)
        .map(|w| (w[0], w[1]))
        .max_by_key(|&(a, b)| trace.events[b].us - trace.events[a].us)
        .unwrap_or((0, 0))
}

fn the_pause(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let (from, until) = standstill(trace);
    for (key, event, rule) in [("from", from, "from"), ("until", until, "until")] {
        let answer = text(key);
        let ms: f64 = answer.parse().unwrap_or(-1.0);
        let us = (ms * 1000.0).round() as i64;
        if us == trace.events[event].us as i64 {
            continue;
        }
        let known = trace.events.iter().find(|e| e.us as i64 == us);
        let (rule, what) = match known {
            None => (
                "no-event",
                format!("No event of the trace has the time \"{answer}\"."),
            ),
            Some(e) if e.p.is_none() => (
                "elsewhere",
                format!(
                    "{key} = {answer} is an event of m{}, which has no processor.",
                    e.m
                ),
            ),
            Some(_) => (
                rule,
                format!(
                    "{key} = {answer} is on p0, but not where its longest pause {}.",
                    if key == "from" { "begins" } else { "ends" }
                ),
            ),
        };
        return Err(Fault::new(
            rule,
            what,
            "Follow the lines with p0 in the third column, and look at the times. Between which two does nothing happen for the longest time?",
        ));
    }
    Ok(())
}

fn the_holder(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let (from, until) = standstill(trace);
    let holder = trace.events[until].g;
    if by_number(trace, &text("holder")) != holder.map_or(String::new(), |g| format!("g{g}")) {
        return Err(Fault::new(
            "holder",
            format!(
                "The pause is right. \"{}\" is not the goroutine that held the processor in it.",
                text("holder")
            ),
            "Column G shows which goroutine ran on the thread before the event.",
        )
        .at(from));
    }
    Ok(())
}

fn the_requests(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let (from, until) = standstill(trace);
    let unheard = trace
        .find("Preempt")
        .filter(|&i| i > from && i < until)
        .count();
    if text("requests") != unheard.to_string() {
        return Err(Fault::new(
            "requests",
            format!(
                "Pause and holder are right. requests = {} is not.",
                text("requests")
            ),
            "Each line named Preempt between the two times is one.",
        )
        .at(from));
    }
    Ok(())
}

fn the_missing(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let (from, _) = standstill(trace);
    let missing = text("missing");
    if missing != "GoSysCall" {
        let meaning = match missing.as_str() {
            "GoPreempt" => {
                "A goroutine yields at its next check. The question is why there was none for so long."
            }
            "ProcSteal" => "Sysmon takes processors that are in a call. What tells it that one is?",
            "GoSysExit" => {
                "No goroutine comes back from a call that never began, as far as the scheduler knows."
            }
            _ => {
                "Look at the reader: it waits for the kernel as well. Which line follows \"reads\" and is missing after \"writes\"?"
            }
        };
        return Err(Fault::new(
            "missing",
            format!("\"{missing}\" is not the event that should be at the beginning of the pause."),
            meaning,
        )
        .at(from));
    }
    Ok(())
}

fn the_cause(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let text = |key: &str| given(answers, key);
    let (from, _) = standstill(trace);
    if text("cause") != "c" {
        let meaning = match text("cause").as_str() {
            "a" => "Sysmon was there every ten milliseconds: the lines Preempt are its own.",
            "b" => {
                "The only processor that was taken, the reader's, ran another goroutine at once."
            }
            "d" => "A refusal is a line PollHit, and there is none.",
            "e" => "The reader came back, found no processor, and queued. That is as it should be.",
            _ => "Choose one of the letters in the file.",
        };
        return Err(Fault::new(
            "cause",
            format!("All else is right. The cause \"{}\" is not.", text("cause")),
            meaning,
        )
        .at(from));
    }
    Ok(())
}
