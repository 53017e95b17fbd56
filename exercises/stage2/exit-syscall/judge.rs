// Back from a system call, and no processor to be had. Row `exitsyscall_slow`.

use super::{Crew, busy, over, rows_of, sound, with_rows};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use safepoint_testkit::trace::Trace;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, SCHED};
use stage2_sysmon::rt::sched::Next;
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{Runtime, STAGE, Stage, nanosleep};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Of what the slow way back is made, each with its invariant.
pub mod helpers {
    use crate::stage2::without_lock;
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::{G, P, SCHED, SchedGuard, SchedInner};
    use stage2_sysmon::rt::sched::{Next, Wake};

    /// The goroutine is no longer in its call and no longer on this thread: it can run. Once,
    /// and first of all.
    pub fn runnable(gp: &'static G) {
        on_g0("runnable");
        if !rt::arch::getm().curg.is(gp) {
            rt::last_words::throw("runnable: the goroutine is not this thread's");
        }
        // SAFETY: as was just checked, gp has left this M, and it is in no queue yet.
        unsafe {
            rt::gmp::casgstatus::<{ rt::gmp::GSYSCALL }, { rt::gmp::GRUNNABLE }>(gp);
            rt::sched::dropg(gp);
        }
    }

    /// Takes the scheduler's lock, until the value is dropped.
    pub fn lock() -> SchedGuard {
        SCHED.lock()
    }

    /// Takes a processor from the idle list, if one is there. It is yours then.
    pub fn idle_p(sched: &mut SchedInner) -> Option<&'static P> {
        rt::sched::pidleget(sched)
    }

    /// Puts the goroutine at the end of the global queue. From the moment at which the lock
    /// goes, any processor may run it.
    pub fn queue(sched: &mut SchedInner, gp: &'static G) {
        can_run("queue", gp);
        rt::queues::globrunqput(sched, gp);
    }

    /// The goroutine goes on at once, on this thread and with `pp`: return what this
    /// returns. It is in no queue. Not with the lock held.
    pub fn go_on(pp: &'static P, gp: &'static G) -> Next {
        without_lock("go_on");
        can_run("go_on", gp);
        let sched = SCHED.lock();
        let queued = std::iter::successors(sched.runqhead, |gp| gp.schedlink.get())
            .take(5000)
            .any(|other| std::ptr::eq(other, gp));
        drop(sched);
        if queued {
            rt::last_words::throw("go_on: the goroutine is in a queue");
        }
        let mp = rt::arch::getm();
        on_g0("go_on");
        // SAFETY: this thread is mp, without a P (or it throws). A P that is in the idle list
        // or at work is refused by its state and its M; `idle_p` gave this one to us.
        unsafe { rt::sched::acquirep(mp, pp) };
        if SCHED.attention.has(rt::sysmon::ATTENTION_SYSMON) {
            // It sleeps because no P was in use.
            rt::sysmon::schedule_slow(mp);
        }
        // SAFETY: on g0; the goroutine can run and is in no queue, as was checked; the
        // card says that the caller returns it.
        Some(unsafe { rt::sched::execute(mp, gp, false) })
    }

    /// This thread sleeps until there is a processor for it: return what this returns. Not
    /// with the lock held.
    pub fn rest() -> Next {
        without_lock("rest");
        let mp = rt::arch::getm();
        if let Some(gp) = mp.lockedg.get() {
            on_g0("rest");
            return match rt::sched::stoplockedm(mp) {
                // SAFETY: on g0, woken with a P for the goroutine that is locked to this thread.
                Wake::Up => Some(unsafe { rt::sched::execute(mp, gp, false) }),
                Wake::Over => None,
            };
        }
        // `schedule` looks whether the run is over.
        let (Wake::Up | Wake::Over) = rt::sched::stopm(mp);
        None
    }

    fn on_g0(helper: &'static str) {
        if rt::arch::on_goroutine() {
            rt::last_words::throw_args(format_args!("{helper}: on a goroutine's own stack"));
        }
    }

    fn can_run(helper: &'static str, gp: &'static G) {
        if rt::gmp::readgstatus(gp) == rt::gmp::GSYSCALL {
            rt::last_words::throw_args(format_args!(
                "{helper}: the goroutine is still in its call"
            ));
        }
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        keeps_the_order,
        |_, run| run.ended_well(),
        keeps_the_invariants,
        brings_all_back,
    ]),
    compare: true,
    cases: &[
        Case {
            name: "no processor",
            what: "one processor; a call of 5 ms ends while another goroutine computes",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "just free",
            what: "a call of 5 ms ends, and the only processor becomes idle just before you are called",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "three come back",
            what: "three calls, and one processor that is busy when they end",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "for real",
            what: "eight goroutines that make calls and compute, two processors, free-running",
            procs: 2,
            seeds: &[],
        },
    ],
    reference: |case| scenario(case, &STAGE),
};

/// The `main` of an attempt.
pub fn attempt(mine: &'static Stage) {
    crate::attempt::enter(|case| scenario(case, mine));
}

static MINE: OnceLock<fn(&'static G) -> Next> = OnceLock::new();
static LATE: AtomicBool = AtomicBool::new(false);

fn watched(gp: &'static G) -> Next {
    let mine = MINE.get().filter(|_| !over());
    let Some(mine) = mine else {
        return (ROWS.exitsyscall_slow)(gp);
    };
    if LATE.load(Relaxed) {
        // A thread may be that slow.
        while SCHED.npidle.load(Relaxed) == 0 {
            rt::os::usleep(20);
        }
    }
    mine(gp)
}

fn scenario(case: &str, mine: &'static Stage) {
    let rows = *rows_of(mine);
    let _ = MINE.set(rows.exitsyscall_slow);
    LATE.store(case == "just free", Relaxed);
    let stage = with_rows(
        mine,
        Rows {
            exitsyscall_slow: watched,
            ..rows
        },
    );
    match case {
        "three come back" => start(Runtime::new(stage).procs(1), || {
            let crew = Crew::new();
            crew.go("worker", || busy(8_000));
            for (name, ms) in [("one", 1), ("two", 2), ("three", 3)] {
                crew.go(name, move || nanosleep(Duration::from_millis(ms)));
            }
            crew.wait();
            tell!("all are back");
        }),
        "for real" => start(Runtime::new(stage).procs(2), || {
            let crew = Crew::new();
            for _ in 0..8 {
                crew.go("mixed", || {
                    for _ in 0..60 {
                        nanosleep(Duration::from_micros(50));
                        busy(100);
                    }
                });
            }
            crew.wait();
            tell!("all are back");
        }),
        _ => start(Runtime::new(stage).procs(1), || {
            let crew = Crew::new();
            crew.go("worker", || busy(8_000));
            crew.go("caller", || nanosleep(Duration::from_millis(5)));
            crew.wait();
            tell!("all are back");
        }),
    }
}

/// The event at which a goroutine is back, and finds its processor gone.
fn back(trace: &Trace) -> usize {
    trace
        .find("GoSysExit")
        .find(|&i| !trace.events[i].args.is_empty())
        .or(trace.events.len().checked_sub(1))
        .unwrap_or(0)
}

fn keeps_the_order(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let back = back(trace);
    let it = trace.events.get(back).and_then(|e| e.g);
    let it = it.map_or("the goroutine".to_owned(), |g| format!("g{g}"));
    let said = |what: &str| run.err.contains(what);
    if said("the caller holds the scheduler's lock") {
        return Err(Fault::new(
            "lock-held",
            "The scheduler's lock was still held where the thread runs on or goes to sleep, and the process was ended.",
            "Queueing something or waking this thread needs that lock. Release it as soon as the goroutine is where it belongs.",
        )
        .at(back));
    }
    if said("the goroutine is still in its call") {
        return Err(Fault::new(
            "not-runnable",
            format!("{it} was queued, or was to go on, and still counted as being in its system call."),
            "Its state says what may be done with it. Only a runnable goroutine may be in a queue or be started.",
        )
        .at(back));
    }
    if said("the goroutine is in a queue") || said("expected runnable") {
        return Err(Fault::new(
            "twice",
            format!("{it} was put into the queue, and it also went on at once."),
            "A goroutine in two places runs on two threads, on one stack. Either a processor is found and it goes on, or it queues.",
        )
        .at(back));
    }
    if said("schedule: no p") {
        return Err(Fault::new(
            "no-rest",
            "A thread without a processor went on to schedule, and the scheduler ended the process.",
            "It may not touch any queue now. It has to rest until another thread hands it a processor.",
        )
        .at(back));
    }
    if said("checkdead: runnable g") || run.is_deadlock() {
        return Err(if case.name == "just free" {
            Fault::new(
                "idle-left",
                format!("{it} is in the queue, the processor is idle, and every thread sleeps."),
                "Between the first look and the lock a processor may have become idle, and its thread found the queue empty. Look at the idle list once more, under the lock under which you queue.",
            )
        } else {
            Fault::new(
                "lost",
                format!("{it} came back from its system call and never ran again."),
                "It is runnable and in no queue: no processor will ever find it, and a goroutine that waits for it waits for ever.",
            )
        }
        .at(back));
    }
    Ok(())
}

fn keeps_the_invariants(case: &Case, run: &Run) -> Result<(), Fault> {
    match case.seeds {
        // On the machine's clock the lines of two threads may be in the wrong order.
        [] => Ok(()),
        _ => sound(run),
    }
}

fn brings_all_back(_: &Case, run: &Run) -> Result<(), Fault> {
    if run.says("all are back").is_none() {
        return Err(Fault::new(
            "lost",
            "The run ended before every goroutine was back.",
            "A goroutine that comes back from a call goes on after it, whatever happened meanwhile.",
        )
        .at(back(&run.trace)));
    }
    Ok(())
}
