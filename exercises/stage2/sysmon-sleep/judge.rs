// How long sysmon sleeps between two looks. Row `sysmon_delay`.

use super::{Crew, busy, calls, from_to, millis, rows_of, slices, sound, with_rows};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage2_sysmon::rt::table::Rows;
use stage2_sysmon::{Runtime, STAGE, Stage, gosched, nanosleep};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        sleeps,
        |_, run| run.ended_well(),
        begins_close,
        rests_when_nothing_happens,
        sees_the_end_of_a_slice,
        stays_close_while_there_is_work,
        |_, run| sound(run),
    ]),
    compare: true,
    cases: &[
        Case {
            name: "one call",
            what: "one processor; a goroutine sits in a system call for 5 ms, another has work",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "nothing to find",
            what: "a single goroutine computes for 60 ms, and no other needs its processor",
            procs: 1,
            seeds: &[1],
        },
        Case {
            name: "two loops",
            what: "two loops share one processor for 100 ms",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "many calls",
            what: "after a quiet time a call of 30 ms, and then one short call after the other",
            procs: 1,
            seeds: &[1, 2],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

static MINE: OnceLock<fn(u32, u32) -> u32> = OnceLock::new();
static ROUNDS: AtomicU32 = AtomicU32::new(0);

/// Asks the learner's function, counts, and lets no sleep be of no time at all.
fn watched(idle: u32, delay: u32) -> u32 {
    ROUNDS.fetch_add(1, Relaxed);
    let us = MINE.get().map_or(20, |mine| mine(idle, delay));
    if us == 0 {
        tell!("zero {idle} {delay}");
        stage2_sysmon::exit(3);
    }
    us
}

fn scenario(case: &str, mine: &'static Stage) {
    let rows = *rows_of(mine);
    let _ = MINE.set(rows.sysmon_delay);
    let stage = with_rows(
        mine,
        Rows {
            sysmon_delay: watched,
            ..rows
        },
    );
    let main: fn() = match case {
        "one call" => || {
            let crew = Crew::new();
            crew.go("worker", || busy(8_000));
            crew.go("caller", || nanosleep(Duration::from_millis(5)));
            crew.wait();
        },
        "nothing to find" => || {
            let before = ROUNDS.load(Relaxed);
            busy(60_000);
            tell!("rounds {}", ROUNDS.load(Relaxed) - before);
        },
        "two loops" => || {
            let crew = Crew::new();
            crew.go("loop_a", || busy(50_000));
            crew.go("loop_b", || busy(50_000));
            crew.wait();
        },
        _ => || {
            busy(25_000);
            let crew = Crew::new();
            crew.go("worker", || {
                for _ in 0..60 {
                    busy(200);
                    gosched();
                }
            });
            crew.go("caller", || {
                for _ in 0..6 {
                    nanosleep(Duration::from_micros(600));
                }
            });
            nanosleep(Duration::from_millis(30));
            crew.wait();
        },
    };
    start(Runtime::new(stage).procs(1), main);
}

/// Microseconds within which a call must be noticed while sysmon watches closely: two looks,
/// and the work between them.
const CLOSE: u64 = 250;

fn sleeps(_: &Case, run: &Run) -> Result<(), Fault> {
    if let Some(zero) = run.says("zero") {
        let idle = zero.split(' ').next().unwrap_or("?");
        return Err(Fault::new(
            "no-sleep",
            format!("After {idle} idle rounds you said 0 microseconds."),
            "A thread that never sleeps takes a whole core of the machine for looking on.",
        ));
    }
    Ok(())
}

fn begins_close(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "one call" {
        return Ok(());
    }
    let trace = &run.trace;
    let Some(call) = calls(trace, "caller").into_iter().next() else {
        return Ok(());
    };
    let waited = from_to(trace, call.began, call.taken);
    if waited.is_none_or(|us| us > CLOSE) {
        let what = match waited {
            None => "A processor was in a system call for 5 ms, there was work for it, and it was not taken away.".to_owned(),
            Some(us) => format!(
                "A processor was in a system call, and it took {} ms until it was taken away.",
                millis(us)
            ),
        };
        return Err(Fault::new(
            "late",
            what,
            "Right after it has found something to do (and when the run begins, after 0 idle rounds) sysmon looks every 20 us: it must see the same call twice.",
        )
        .at(call.began));
    }
    Ok(())
}

fn rests_when_nothing_happens(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "nothing to find" {
        return Ok(());
    }
    let rounds = run.number("rounds").unwrap_or(0);
    if rounds > 400 {
        return Err(Fault::new(
            "too-busy",
            format!("Nothing happened for 60 ms, and sysmon woke up {rounds} times to see that."),
            "Each look costs a system call and keeps the machine awake. After about a millisecond without work, sleep longer and longer.",
        ));
    }
    Ok(())
}

fn sees_the_end_of_a_slice(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "two loops" {
        return Ok(());
    }
    if let Some(slice) = slices(&run.trace).into_iter().find(|s| s.us > 25_000) {
        return Err(Fault::new(
            "too-long",
            format!(
                "g{} kept the processor for {} ms although another goroutine was waiting.",
                slice.g,
                millis(slice.us)
            ),
            "A slice is ten milliseconds. If sysmon looks less often, it sees the end of one too late.",
        )
        .at(slice.to));
    }
    Ok(())
}

fn stays_close_while_there_is_work(case: &Case, run: &Run) -> Result<(), Fault> {
    if matches!(case.name, "one call" | "nothing to find" | "two loops") {
        return Ok(());
    }
    let trace = &run.trace;
    for (i, call) in calls(trace, "caller").iter().enumerate() {
        let waited = from_to(trace, call.began, call.taken);
        if waited.is_some_and(|us| us <= CLOSE) {
            continue;
        }
        let (rule, what, meaning) = if i == 0 {
            (
                "never-back",
                "Sysmon had just taken a processor out of a long call. The next call began at once, and it did not notice.",
                "Where there is work, there is soon more: a round that found something (0 idle rounds) goes back to 20 us.",
            )
        } else {
            (
                "too-soon",
                "A call began less than a millisecond after the last one, and sysmon slept through it.",
                "A few idle rounds are no quiet time: stay at 20 us for about fifty of them.",
            )
        };
        return Err(Fault::new(rule, what, meaning).at(call.began));
    }
    Ok(())
}
