// Ten milliseconds is a threshold that a sampler checks. Row `retake`, its first half.

use super::{Crew, busy, millis, rows_of, slices, sound, with_rows};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start};
use stage2_sysmon::rt::table::Rows;
use stage2_sysmon::{Runtime, STAGE, Stage};

/// What sysmon can see of a processor, and what it may write down about it.
pub mod helpers {
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::P;
    use std::sync::atomic::Ordering::Relaxed;

    pub use stage2_sysmon::rt::gmp::allp;
    pub use stage2_sysmon::rt::sysmon::FORCE_PREEMPT_NS;

    /// Whether some thread runs goroutines with this processor now.
    pub fn runs(pp: &'static P) -> bool {
        pp.status.get() == rt::gmp::PRUNNING
    }

    /// The number of the slice that runs there. Each new slice counts it up.
    pub fn tick(pp: &'static P) -> usize {
        pp.schedtick.load(Relaxed) as usize
    }

    /// What you noted about this processor last: a tick and a time. At first a tick that no
    /// slice has, and 0.
    pub fn seen(pp: &'static P) -> (usize, u64) {
        let seen = rt::sysmon::sysmontick(pp);
        (seen.schedtick.get(), seen.schedwhen.load(Relaxed))
    }

    /// Writes both down for the next look.
    pub fn note(pp: &'static P, tick: usize, when: u64) {
        let seen = rt::sysmon::sysmontick(pp);
        seen.schedtick.set(tick);
        seen.schedwhen.store(when, Relaxed);
    }

    /// Asks the goroutine that runs on this processor to yield.
    pub fn ask(pp: &'static P) {
        rt::stack::preemptone(pp);
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[judge]),
    compare: true,
    cases: &[
        Case {
            name: "two loops",
            what: "two loops share one processor for 90 ms",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "a close watch",
            what: "two loops share one processor, and sysmon has reason to look every millisecond",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "many short ones",
            what: "twenty-five goroutines on one processor, each done after one millisecond",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "two processors",
            what: "four loops on two processors",
            procs: 2,
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
    let (procs, many, us, name) = match case {
        "two loops" | "a close watch" => (1, 2, 45_000, "loop"),
        "many short ones" => (1, 25, 1_000, "short"),
        _ => (2, 4, 35_000, "loop"),
    };
    let rows = Rows {
        sysmon_delay: |_, _| 1_000,
        ..*rows_of(mine)
    };
    let stage = match case {
        "a close watch" => with_rows(mine, rows),
        _ => mine,
    };
    start(Runtime::new(stage).procs(procs), move || {
        let crew = Crew::new();
        for _ in 0..many {
            crew.go(name, move || busy(us));
        }
        crew.wait();
    });
}

/// Milliseconds of the shortest slice whose end may be asked for. The clocks of two threads
/// may be some microseconds apart.
const SHORTEST: f64 = 9.95;
/// Microseconds of the longest: two sleeps of sysmon's, and the way to the next check.
const LONGEST: u64 = 22_500;
/// The same if sysmon sleeps for a millisecond only: ten, and two looks.
const LONGEST_WATCHED: u64 = 13_500;

fn judge(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    run.ended_well()?;
    let slices = slices(trace);
    for asked in trace.find("Preempt") {
        let event = &trace.events[asked];
        // What the runtime writes down itself: the slice may have begun with another one.
        let ran = event.args.iter().find_map(|word| word.strip_prefix("ran="));
        let ran: f64 = ran.and_then(|ms| ms.parse().ok()).unwrap_or(f64::MAX);
        if ran < SHORTEST {
            return Err(Fault::new(
                "too-soon",
                format!("g{} was asked to yield after {ran} ms.", event.target().unwrap_or(0)),
                "A slice is at least ten milliseconds long, counted from the first look that saw it: each switch costs, and a goroutine that is asked too soon gets nothing done.",
            )
            .at(asked));
        }
    }
    let longest = match case.name {
        "a close watch" => LONGEST_WATCHED,
        _ => LONGEST,
    };
    let Some(slice) = slices.iter().find(|s| s.us > longest) else {
        return sound(run);
    };
    let asked = (slice.from..=slice.to).find(|&i| trace.events[i].is("Preempt", slice.g));
    let ran = millis(slice.us);
    Err(match asked {
        Some(asked) => Fault::new(
            "too-late",
            format!("g{} ran for {ran} ms before it yielded.", slice.g),
            "Count from the first look that saw the slice: ten milliseconds after it the next look asks. Sysmon sleeps ten at most, so a slice is hardly ever over twenty.",
        )
        .at(asked),
        None if trace.count("Preempt") == 0 => Fault::new(
            "never",
            format!("g{} ran for {ran} ms, others were waiting, and it was never asked to yield.", slice.g),
            "What is the difference between two looks at the same slice? Note a slice when it is new, and leave the note alone while it lasts.",
        )
        .at(slice.to),
        None => Fault::new(
            "one-left",
            format!("g{} ran for {ran} ms and was not asked, while others were.", slice.g),
            "Each processor has a slice of its own: every round looks at all of them.",
        )
        .at(slice.to),
    })
}
