// When a P in a system call is worth taking away. Row `retake_syscall`.

use super::{Bed, Crew, busy, busy_until, calls, calm, from_to, millis, sound};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage2_sysmon::rt;
use stage2_sysmon::{Runtime, STAGE, Stage, go, nanosleep, user_log};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// What sysmon can ask when it finds a processor in a system call.
pub mod helpers {
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::{P, SCHED};
    use std::sync::atomic::Ordering::Relaxed;

    pub use stage2_sysmon::rt::sysmon::SYSCALL_NS;

    /// Whether goroutines are in this processor's own queue.
    pub fn has_work(pp: &'static P) -> bool {
        !pp.runq.is_empty()
    }

    /// How many processors are on the idle list.
    pub fn idle() -> u32 {
        SCHED.npidle.load(Relaxed)
    }

    /// How many threads look for work now.
    pub fn looking() -> u32 {
        SCHED.searchers.count()
    }

    /// When sysmon first saw the call in which this processor is: nanoseconds, on the same
    /// clock as `now`.
    pub fn first_seen(pp: &'static P) -> u64 {
        rt::sysmon::sysmontick(pp).syscallwhen.load(Relaxed)
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        |_, run| run.ended_well(),
        |_, run| sound(run),
        leaves_short_calls_alone,
        takes_one_with_work,
        takes_the_last_one,
        takes_one_after_ten_milliseconds,
    ]),
    compare: true,
    cases: &[
        Case {
            name: "short calls",
            what: "two processors; a lonely goroutine makes four calls of 1.5 ms",
            procs: 2,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "work waits",
            what: "a call of 5 ms, and a goroutine is in the queue of its processor; the other processor sleeps",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "none left",
            what: "a call of 8 ms; the other processor computes, and then makes new work",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "a long one",
            what: "a lonely goroutine is in a call for 40 ms, and there is no other work",
            procs: 2,
            seeds: &[1, 2],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

static WAITER: Bed = Bed::new();
static RUNS: AtomicBool = AtomicBool::new(false);

fn scenario(case: &str, mine: &'static Stage) {
    let main: fn() = match case {
        "short calls" => || {
            for _ in 0..4 {
                nanosleep(Duration::from_micros(1_500));
                busy(100);
            }
        },
        "work waits" => || {
            let crew = Crew::new();
            crew.go("waiter", || WAITER.sleep());
            busy_until(|| WAITER.sleeper().is_some() && calm(1));
            // Into the queue, and no thread is woken for it.
            rt::arch::systemstack(|| {
                if let (Some(gp), Some(pp)) = (WAITER.wake(), rt::arch::getm().p.get()) {
                    rt::queues::runqput(pp, gp, false);
                }
            });
            nanosleep(Duration::from_millis(5));
            crew.wait();
        },
        "none left" => || {
            let crew = Crew::new();
            crew.go("maker", || {
                RUNS.store(true, Relaxed);
                busy(3_000);
                user_log("makes work");
                go("new_work", || busy(100));
                busy(15_000);
            });
            busy_until(|| RUNS.load(Relaxed));
            nanosleep(Duration::from_millis(8));
            crew.wait();
        },
        _ => || nanosleep(Duration::from_millis(40)),
    };
    start(Runtime::new(mine).procs(2), move || {
        main();
        tell!("done");
    });
}

fn leaves_short_calls_alone(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "short calls" {
        return Ok(());
    }
    let all = calls(&run.trace, "main");
    let taken: Vec<usize> = all.iter().filter_map(|c| c.taken).collect();
    if let Some(&first) = taken.first() {
        return Err(Fault::new(
            "for-nothing",
            format!(
                "{} of {} short calls lost their processor, although there was nothing else to run on it.",
                taken.len(),
                all.len()
            ),
            "To take a processor away costs a thread that wakes up, finds nothing, and goes to sleep again; and the goroutine has to look for another one when it is back.",
        )
        .at(first));
    }
    Ok(())
}

fn takes_one_with_work(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "work waits" {
        return Ok(());
    }
    let trace = &run.trace;
    let all = calls(trace, "main");
    let Some(call) = all.first() else {
        return Ok(());
    };
    let waiter = trace.goroutine("waiter").unwrap_or(0);
    let ran = trace.after(call.began, |e| e.is("GoStart", waiter));
    let waited = from_to(trace, call.began, ran);
    if waited.is_none_or(|us| us > 400) {
        return Err(Fault::new(
            "work-waits",
            format!(
                "g{waiter} was in the queue of a processor that was in a system call, and waited for {} ms.",
                millis(waited.unwrap_or(0))
            ),
            "No thread was woken for it, so none looks. A processor in a call that has work of its own is taken, whatever else is idle.",
        )
        .at(call.began));
    }
    Ok(())
}

fn takes_the_last_one(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name != "none left" {
        return Ok(());
    }
    let trace = &run.trace;
    let new = trace.goroutine("new_work").unwrap_or(0);
    let made = trace
        .find("GoCreate")
        .find(|&i| trace.events[i].is("GoCreate", new));
    let Some(made) = made else { return Ok(()) };
    let ran = trace.after(made, |e| e.is("GoStart", new));
    let waited = from_to(trace, made, ran);
    if waited.is_none_or(|us| us > 1_000) {
        return Err(Fault::new(
            "none-left",
            format!(
                "New work was made, no processor was idle for it, and it waited for {} ms. One was in a system call the whole time.",
                millis(waited.unwrap_or(0))
            ),
            "When no processor is idle and no thread looks for work, no processor is there for the next goroutine that is made. So one is taken in advance.",
        )
        .at(made));
    }
    Ok(())
}

fn takes_one_after_ten_milliseconds(case: &Case, run: &Run) -> Result<(), Fault> {
    if matches!(case.name, "short calls" | "work waits" | "none left") {
        return Ok(());
    }
    let trace = &run.trace;
    let all = calls(trace, "main");
    let Some(call) = all.first() else {
        return Ok(());
    };
    let taken = from_to(trace, call.began, call.taken);
    match taken {
        Some(us) if us < 9_900 => {
            return Err(Fault::new(
                "for-nothing",
                format!("After {} ms a lonely call lost its processor.", millis(us)),
                "Nothing needs it before ten milliseconds are over.",
            )
            .at(call.taken.unwrap_or(0)));
        }
        Some(us) if us < 25_000 => {}
        _ => {
            return Err(Fault::new(
                "never",
                "A call of 40 ms kept its processor to the end, and sysmon looked at it again and again.",
                "As long as a processor is in use, and in a call it is, sysmon does not go to sleep for good. After ten milliseconds it is taken anyhow.",
            )
            .at(call.over.unwrap_or(call.began)));
        }
    }
    Ok(())
}
