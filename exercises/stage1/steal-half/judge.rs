// A thief takes half, rounded up, and leaves `runnext` alone until the last pass. Row
// `runqgrab`.

use super::{sound, work};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage1_coop::rt::gmp::{G, P};
use stage1_coop::{Chan, Runtime, STAGE, Stage, WaitGroup, go};
use std::sync::OnceLock;

mod in_between;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[judge]),
    compare: true,
    cases: &[
        Case {
            name: "two rings",
            what: "two queues on a workbench: 0, 1, 2, 3, 8 and 256 goroutines to steal from",
            procs: 2,
            seeds: &[1],
        },
        Case {
            name: "in between",
            what: "the victim's owner takes one, after each single instruction of yours in turn",
            procs: 1,
            seeds: &[],
        },
        Case {
            name: "eight workers",
            what: "one goroutine makes work for eight, and a second processor steals",
            procs: 2,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "a pair",
            what: "two goroutines that wake each other, and a processor without work beside them",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "four thieves",
            what: "many small goroutines, four processors, free-running: a race for real",
            procs: 4,
            seeds: &[],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

type Grab = fn(&'static P, &'static P, u32, bool) -> u32;
static MINE: OnceLock<Grab> = OnceLock::new();

fn scenario(case: &str, mine: &'static Stage) {
    let _ = MINE.set(mine.runqgrab);
    match case {
        "two rings" => two_rings(),
        "in between" => in_between(),
        "eight workers" => start(Runtime::new(mine).procs(2), || {
            let all = WaitGroup::new();
            for _ in 0..8 {
                all.add(1);
                let all = all.clone();
                go("worker", move || {
                    work(300_000);
                    all.done();
                });
            }
            all.wait();
        }),
        "a pair" => start(Runtime::new(mine).procs(2), || {
            let (there, back) = (Chan::new(0), Chan::new(0));
            let (from, to) = (there.clone(), back.clone());
            go("pong", move || {
                for _ in 0..20 {
                    from.recv();
                    work(5_000);
                    to.send(());
                }
            });
            for _ in 0..20 {
                there.send(());
                work(5_000);
                back.recv();
            }
        }),
        _ => start(Runtime::new(mine).procs(4), || {
            for _ in 0..200 {
                let all = WaitGroup::new();
                for _ in 0..40 {
                    all.add(1);
                    let all = all.clone();
                    go("small", move || {
                        work(2_000);
                        all.done();
                    });
                }
                all.wait();
            }
            tell!("all 8000");
        }),
    }
}

/// Queues that no scheduler looks at: Ps without a run.
fn two_rings() {
    let Some(grab) = MINE.get() else { return };
    start(Runtime::new(&STAGE).procs(1), || {
        for (len, next, last_pass) in [
            (0, false, true),
            (0, true, false),
            (0, true, true),
            (1, false, false),
            (1, true, true),
            (2, false, false),
            (3, true, false),
            (8, true, true),
            (256, false, false),
        ] {
            let (thief, victim) = (bench(0), bench(1));
            for i in 1..=len {
                victim.runq.put(goroutine(i), false, |_| {});
            }
            if next {
                victim.runq.put(goroutine(1000), true, |_| {});
            }
            let mut said = 0;
            let got = thief.runq.steal_with(|t| {
                said = grab(thief, victim, t, last_pass);
                said
            });
            let mut mine: Vec<usize> = Vec::new();
            while let Some((gp, _)) = thief.runq.get() {
                mine.push(gp.goid.get());
                if mine.len() > 600 {
                    break;
                }
            }
            // The caller runs the last one at once.
            mine.extend(got.map(|(gp, _)| gp.goid.get()));
            let left = victim.runq.len();
            let next_left = victim.runq.next().is_some();
            let in_order = mine.iter().copied().eq(1..=mine.len()) || mine == [1000];
            tell!(
                "grab {len} {next} {last_pass} {said} {} {left} {next_left} {in_order}",
                mine.len()
            );
        }
    });
}

/// One grab, disturbed after every single instruction, one by one.
fn in_between() {
    let Some(grab) = MINE.get() else { return };
    // Enough: the thief wants the one that the owner takes.
    let len = 2;
    // No grab of so few is that long.
    for k in 1..5000 {
        let (thief, victim) = (bench(0), bench(1));
        for i in 1..=len {
            victim.runq.put(goroutine(i), false, |_| {});
        }
        let (mut long, mut taken) = (true, 0);
        let got = thief.runq.steal_with(|t| {
            let (said, was_long, by_owner) =
                in_between::after(k, victim, || grab(thief, victim, t, false));
            (long, taken) = (was_long, by_owner);
            said
        });
        let mut all: Vec<usize> = got.map(|(gp, _)| gp.goid.get()).into_iter().collect();
        for queue in [thief, victim] {
            while let Some((gp, _)) = queue.runq.get() {
                all.push(gp.goid.get());
            }
        }
        all.extend((taken > 0).then_some(taken));
        all.sort_unstable();
        let twice = all.windows(2).any(|w| w[0] == w[1]);
        if twice || all.len() < len {
            tell!(
                "disturbed {len} {k} {}",
                if twice { "twice" } else { "gone" }
            );
            return;
        }
        if !long {
            break;
        }
    }
}

fn bench(id: usize) -> &'static P {
    Box::leak(Box::new(P::new(id)))
}

fn goroutine(id: usize) -> &'static G {
    let gp: &'static G = Box::leak(Box::default());
    gp.goid.set(id);
    gp
}

fn judge(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name == "two rings" {
        // A half answer is an answer: the first that is wrong, also before a death.
        for line in run.all("grab") {
            grabbed(line)?;
        }
        return run.ended_well();
    }
    if let Some(disturbed) = run.says("disturbed") {
        let words: Vec<&str> = disturbed.split(' ').collect();
        let [len, k, how] = words[..] else {
            return run.ended_well();
        };
        let scene = format!("{len} in the ring; after your instruction {k} its owner took one");
        return Err(if how == "twice" {
            Fault::new(
                "twice",
                format!("{scene}, and now a goroutine is in two places."),
                "What you copied is yours only if the claim succeeded; if not, another thread has it, and you begin again.",
            )
        } else {
            Fault::new(
                "gone",
                format!("{scene}, and now a goroutine is nowhere."),
                "A goroutine in no queue never runs: what leaves one queue must arrive in the other.",
            )
        });
    }
    if run.err.contains("expected runnable") {
        return Err(Fault::new(
            "twice",
            "Two processors ran the same goroutine, and the scheduler ended the process.",
            "What you copied is yours only if the claim succeeded (for runnext: take_next); if not, another thread has it.",
        )
        .at(run.trace.events.len().saturating_sub(1)));
    }
    run.ended_well()?;
    sound(run)?;
    if case.name == "eight workers" && run.trace.count("Steal") == 0 {
        return Err(Fault::new(
            "no-steal",
            "The second processor found nothing to steal.",
            "One processor works while the other one sleeps.",
        ));
    }
    Ok(())
}

fn grabbed(line: &str) -> Result<(), Fault> {
    let words: Vec<&str> = line.split(' ').collect();
    let number = |i: usize| {
        words
            .get(i)
            .and_then(|w| w.parse::<i64>().ok())
            .unwrap_or(-1)
    };
    let yes = |i: usize| words.get(i) == Some(&"true");
    let (len, next, last_pass) = (number(0), yes(1), yes(2));
    let (said, got, left, next_left, in_order) = (number(3), number(4), number(5), yes(6), yes(7));
    let scene = format!(
        "{len} in the ring{}{}",
        if next { ", one in runnext" } else { "" },
        if last_pass { ", last pass" } else { "" },
    );
    if next && !next_left && (len > 0 || !last_pass) {
        return Err(Fault::new(
            "runnext",
            format!("{scene}: you took the one in runnext."),
            "It is about to run on its own processor; a thief takes it only when there is nothing else, in the last pass.",
        ));
    }
    let from_ring = len - left;
    if said != got || (from_ring != said && !(len == 0 && said == 1)) {
        return Err(Fault::new(
            "count",
            format!("{scene}: you said {said}, {got} arrived, and {from_ring} left the victim."),
            "What leaves one queue must arrive in the other: a goroutine in no queue never runs, one in two queues runs twice.",
        ));
    }
    let wanted = if len == 0 {
        i64::from(next && last_pass)
    } else {
        len - len / 2
    };
    if said != wanted {
        let rule = match said - wanted {
            n if n < 0 && len == 1 => "rounding",
            n if n < 0 => "too-few",
            _ => "too-many",
        };
        let meaning = match rule {
            "rounding" => {
                "Half of one, rounded down, is nothing: a lonely goroutine behind a busy one would never move."
            }
            "too-few" => "The thief is back at once, and each visit costs both of them.",
            _ => "The victim is left without work and has to steal it back.",
        };
        return Err(Fault::new(
            rule,
            format!("{scene}: you took {said}; half, rounded up, is {wanted}."),
            meaning,
        ));
    }
    if !in_order {
        return Err(Fault::new(
            "order",
            format!("{scene}: they arrived in another order."),
            "A queue that turns around on its way lets the oldest wait longest.",
        ));
    }
    Ok(())
}
