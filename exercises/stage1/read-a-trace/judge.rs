// Reading a trace: no code. The answers are computed from the trace itself.

use super::{every_10_ms, with, work};
use crate::answers::{by_number, given};
use crate::attempt::{Case, Fault, Judge, Kind};
use safepoint_testkit::trace::Trace;
use stage1_coop::{Chan, STAGE, WaitGroup, go};
use toml::Table;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Answers(&[judge]),
    compare: false,
    cases: &[Case {
        name: "left and right",
        what: "two goroutines share one processor, and the second wakes the first",
        procs: 1,
        seeds: &[1],
    }],
    reference: |_| scenario(),
};

fn scenario() {
    with(&STAGE, every_10_ms, || {
        let (all, ball) = (WaitGroup::new(), Chan::new(0));
        all.add(2);
        let (done, to) = (all.clone(), ball.clone());
        go("left", move || {
            for _ in 0..120 {
                work(100_000);
            }
            to.send(());
            done.done();
        });
        let done = all.clone();
        go("right", move || {
            for _ in 0..60 {
                work(100_000);
            }
            ball.recv();
            done.done();
        });
        all.wait();
    });
}

/// The questions: key, question, and the answer as the trace has it.
fn questions(trace: &Trace) -> Vec<(&'static str, &'static str, String, Option<usize>)> {
    let name = |g: Option<u32>| g.map_or("none".into(), |g| format!("g{g}"));
    let blocked = trace.find("GoBlock").next().unwrap_or(0);
    let first = trace.after(blocked, |e| e.name == "GoStart");
    let asked = trace.find("Preempt").next();
    let receiver = trace
        .find("GoBlock")
        .find(|&i| trace.events[i].args.join(" ").starts_with("chan"));
    let waker = receiver.and_then(|r| {
        let sleeper = trace.events[r].g;
        trace.after(r, |e| e.name == "GoUnblock" && e.target() == sleeper)
    });
    vec![
        (
            "first",
            "Which goroutine runs first after main has parked?",
            name(first.and_then(|i| trace.events[i].target())),
            first,
        ),
        (
            "from",
            "Where was it: \"runnext\" or \"ring\"?",
            match first.map(|i| &trace.events[i]) {
                Some(e) if e.args.iter().any(|a| a == "next") => "runnext".into(),
                _ => "ring".into(),
            },
            first,
        ),
        (
            "requests",
            "How many requests to yield were made?",
            trace.count("Preempt").to_string(),
            asked,
        ),
        (
            "asked",
            "Which goroutine did request #1 ask?",
            name(asked.and_then(|i| trace.events[i].target())),
            asked,
        ),
        (
            "taken",
            "How many requests were taken, in a GoPreempt?",
            trace.count("GoPreempt").to_string(),
            trace.find("GoPreempt").next(),
        ),
        (
            "sleeper",
            "Which goroutine waits for a channel?",
            name(receiver.and_then(|i| trace.events[i].g)),
            receiver,
        ),
        (
            "waker",
            "Which goroutine wakes it?",
            name(waker.and_then(|i| trace.events[i].g)),
            waker,
        ),
    ]
}

fn judge(trace: &Trace, answers: &Table) -> Result<(), Fault> {
    let all = questions(trace);
    let mut right = 0;
    let mut wrong = None;
    for (key, question, answer, at) in &all {
        let given = given(answers, key);
        if by_number(trace, &given) == *answer {
            right += 1;
        } else if wrong.is_none() {
            wrong = Some((*key, *question, given, *at));
        }
    }
    let Some((key, question, given, at)) = wrong else {
        return Ok(());
    };
    let (rule, meaning) = rule_of(key);
    let given = if given.is_empty() {
        "nothing".into()
    } else {
        format!("\"{given}\"")
    };
    let fault = Fault::new(
        rule,
        format!(
            "{right} of {} answers are right. This one is not: {key} = {given}. {question}",
            all.len()
        ),
        meaning,
    );
    Err(match at {
        // The line that answers it is the lesson, but not on the first question.
        Some(at) if right > 0 => fault.at(at),
        _ => fault,
    })
}

fn rule_of(key: &str) -> (&'static str, &'static str) {
    match key {
        "first" => (
            "first",
            "GoStart is the moment at which a goroutine gets the processor; GoCreate only makes it.",
        ),
        "from" => (
            "from",
            "`next` after a GoStart says that it came from runnext, in front of the queue, and inherits the slice.",
        ),
        "requests" => (
            "requests",
            "Each line Preempt is one request; what became of it is another line with the same number.",
        ),
        "asked" => (
            "asked",
            "A request names its target in its arguments, as pN/gN; the columns name what asked.",
        ),
        "taken" => (
            "taken",
            "A request is taken where the goroutine yields: GoPreempt.",
        ),
        "sleeper" => (
            "sleeper",
            "GoBlock is in the row of the goroutine that parks: look at the column G.",
        ),
        _ => (
            "waker",
            "GoUnblock names the one that is woken in its arguments, and the one that wakes in the column G.",
        ),
    }
}
