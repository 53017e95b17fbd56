// A processor whose thread cannot use it: run it, or put it aside? Row `handoffp`.

use super::{Bed, Crew, busy, busy_until, calm, from_to, millis, sound};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::SCHED;
use stage2_sysmon::{Runtime, STAGE, Stage, go, syscall_block};
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Of what `handoffp` is made, each with its invariant.
pub mod helpers {
    use crate::stage2::without_lock;
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::{P, SCHED, SchedGuard, SchedInner};
    use std::sync::atomic::Ordering::*;

    /// Whether goroutines are in this processor's own queue.
    pub fn has_work(pp: &'static P) -> bool {
        !pp.runq.is_empty()
    }

    /// How many goroutines are in the global queue. A thread that puts one there holds the
    /// scheduler's lock.
    pub fn global() -> u32 {
        SCHED.runqsize.load(Relaxed)
    }

    /// How many processors are on the idle list.
    pub fn idle() -> u32 {
        SCHED.npidle.load(Relaxed)
    }

    /// How many threads look for work now.
    pub fn looking() -> u32 {
        SCHED.searchers.count()
    }

    /// A thread runs `pp` from now on. Not with the lock held.
    pub fn start(pp: &'static P) {
        without_lock("start");
        rt::sched::startm(Some(pp), false);
    }

    /// The same, and it looks for work everywhere. Only with an empty queue. Returns false,
    /// and does nothing, if another thread has begun to look meanwhile.
    pub fn start_looking(pp: &'static P) -> bool {
        without_lock("start_looking");
        let first = SCHED.searchers.join_if_none();
        if first {
            rt::sched::startm(Some(pp), true);
        }
        first
    }

    /// Takes the scheduler's lock, until the value is dropped.
    pub fn lock() -> SchedGuard {
        super::somebody_in_between();
        SCHED.lock()
    }

    /// Puts `pp` on the idle list. Its queue is empty; from here on another thread may have it.
    pub fn set_aside(sched: &mut SchedInner, pp: &'static P) {
        rt::sched::pidleput(sched, pp);
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[judge]),
    compare: true,
    cases: &[
        Case {
            name: "global queue",
            what: "a call of 5 ms; a goroutine is in the global queue, the other processor sleeps",
            procs: 2,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "its own queue",
            what: "a call of 5 ms; a goroutine is in the processor's own queue",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "none looks",
            what: "a call of 5 ms; no work here, but on the busy processor beside it a goroutine waits",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "in between",
            what: "a goroutine arrives in the global queue just before you get the lock",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "nothing to do",
            what: "a call of 5 ms, and there is no other work",
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
/// A goroutine is to arrive when the lock is taken.
static ARMED: AtomicBool = AtomicBool::new(false);

/// What may happen in front of any lock: another thread puts a goroutine into the global
/// queue. It looks for an idle processor then, and this one is not idle yet.
fn somebody_in_between() {
    if ARMED.swap(false, Relaxed) {
        into_the_global_queue();
    }
}

fn into_the_global_queue() {
    if let Some(gp) = WAITER.wake() {
        rt::queues::globrunqput(&mut SCHED.lock(), gp);
    }
}

fn scenario(case: &str, mine: &'static Stage) {
    let call = || syscall_block(|| rt::os::usleep(5_000));
    let asleep = |crew: &Crew| {
        crew.go("waiter", || WAITER.sleep());
        busy_until(|| WAITER.sleeper().is_some() && calm(1));
    };
    match case {
        "global queue" => start(Runtime::new(mine).procs(2), move || {
            let crew = Crew::new();
            asleep(&crew);
            rt::arch::systemstack(into_the_global_queue);
            call();
            crew.wait();
        }),
        "its own queue" => start(Runtime::new(mine).procs(1), move || {
            let crew = Crew::new();
            crew.go("waiter", || busy(300));
            crew.go("caller", call);
            crew.wait();
        }),
        "none looks" => start(Runtime::new(mine).procs(2), move || {
            let crew = Crew::new();
            crew.go("maker", || {
                // Both processors are busy, so no thread is woken for this one.
                go("waiter", || busy(300));
                RUNS.store(true, Relaxed);
                busy(9_000);
            });
            busy_until(|| RUNS.load(Relaxed));
            call();
            crew.wait();
        }),
        "in between" => start(Runtime::new(mine).procs(2), move || {
            let crew = Crew::new();
            asleep(&crew);
            ARMED.store(true, Relaxed);
            call();
            if ARMED.swap(false, Relaxed) {
                // If the lock is taken without the helper, no goroutine arrives.
                tell!("none came");
                rt::arch::systemstack(into_the_global_queue);
            }
            crew.wait();
        }),
        _ => start(Runtime::new(mine).procs(2), move || {
            busy_until(|| calm(1));
            call();
        }),
    }
}

fn judge(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let last = trace.events.len().saturating_sub(1);
    if run.err.contains("the caller holds the scheduler's lock") {
        return Err(Fault::new(
            "lock-held",
            "You started a thread while you held the scheduler's lock, and the process was ended.",
            "Starting takes the same lock, to find a thread: a thread that holds it would wait for itself. Release it first.",
        )
        .at(last));
    }
    if run.err.contains("P has non-empty run queue") || run.err.contains("p has runnable gs") {
        return Err(Fault::new(
            "own-work",
            "A processor with goroutines in its own queue was treated as one without, and the scheduler ended the process.",
            "On the idle list no thread would run them; and a thread that looks elsewhere for work is the wrong one. Look at its own queue first.",
        )
        .at(last));
    }
    run.ended_well()?;
    sound(run)?;
    let Some(blocked) = trace.find("GoSysBlock").next() else {
        return Ok(());
    };
    if case.name == "nothing to do" {
        let back = trace.after(blocked, |e| e.name == "GoSysExit");
        let woken = trace
            .after(blocked, |e| {
                e.name == "ProcStart" && e.m != trace.events[blocked].m
            })
            .filter(|&i| back.is_none_or(|back| i < back));
        return match woken {
            None => Ok(()),
            Some(i) => Err(Fault::new(
                "for-nothing",
                "A thread was started for the processor, and there was nothing to run on it, here or anywhere.",
                "It wakes up, looks everywhere, and goes to sleep again. Put the processor aside when there is no reason to run it.",
            )
            .at(i)),
        };
    }
    if run.says("none came").is_some() {
        return Ok(());
    }
    let waiter = trace.goroutine("waiter").unwrap_or(0);
    let ran = trace.after(blocked, |e| e.is("GoStart", waiter));
    let waited = from_to(trace, blocked, ran);
    if waited.is_some_and(|us| us <= 500) {
        return Ok(());
    }
    let ms = millis(waited.unwrap_or(0));
    Err(match case.name {
        "none looks" => Fault::new(
            "none-looks",
            format!("g{waiter} waited on a busy processor for {ms} ms, and one without work was put aside."),
            "When it was queued no processor was idle, so no thread was woken for it. If no thread looks for work and nothing is idle, this processor is the one that must go and look.",
        ),
        "in between" => Fault::new(
            "in-between",
            format!("g{waiter} arrived in the global queue just before the processor was put aside, and waited for {ms} ms."),
            "The thread that put it there found no idle processor, and you had looked already. Under the lock, before `set_aside`, look at the global queue again.",
        ),
        _ => Fault::new(
            "work-of-all",
            format!("g{waiter} stood in the global queue and waited for {ms} ms, while the processor was put aside."),
            "The thread that put it there relies on this: a processor in use will look at the queue. A processor that is handed on has to keep that promise.",
        ),
    }
    .at(blocked))
}
