// Many goroutines become runnable at once: which queue, and which threads are woken? Row
// `injectglist`.

use super::{Bed, Crew, busy, busy_until, calm, rows_of, sound, with_rows};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use safepoint_testkit::trace::Trace;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::G;
use stage2_sysmon::rt::table::Rows;
use stage2_sysmon::{Runtime, STAGE, Stage, nanosleep, user_log};
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Of what the second half of `injectglist` is made.
pub mod helpers {
    use crate::stage2::without_lock;
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::{G, P, SCHED, SchedGuard, SchedInner};
    use std::sync::atomic::Ordering::Relaxed;

    /// The processor of the calling thread, if it has one.
    pub fn my_p() -> Option<&'static P> {
        rt::arch::getm().p.get()
    }

    /// How many processors are on the idle list.
    pub fn idle() -> usize {
        SCHED.npidle.load(Relaxed) as usize
    }

    /// Takes the scheduler's lock, until the value is dropped.
    pub fn lock() -> SchedGuard {
        SCHED.lock()
    }

    /// Puts one goroutine at the end of the global queue.
    pub fn put_global(sched: &mut SchedInner, gp: &'static G) {
        rt::queues::globrunqput(sched, gp);
    }

    /// Puts one goroutine at the end of the queue of `pp`, which is the caller's own.
    pub fn put_mine(pp: &'static P, gp: &'static G) {
        without_lock("put_mine");
        rt::queues::runqput(pp, gp, false);
    }

    /// Wakes or makes a thread for one idle processor. It looks into the global queue at
    /// once. Does nothing if no processor is idle. Not with the lock held.
    pub fn start_one() {
        without_lock("start_one");
        rt::sched::startm(None, false);
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[keeps_the_order, starts_enough, loses_none]),
    compare: true,
    cases: &[
        Case {
            name: "three sleep",
            what: "eight goroutines wake at once; three of four processors are idle",
            procs: 4,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "from outside",
            what: "two goroutines wake; the caller is a thread without a processor, and all others sleep",
            procs: 2,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "all awake",
            what: "eight goroutines wake at once, and the caller's processor is the only one",
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

const MANY: usize = 8;
static BEDS: [Bed; MANY] = [const { Bed::new() }; MANY];
static RAN: AtomicU32 = AtomicU32::new(0);
/// When sysmon is to wake two of them, on the run's clock.
static WHEN: AtomicU64 = AtomicU64::new(u64::MAX);
static LIST: OnceLock<Vec<&'static G>> = OnceLock::new();

/// A thread without a P, once, with goroutines that have become runnable: as the poller of
/// the network does.
fn from_outside(now: u64) {
    if WHEN.load(Relaxed) <= now {
        WHEN.store(u64::MAX, Relaxed);
        if let Some(list) = LIST.get() {
            // SAFETY: they are in their beds, and nothing else wakes them.
            unsafe { rt::syscall::injectglist(list) };
        }
    }
}

/// Goroutines that sleep, and all of them asleep, with so many idle Ps.
fn asleep(crew: &Crew, many: usize, idle: u32) -> Vec<&'static G> {
    for bed in &BEDS[..many] {
        crew.go("sleeper", move || {
            bed.sleep();
            busy(1_000);
            RAN.fetch_add(1, Relaxed);
        });
    }
    loop {
        stage2_sysmon::gosched();
        busy(20);
        let all: Vec<_> = BEDS.iter().filter_map(Bed::sleeper).collect();
        if all.len() == many && calm(idle) {
            return all;
        }
    }
}

fn scenario(case: &str, mine: &'static Stage) {
    let rows = *rows_of(mine);
    let stage = with_rows(
        mine,
        Rows {
            sysmon_tick: from_outside,
            ..rows
        },
    );
    match case {
        "three sleep" => start(Runtime::new(stage).procs(4), || inject(3)),
        "all awake" => start(Runtime::new(stage).procs(1), || inject(0)),
        _ => start(Runtime::new(stage).procs(2), || {
            let crew = Crew::new();
            let list = asleep(&crew, 2, 1);
            let _ = LIST.set(list);
            user_log("the call");
            WHEN.store(rt::os::nanotime() + 1_000_000, Relaxed);
            nanosleep(Duration::from_millis(8));
            user_log("back");
            crew.wait();
            tell!("ran {}", RAN.load(Relaxed));
        }),
    }
}

fn inject(idle: u32) {
    let crew = Crew::new();
    let list = asleep(&crew, MANY, idle);
    user_log("inject");
    // SAFETY: they are in their beds, and nothing else wakes them.
    rt::arch::systemstack(|| unsafe { rt::syscall::injectglist(&list) });
    user_log("injected");
    // The caller has other things to do, and its processor is busy with them.
    busy_until({
        let until = rt::os::nanotime() + 2_000_000;
        move || rt::os::nanotime() >= until
    });
    crew.wait();
    tell!("ran {}", RAN.load(Relaxed));
}

fn keeps_the_order(_: &Case, run: &Run) -> Result<(), Fault> {
    let last = run.trace.events.len().saturating_sub(1);
    if run.err.contains("the caller holds the scheduler's lock") {
        return Err(Fault::new(
            "lock-held",
            "You held the scheduler's lock while you started a thread or used a queue that may need it, and the process was ended.",
            "Under the lock: only the global queue. Let it go, and then do the rest.",
        )
        .at(last));
    }
    if run.err.contains("expected runnable") {
        return Err(Fault::new(
            "twice",
            "Two processors ran the same goroutine, and the scheduler ended the process.",
            "Each goroutine of the list goes into one queue: the first few there, the rest here, and none of them into both.",
        )
        .at(last));
    }
    Ok(())
}

/// The goroutines that become runnable.
fn sleepers(trace: &Trace) -> BTreeSet<u32> {
    trace
        .find("GoCreate")
        .filter(|&i| trace.events[i].args.get(1).is_some_and(|n| n == "sleeper"))
        .filter_map(|i| trace.events[i].target())
        .collect()
}

fn starts_enough(case: &Case, run: &Run) -> Result<(), Fault> {
    let trace = &run.trace;
    let log = |text: &str| {
        trace
            .find("UserLog")
            .find(|&i| trace.events[i].args.join(" ") == text)
    };
    let from = log("injected").or(log("the call")).unwrap_or(0);
    let sleepers = sleepers(trace);
    let about_them = |i: &usize| {
        let g = trace.events[*i].target();
        g.is_some_and(|g| sleepers.contains(&g))
    };
    // Which processors began to run one of them within half a millisecond.
    let since = trace.find("GoUnblock").find(about_them);
    let soon: BTreeSet<u32> = trace
        .find("GoStart")
        .filter(about_them)
        .filter(|&i| since.is_some_and(|s| i > s && trace.events[i].us < trace.events[s].us + 500))
        .filter_map(|i| trace.events[i].p)
        .collect();
    if case.name == "three sleep" && soon.len() < 3 {
        let meaning = "No thread looks at a queue because something was put there. As many threads as there are idle processors and goroutines must be started, and what they are to run must stand in the global queue.";
        return Err(match soon.len() {
            0 => Fault::new(
                "ps-idle",
                "Eight goroutines could run, three processors were idle, and none of them began.",
                meaning,
            ),
            n => Fault::new(
                "too-few",
                format!("Eight goroutines could run, three processors were idle, and only {n} of them began."),
                meaning,
            ),
        }
        .at(from));
    }
    if case.name == "from outside" && soon.is_empty() && since.is_some() {
        return Err(Fault::new(
            "none-started",
            "A thread without a processor made two goroutines runnable, a processor was idle, and no thread began to run them.",
            "The caller will not run them itself. If it does not start a thread for an idle processor, nothing does.",
        )
        .at(since.unwrap_or(0)));
    }
    Ok(())
}

fn loses_none(_: &Case, run: &Run) -> Result<(), Fault> {
    let last = run.trace.events.len().saturating_sub(1);
    if run.err.contains("checkdead: runnable g") || run.is_deadlock() {
        return Err(Fault::new(
            "lost",
            "Some of the goroutines never ran, and every thread sleeps now.",
            "A goroutine that can run and is in no queue is never found. Count: the whole list must be in queues when you are done.",
        )
        .at(last));
    }
    run.ended_well()?;
    sound(run)?;
    let wanted = sleepers(&run.trace).len() as i64;
    let ran = run.number("ran").unwrap_or(0);
    if ran < wanted {
        return Err(Fault::new(
            "lost",
            format!("{wanted} goroutines became runnable, and {ran} of them ran."),
            "A goroutine that can run and is in no queue is never found.",
        )
        .at(last));
    }
    Ok(())
}
