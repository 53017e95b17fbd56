// All goroutines are asleep when no thread is left that could wake one. Row `m_idle`.

use super::{Crew, busy, over, rows_of, sound, with_rows};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::M;
use stage2_sysmon::rt::table::Rows;
use stage2_sysmon::{Chan, Runtime, STAGE, Stage, lock_os_thread, nanosleep, sleep, syscall_block};
use std::sync::OnceLock;
use std::time::Duration;

/// What can be counted, and the last word.
pub mod helpers {
    use stage2_sysmon::rt;
    use stage2_sysmon::rt::gmp::SCHED;

    /// How many threads of the runtime there are, and how many of them sleep or do something
    /// else than running goroutines.
    #[derive(Clone, Copy, Debug)]
    pub struct Threads {
        /// All of them.
        pub all: i32,
        /// Asleep on the idle list.
        pub idle: i32,
        /// Asleep until the one goroutine that is locked to them can run.
        pub locked: i32,
        /// They never run goroutines: sysmon is one.
        pub system: i32,
    }

    /// Counts, under the scheduler's lock.
    pub fn threads() -> Threads {
        let sched = SCHED.lock();
        Threads {
            all: sched.mnext as i32 - sched.nmfreed,
            idle: sched.nmidle as i32,
            locked: sched.nmidlelocked,
            system: sched.nmsys,
        }
    }

    /// Says that all goroutines are asleep, and ends the process with status 2.
    pub fn report() -> ! {
        rt::last_words::throw("all goroutines are asleep - deadlock!")
    }
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[says_when_all_sleep, only_then, ends_as_it_should]),
    compare: true,
    cases: &[
        Case {
            name: "after you",
            what: "two goroutines wait for each other; the process must say so and end",
            procs: 1,
            seeds: &[1, 2],
        },
        Case {
            name: "in a call",
            what: "main waits for a goroutine that sits in a system call for 30 ms",
            procs: 1,
            seeds: &[1, 2, 3],
        },
        Case {
            name: "asleep for a while",
            what: "three goroutines sleep for some milliseconds, and main waits for them",
            procs: 2,
            seeds: &[1, 2],
        },
        Case {
            name: "a crowd",
            what: "twenty goroutines come and go on four processors",
            procs: 4,
            seeds: &[1, 2],
        },
        Case {
            name: "locked",
            what: "two goroutines wait for each other, and one of them is locked to its thread",
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

static MINE: OnceLock<fn(&'static M)> = OnceLock::new();

fn watched(mp: &'static M) {
    if let Some(mine) = MINE.get().filter(|_| !over()) {
        mine(mp);
    }
}

/// No thread can do anything any more, and the process has not said so: sysmon's clock is the
/// only one that still runs.
fn patience(now: u64) {
    if now > 2_000_000_000 && !over() {
        tell!("silent");
        stage2_sysmon::exit(3);
    }
}

fn scenario(case: &str, mine: &'static Stage) {
    let _ = MINE.set(mine.m_idle);
    let rows = Rows {
        sysmon_tick: patience,
        ..*rows_of(mine)
    };
    let stage: &'static Stage = Box::leak(Box::new(Stage {
        m_idle: watched,
        ..*with_rows(mine, rows)
    }));
    match case {
        "after you" | "locked" => {
            let locked = case == "locked";
            let procs = if locked { 2 } else { 1 };
            start(Runtime::new(stage).procs(procs), move || {
                let (there, back) = (Chan::new(0), Chan::new(0));
                let (give, take) = (back.clone(), there.clone());
                stage2_sysmon::go("polite", move || {
                    if locked {
                        lock_os_thread();
                    }
                    busy(200);
                    give.send("after you");
                    take.recv();
                });
                there.send("no, after you");
                back.recv();
            });
        }
        "in a call" => start(Runtime::new(stage).procs(1), || {
            let answer = Chan::new(0);
            let to = answer.clone();
            stage2_sysmon::go("caller", move || {
                syscall_block(|| rt::os::usleep(30_000));
                to.send(());
            });
            answer.recv();
            tell!("well");
        }),
        "asleep for a while" => start(Runtime::new(stage).procs(2), || {
            let crew = Crew::new();
            for ms in [3, 6, 9] {
                crew.go("sleeper", move || sleep(Duration::from_millis(ms)));
            }
            crew.wait();
            tell!("well");
        }),
        _ => start(Runtime::new(stage).procs(4), || {
            for _ in 0..2 {
                let crew = Crew::new();
                for _ in 0..10 {
                    crew.go("one_of_many", || busy(300));
                }
                crew.wait();
                nanosleep(Duration::from_millis(1));
            }
            tell!("well");
        }),
    }
}

fn last(run: &Run) -> usize {
    run.trace.events.len().saturating_sub(1)
}

fn reported(run: &Run) -> bool {
    run.err.contains("all goroutines are asleep")
}

/// Whether the process has to die in this case.
fn dies(case: &Case) -> bool {
    matches!(case.name, "after you" | "locked")
}

fn says_when_all_sleep(case: &Case, run: &Run) -> Result<(), Fault> {
    if run.says("silent").is_some() {
        let (rule, meaning) = match case.name {
            "locked" => (
                "locked",
                "A thread whose own goroutine sleeps is asleep too, and it is not on the idle list: it waits for that goroutine alone. Who counts it as awake waits for ever.",
            ),
            "after you" => (
                "silent",
                "Each thread that runs goroutines sleeps, so none of them will ever make one runnable. Count all threads; take away those that sleep, and those that never run goroutines.",
            ),
            _ => (
                "lost",
                "In this case a thread could always go on; this exercise is broken, please report it.",
            ),
        };
        return Err(Fault::new(
            rule,
            "No goroutine can ever run again, and the process says nothing and does not end.",
            meaning,
        )
        .at(last(run)));
    }
    Ok(())
}

fn only_then(case: &Case, run: &Run) -> Result<(), Fault> {
    if reported(run) && !dies(case) {
        let (rule, meaning) = match case.name {
            "in a call" => (
                "in-a-call",
                "A thread in a system call has no processor, and it is awake: the call will end, and its goroutine goes on. Count threads, and not processors.",
            ),
            "asleep for a while" => (
                "timer",
                "One thread sleeps until the next timer is due, and is not on the idle list: it is awake enough to wake the others.",
            ),
            _ => (
                "too-early",
                "As long as one thread can still do something, it can make a goroutine runnable.",
            ),
        };
        return Err(Fault::new(
            rule,
            "The process ended saying that all goroutines are asleep, and a thread was awake.",
            meaning,
        )
        .at(last(run)));
    }
    Ok(())
}

fn ends_as_it_should(case: &Case, run: &Run) -> Result<(), Fault> {
    // The runner's limit may cut the dump off that follows the words.
    if reported(run) && run.code.is_none_or(|code| code == 2) {
        return sound(run);
    }
    run.ended_well()?;
    sound(run)?;
    if dies(case) {
        return Err(Fault::new(
            "silent",
            "Every goroutine waits for another, and the process ended as if all were well.",
            "What cannot go on must not look as if it were done.",
        )
        .at(last(run)));
    }
    if run.says("well").is_none() {
        return Err(Fault::new(
            "lost",
            "The run ended before main was through.",
            "The count may end the process only when no thread can do anything any more.",
        )
        .at(last(run)));
    }
    Ok(())
}
