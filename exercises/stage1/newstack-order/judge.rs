// The order of decisions in `newstack`. Row `newstack`.

use super::{all_heard, every_10_ms, once, sound, with, work};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start};
use stage1_coop::rt::arch::getg;
use stage1_coop::rt::gmp::G;
use stage1_coop::{
    Runtime, STAGE, Stage, WaitGroup, acquirem, go, gofunc, prologue, spin, user_log, with_frame,
};
use std::sync::atomic::Ordering::Relaxed;

/// The pieces of which a `newstack` is made, each with its invariant. They are the stage's
/// own, taken apart.
pub mod helpers {
    use stage1_coop::rt;
    use stage1_coop::rt::arch::getm;
    use stage1_coop::rt::gmp::G;
    use stage1_coop::rt::sched::Next;
    use stage1_coop::rt::stack::{STACK_FORK, STACK_PREEMPT};
    use stage1_coop::{STAGE, acquirem};
    use std::sync::atomic::Ordering::Relaxed;

    /// What is wrong, if a check must not happen here at all: then call [`rt::last_words::throw`].
    pub fn bug(gp: &'static G) -> Option<&'static str> {
        if gp.stackguard0.load(Relaxed) == STACK_FORK {
            Some("stack growth after fork")
        } else if !gp.m.is(getm()) {
            Some("runtime: wrong goroutine in newstack")
        } else if gp.throwsplit.load(Relaxed) {
            Some("runtime: stack split at bad time")
        } else {
            None
        }
    }

    /// Whether the guard is a request. Any thread may raise it between two looks.
    pub fn asked(gp: &'static G) -> bool {
        gp.stackguard0.load(Relaxed) == STACK_PREEMPT
    }

    /// The reason why this M cannot be preempted now, if there is one.
    pub fn why_not() -> Option<&'static str> {
        rt::stack::why_not_preempt_m(getm())
    }

    /// Takes the flag down and records the refusal. Only for a request that is up.
    pub fn refuse(gp: &'static G) {
        if !asked(gp) {
            rt::last_words::throw("refuse: there is no request");
        }
        // The stage's own newstack refuses while a lock is held.
        let _held = why_not().is_none().then(acquirem);
        (STAGE.newstack)(gp);
    }

    /// The goroutine yields: return what this returns. Not while there is a reason to
    /// refuse.
    pub fn obey(gp: &'static G) -> Next {
        (STAGE.preempted)(gp)
    }

    /// More stack, if `gp` needs any; otherwise nothing.
    pub fn grow(gp: &'static G) {
        // Without a request in sight, growing is all that the stage's own newstack does.
        let guard = gp.stackguard0.load(Relaxed);
        gp.stackguard0.store(0, Relaxed);
        (STAGE.newstack)(gp);
        if guard == STACK_PREEMPT || gp.stackguard0.load(Relaxed) == 0 {
            gp.stackguard0.store(guard, Relaxed);
        }
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        bugs_first,
        refuses_what_must_be_refused,
        asks_before_the_stack,
        refuses_nothing_else,
        ends_well,
        remembers_what_it_refused,
        all_are_heard,
    ]),
    compare: true,
    cases: &[
        Case {
            name: "grow",
            what: "a function calls itself sixty times, with a large frame",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "yield",
            what: "two loops that call functions; a request every 10 ms",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "refuse",
            what: "a request while a section is held",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "both",
            what: "a request, and the next check finds too little stack as well",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "bug",
            what: "a check in a place where none may be, during a request",
            procs: 1,
            seeds: &[1],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

fn scenario(case: &str, mine: &'static Stage) {
    match case {
        "grow" => start(Runtime::new(mine), || {
            deep(60);
            user_log("deep is back");
        }),
        "yield" => with(mine, every_10_ms, || {
            let all = WaitGroup::new();
            for name in ["loop_a", "loop_b"] {
                all.add(1);
                let all = all.clone();
                go(name, move || {
                    for _ in 0..150 {
                        work(100_000);
                    }
                    all.done();
                });
            }
            all.wait();
        }),
        "refuse" => with(mine, once, || {
            let all = WaitGroup::new();
            all.add(2);
            let (a, b) = (all.clone(), all.clone());
            go("bystander", move || a.done());
            go("holder", move || {
                {
                    let _section = acquirem();
                    for _ in 0..120 {
                        work(100_000);
                    }
                }
                for _ in 0..5 {
                    work(100_000);
                }
                b.done();
            });
            all.wait();
        }),
        "both" => with(mine, once, || {
            let all = WaitGroup::new();
            all.add(2);
            let (a, b) = (all.clone(), all.clone());
            go("bystander", move || a.done());
            go("deep", move || {
                // Without a check until the request is up.
                spin(15_000_000);
                with_frame(4096, || {
                    with_frame(4096, || with_frame(4096, || work(100_000)))
                });
                b.done();
            });
            all.wait();
        }),
        _ => start(Runtime::new(mine), || {
            let gp: &'static G = getg();
            gp.throwsplit.store(true, Relaxed);
            gp.stackguard0
                .store(stage1_coop::rt::stack::STACK_PREEMPT, Relaxed);
            work(100_000);
            gp.throwsplit.store(false, Relaxed);
        }),
    }
}

#[gofunc]
fn deep(n: u32) {
    if n > 0 {
        with_frame(1024, || deep(n - 1));
    }
}

fn refusals(run: &Run) -> Vec<usize> {
    run.trace.find("PollHit").collect()
}

fn bugs_first(case: &Case, run: &Run) -> Result<(), Fault> {
    let words = "fatal error: runtime: stack split at bad time";
    if case.name != "bug" || (run.err.contains(words) && run.code == Some(2)) {
        return Ok(());
    }
    Err(Fault::new(
        "bug-unseen",
        "A check happened where none may be, and the process went on.",
        "What would be a bug comes first: a stack that is exchanged or given away at a bad time takes the evidence with it.",
    ))
}

fn refuses_what_must_be_refused(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    if run.err.contains("schedule: holding locks") {
        let at = trace.find("GoPreempt").next().unwrap_or(0);
        return Err(Fault::new(
            "locks",
            "The goroutine yielded although its M held a lock, and the scheduler ended the process.",
            "The next goroutine that wants that lock would wait for a goroutine that waits for its turn: a request comes after the question whether it may be obeyed.",
        )
        .at(at));
    }
    let refusals = refusals(run);
    if case.name == "refuse" && refusals.len() > 2 {
        return Err(Fault::new(
            "flag-left-up",
            format!(
                "The same request was refused {} times: each check runs into it again.",
                refusals.len()
            ),
            "A refusal must take the flag down; the end of the section raises it again.",
        )
        .at(refusals[1]));
    }
    if run.err.contains("refuse: there is no request") {
        return Err(Fault::new(
            "nothing-to-refuse",
            "`refuse` was called although there was no request.",
            "A check also fails for want of stack: only when the guard is a request is there anything to refuse.",
        ));
    }
    Ok(())
}

fn asks_before_the_stack(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    if case.name == "both"
        && let (Some(grown), Some(yielded)) = (
            trace.find("StackGrow").next(),
            trace.find("GoPreempt").next(),
        )
        && grown < yielded
    {
        return Err(Fault::new(
            "stack-first",
            "The request was up, and the stack was grown before the goroutine yielded.",
            "While the guard is a request it says nothing about the stack. Yield first: the check is made again when the goroutine is back.",
        )
        .at(grown));
    }
    if case.name == "grow" && trace.count("StackGrow") == 0 {
        return Err(Fault::new(
            "no-growth",
            "The stack became too small and was never grown.",
            "A failed check without a request means that the function has no room; going on regardless writes below the stack.",
        ));
    }
    Ok(())
}

fn refuses_nothing_else(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name == "yield"
        && let Some(i) = refusals(run).first()
    {
        return Err(Fault::new(
            "refused-for-nothing",
            "A request was refused although nothing spoke against it.",
            "The flag is not raised again, because no section ends: the request is lost.",
        )
        .at(*i));
    }
    Ok(())
}

/// All but the case that is meant to die.
fn ends_well(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "bug" {
        run.ended_well()?;
        sound(run)?;
    }
    Ok(())
}

fn remembers_what_it_refused(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name == "refuse" {
        let Some(&refused) = refusals(run).first() else {
            return Err(Fault::new(
                "ignored",
                "A request came while a section was held, and it was not noticed there.",
                "The check must look whether the guard is a request, and say no.",
            ));
        };
        if run.trace.count("GoPreempt") == 0 {
            return Err(Fault::new(
                "forgotten",
                "The request was refused in the section, and no check took it afterwards.",
                "`preempt` must survive a refusal: the end of the section looks at it.",
            )
            .at(refused));
        }
    }
    Ok(())
}

fn all_are_heard(case: &Case, run: &Run) -> Result<(), Fault> {
    match case.name {
        "bug" => Ok(()),
        _ => all_heard(run),
    }
}
