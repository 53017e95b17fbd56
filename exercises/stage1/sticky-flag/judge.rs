// A refused request is kept, and the end of the section raises the flag again. Row
// `releasem_slow`.

use super::{once, sound, with, work};
use crate::attempt::{Case, Fault, Judge, Kind, Run};
use stage1_coop::{STAGE, Stage, WaitGroup, acquirem, go, user_log};

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[judge]),
    compare: true,
    cases: &[
        Case {
            name: "one section",
            what: "a request comes while a section is held; then the section ends",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "two sections",
            what: "a second section follows the first one at once, so the request is refused twice",
            procs: 1,
            seeds: &[1, 2, 3],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

fn scenario(case: &str, mine: &'static Stage) {
    let twice = case == "two sections";
    with(mine, once, move || {
        let all = WaitGroup::new();
        all.add(2);
        let (a, b) = (all.clone(), all.clone());
        go("bystander", move || {
            work(100_000);
            a.done();
        });
        go("holder", move || {
            section(120);
            if twice {
                section(3);
            }
            user_log("the section is over");
            work(100_000);
            user_log("past the next check");
            for _ in 0..5 {
                work(100_000);
            }
            b.done();
        });
        all.wait();
    });
}

fn section(turns: u32) {
    let _section = acquirem();
    for _ in 0..turns {
        work(100_000);
    }
}

fn judge(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let refusals: Vec<usize> = trace.find("PollHit").collect();
    let log = |text: &str| {
        trace
            .find("UserLog")
            .find(|&i| trace.events[i].args.join(" ") == text)
    };
    let over = log("the section is over");
    if let Some(i) = trace.find("GoSched").next() {
        return Err(Fault::new(
            "yields-itself",
            "Your function yields by itself: the trace has a GoSched where a section ends.",
            "releasem is called in the middle of runtime code, which is not prepared to lose its processor; only a check is a safe place.",
        )
        .at(i));
    }
    if refusals.len() > 4 {
        return Err(Fault::new(
            "never-down",
            format!("The same request was refused {} times.", refusals.len()),
            "A refusal clears the flag until the section ends; here it was raised again inside.",
        )
        .at(refusals[1]));
    }
    run.ended_well()?;
    sound(run)?;
    let wanted = if case.name == "two sections" { 2 } else { 1 };
    if refusals.len() < wanted {
        let at = over.unwrap_or(0);
        return Err(Fault::new(
            "forgotten",
            "The request was refused in the first section, and the second section's check did not even meet it.",
            "The end of the first section must raise the flag, even if the next section begins at once.",
        )
        .at(at));
    }
    let Some(&last) = refusals.last() else {
        return Ok(());
    };
    let flow = trace.events[last].flow;
    let past = log("past the next check").unwrap_or(trace.events.len());
    let taken = trace.after(last, |e| e.name == "GoPreempt" && e.flow == flow);
    match taken {
        Some(i) if i < past => Ok(()),
        Some(i) => Err(Fault::new(
            "late",
            "The request was taken, but not at the first check after the section.",
            "A goroutine that waits for the processor waits longer than it must.",
        )
        .at(i)),
        None if wanted == 2 => Err(Fault::new(
            "forgotten-twice",
            "The request was refused a second time, and then it was forgotten.",
            "`preempt` must stay set until the goroutine has really yielded: it is what the end of the next section looks at.",
        )
        .at(last)),
        None => Err(Fault::new(
            "forgotten",
            "The request was refused while the section was held, and no check took it afterwards.",
            "A refusal takes the flag down; the end of the section must raise it again, or the bystander waits for nothing.",
        )
        .at(last)),
    }
}
