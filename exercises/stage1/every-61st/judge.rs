// A rare look at the global queue keeps two goroutines from starving all others. Alone, on
// a model of `schedule`: the condition is on a hot path, so it has no row.

use crate::attempt::{Case, Fault, Judge, Kind, Run, tell};
use std::collections::VecDeque;
use std::fmt::Write;

/// What the learner writes: whether this turn looks at the global queue first.
pub type LookFirst = fn(schedtick: u32, global: usize) -> bool;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[judge]),
    compare: true,
    cases: &[
        Case {
            name: "three wait",
            what: "two goroutines keep the ring filled; three wait in the global queue",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "none waits",
            what: "two goroutines keep the ring filled; the global queue is empty",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "crowd",
            what: "two goroutines keep the ring filled; the global queue is never empty",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "wrap",
            what: "three wait while the counter wraps around",
            procs: 1,
            seeds: &[1],
        },
    ],
    reference: |case| scenario(case, |tick, global| tick.is_multiple_of(61) && global > 0),
};

/// The `main` of an attempt.
pub fn attempt(mine: LookFirst) {
    crate::attempt::enter(|case| scenario(case, mine));
}

const TURNS: u32 = 1500;

/// A model of one P: each turn chooses a goroutine as `schedule` does, and writes the events
/// that the runtime would write, one turn in 10 us.
fn scenario(case: &str, look_first: LookFirst) {
    let mut local: VecDeque<u32> = [2, 3].into();
    let mut global: VecDeque<u32> = match case {
        "none waits" => VecDeque::new(),
        _ => [4, 5, 6].into(),
    };
    let first = if case == "wrap" { u32::MAX - 40 } else { 1 };
    let (mut looks, mut longest, mut since) = (0, 0, 0);
    let mut trace = String::from(
        "# safepoint trace v1  a-model every-61st  procs=1 seed=1 clock=virtual portable=yes\n",
    );
    let mut line = |us: u32, g: &str, what: String| {
        let time = format!("{}.{:03}", us / 1000, us % 1000);
        let _ = writeln!(trace, "{time:>9}  m0  p0  {g:<4} {what}");
    };
    line(0, "--", "ProcStart    p0".into());
    for g in 2..=6 {
        line(
            0,
            "--",
            format!(
                "GoCreate     g{g} {}",
                if g < 4 { "pair" } else { "waiting" }
            ),
        );
    }
    for turn in 0..TURNS {
        let mut from_global = None;
        if look_first(first.wrapping_add(turn), global.len()) {
            looks += 1;
            from_global = global.pop_front();
        }
        let us = turn * 10;
        if let Some(g) = from_global {
            longest = longest.max(turn - since);
            since = turn;
            line(us, "--", format!("GoStart      g{g}"));
            if case == "crowd" {
                global.push_back(g);
                line(us + 8, &format!("g{g}"), "GoSched".into());
            } else {
                line(us + 8, &format!("g{g}"), "GoEnd".into());
            }
        } else if let Some(g) = local.pop_front() {
            line(us, "--", format!("GoStart      g{g}"));
            line(us + 8, &format!("g{g}"), "GoSched".into());
            local.push_back(g);
        }
    }
    if !global.is_empty() {
        longest = longest.max(TURNS - since);
    }
    tell!("looks {looks}");
    tell!("longest {longest}");
    tell!("waiting {}", global.len());
    for line in trace.lines() {
        tell!("trace {line}");
    }
}

fn judge(case: &Case, run: &Run) -> Result<(), Fault> {
    run.ended_well()?;
    let looks = run.number("looks").unwrap_or(0);
    let longest = run.number("longest").unwrap_or(0);
    let turns = i64::from(TURNS);
    if case.name == "none waits" {
        if looks > 0 {
            return Err(Fault::new(
                "for-nothing",
                format!(
                    "None waited in the global queue, and you looked there {looks} times in {turns} turns."
                ),
                "Each look takes the lock that all processors share; the number of those that wait can be read without it.",
            ));
        }
        return Ok(());
    }
    if case.name == "crowd" && looks > turns / 55 {
        let second = run.trace.find("GoStart").nth(1).unwrap_or(0);
        return Err(Fault::new(
            "too-often",
            format!("You looked at the global queue {looks} times in {turns} turns."),
            "Its lock is shared by all processors: looked at too often, they wait for each other, and the local queue starves.",
        )
        .at(second));
    }
    if looks == 0 {
        return Err(Fault::new(
            "starved",
            format!("{turns} turns went by, and none of those in the global queue ever ran."),
            "Two goroutines that take turns keep the ring filled for ever: without an exception no other gets the processor.",
        ));
    }
    if longest > 75 {
        return Err(Fault::new(
            "too-rarely",
            format!("A goroutine in the global queue waited for {longest} turns."),
            "About 60 is the bargain: rare enough for the lock, often enough for those that wait.",
        ));
    }
    Ok(())
}
