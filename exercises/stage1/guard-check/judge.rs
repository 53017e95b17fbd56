// The guard comparison, and why a request is -1314. Alone: measured against `prologue!`.

use super::{all_heard, sound, with, work};
use crate::attempt::{Case, Fault, Judge, Kind, Run, start, tell};
use stage1_coop::rt;
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::sched::Next;
use stage1_coop::{Runtime, STAGE, Stage, ThirdParty, WaitGroup, go, prologue, spin};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use std::time::Duration;

/// What the learner writes.
#[derive(Clone, Copy)]
struct Work {
    /// Whether the slow path must be taken, for this stack pointer and guard.
    must_look: fn(sp: usize, guard: usize) -> bool,
    /// What is stored as the guard to ask for a yield.
    request: usize,
}

/// The judge.
pub(crate) const JUDGE: Judge = Judge {
    kind: Kind::Rust(&[
        |_, run| run.ended_well(),
        two_loops_are_heard,
        compares_as_the_real_check,
        sees_the_real_request,
        the_request_is_fit,
    ]),
    compare: true,
    cases: &[
        Case {
            name: "against the real check",
            what: "your comparison beside the three instructions, for many guards",
            procs: 1,
            seeds: &[],
        },
        Case {
            name: "two loops",
            what: "two loops on one processor run with your comparison; a request every 10 ms",
            procs: 1,
            seeds: &[1, 2],
        },
    ],
    reference: |case| scenario(case, REFERENCE),
};

const REFERENCE: Work = Work {
    must_look: |sp, guard| sp <= guard,
    request: rt::stack::STACK_PREEMPT,
};

static WORK: OnceLock<Work> = OnceLock::new();

/// The `main` of an attempt.
pub fn attempt(must_look: fn(usize, usize) -> bool, request: usize) {
    let work = Work { must_look, request };
    crate::attempt::enter(|case| scenario(case, work));
}

fn scenario(case: &str, work: Work) {
    let _ = WORK.set(work);
    match case {
        "two loops" => two_loops(),
        _ => against_the_real_check(),
    }
}

fn mine() -> Work {
    *WORK.get().unwrap_or(&REFERENCE)
}

/// Times that the real check took the slow path.
static ENTERED: AtomicU32 = AtomicU32::new(0);
/// The guard to put back.
static GUARD: AtomicUsize = AtomicUsize::new(0);

/// A `newstack` that counts and puts the guard back.
fn count(gp: &'static G) -> Next {
    ENTERED.fetch_add(1, Relaxed);
    gp.stackguard0.store(GUARD.load(Relaxed), Relaxed);
    Some(gp)
}

/// Stores a guard, passes the real check once, and says whether it took the slow path; and
/// with which stack pointer.
#[inline(never)]
fn probe(guard: impl Fn(usize) -> usize) -> (usize, usize, bool) {
    let gp = rt::arch::getg();
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags))
    };
    let before = ENTERED.load(Relaxed);
    let guard = guard(sp);
    gp.stackguard0.store(guard, Relaxed);
    prologue!();
    gp.stackguard0.store(GUARD.load(Relaxed), Relaxed);
    (sp, guard, ENTERED.load(Relaxed) != before)
}

fn against_the_real_check() {
    const COUNTING: &Stage = &Stage {
        newstack: count,
        ..STAGE
    };
    start(Runtime::new(COUNTING).procs(1), || {
        GUARD.store(rt::arch::getg().stackguard0.load(Relaxed), Relaxed);
        let Work { must_look, request } = mine();
        tell!("request {request:#x}");
        let offsets = [-65536, -4096, -928, -16, -8, -1, 0, 1, 8, 16, 4096, 65536];
        for offset in offsets {
            let (sp, guard, real) = probe(|sp| sp.wrapping_add_signed(offset));
            if must_look(sp, guard) != real {
                tell!("wrong {} {offset}", if real { "slow" } else { "fast" });
                break;
            }
        }
        let (sp, guard, _) = probe(|_| rt::stack::STACK_PREEMPT);
        tell!("sees-the-real-request {}", must_look(sp, guard));
        tell!("sees-its-own-request {}", must_look(sp, request));
        let (_, _, real) = probe(|_| request);
        tell!("the-real-check-sees-it {real}");
    });
}

/// A function with the learner's comparison where Go's compiler puts its own.
#[inline(never)]
fn checked_work() {
    let gp = rt::arch::getg();
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags))
    };
    if (mine().must_look)(sp, gp.stackguard0.load(Relaxed)) {
        // The slow path; the real check leads there.
        prologue!();
    }
    std::hint::black_box(spin(100_000));
}

fn two_loops() {
    fn four_times(me: &mut ThirdParty) {
        for _ in 0..3 {
            if !me.sleep(Duration::from_millis(10)) {
                return;
            }
            me.raise_the_flag();
        }
    }
    with(&STAGE, four_times, || {
        let all = WaitGroup::new();
        for name in ["loop_a", "loop_b"] {
            all.add(1);
            let all = all.clone();
            go(name, move || {
                for _ in 0..180 {
                    checked_work();
                }
                all.done();
            });
        }
        all.wait();
        work(0);
    });
}

fn two_loops_are_heard(case: &Case, run: &Run) -> Result<(), Fault> {
    if case.name == "two loops" {
        sound(run)?;
        all_heard(run)?;
    }
    Ok(())
}

fn compares_as_the_real_check(_: &Case, run: &Run) -> Result<(), Fault> {
    if let Some(wrong) = run.says("wrong") {
        let (path, offset) = wrong.split_once(' ').unwrap_or((wrong, "0"));
        let offset: i64 = offset.parse().unwrap_or(0);
        let place = match offset {
            0 => "at the stack pointer".to_owned(),
            n if n < 0 => format!("{} bytes below the stack pointer", -n),
            n => format!("{n} bytes above the stack pointer"),
        };
        return Err(if path == "fast" {
            Fault::new(
                "too-often",
                format!(
                    "With the guard {place} there is room, and your comparison takes the slow path."
                ),
                "Each call would save all registers and go to the scheduler's stack, for nothing.",
            )
        } else if offset == 0 {
            Fault::new(
                "equal",
                "With the guard exactly at the stack pointer the real check takes the slow path, and yours does not.",
                "The guard is the lowest address that may be in use; a stack pointer that has reached it has no room left.",
            )
        } else {
            Fault::new(
                "too-rarely",
                format!("With the guard {place} there is no room, and your comparison goes on."),
                "The function would write below its stack, into whatever is there.",
            )
        });
    }
    Ok(())
}

fn sees_the_real_request(_: &Case, run: &Run) -> Result<(), Fault> {
    if run.says("sees-the-real-request") == Some("false") {
        return Err(Fault::new(
            "signed",
            "The guard is -1314, a request, and your comparison goes on.",
            "As an unsigned number -1314 is larger than every address; as a signed one it is smaller than all of them.",
        ));
    }
    Ok(())
}

fn the_request_is_fit(_: &Case, run: &Run) -> Result<(), Fault> {
    let Some(request) = run.says("request") else {
        return Ok(());
    };
    let request = usize::from_str_radix(request.trim_start_matches("0x"), 16).unwrap_or(0);
    if request == rt::stack::STACK_FORK {
        return Err(Fault::new(
            "fork",
            "Your request is -1234, which says that a fork is in progress.",
            "newstack would end the process: two meanings need two numbers.",
        ));
    }
    if request < 1 << 63 || run.says("the-real-check-sees-it") != Some("true") {
        return Err(Fault::new(
            "request-too-small",
            format!(
                "Your request is {request:#x}; a stack pointer may be above it, and then no check sees it."
            ),
            "A request must be larger than every stack pointer there can be, so that the ordinary comparison fails.",
        ));
    }
    if run.says("sees-its-own-request") == Some("false") {
        return Err(Fault::new(
            "own-request",
            "Your comparison does not see your own request.",
            "A raised flag would never be noticed.",
        ));
    }
    Ok(())
}
