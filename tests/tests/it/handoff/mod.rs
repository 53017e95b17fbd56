//! Stage 2's decisions as tables: to which M `handoffp` gives a P, when `retake` asks a
//! goroutine, and when it takes a P out of a call. Rows 38, 41, 42, 44 of the list of
//! mechanisms.
//!
//! The decisions are called by hand, with a made-up clock, while sysmon does nothing and new
//! Ms stand still before they look at anything. So what a decision has changed can be looked
//! at.

mod retake;

use crate::fixture::{my_p, on_stage, until};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, M, P, SCHED};
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

/// New Ms, but for sysmon, wait while this is up.
static HOLD: AtomicBool = AtomicBool::new(false);

fn hold(mp: &'static M) {
    (STAGE.minit)(mp);
    while mp.id.get() > 1 && HOLD.load(SeqCst) {
        std::thread::yield_now();
    }
}

/// Sysmon sleeps and does nothing else.
const QUIET: Rows = Rows {
    retake: |_| 0,
    ..ROWS
};
static STILL: Stage = Stage {
    minit: hold,
    more: &[&QUIET],
    ..STAGE
};

/// Makes a goroutine runnable that says so when it runs, and returns it instead of queueing
/// it. Nobody is woken for it.
fn a_goroutine(ran: &Arc<AtomicBool>) -> &'static G {
    let ran = ran.clone();
    SCHED.searchers.join();
    go("queued", move || ran.store(true, SeqCst));
    SCHED.searchers.leave();
    my_p().runq.get().expect("it was queued here").0
}

/// What became of a P that was handed off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Became {
    /// It stands on the idle list, and no M was made.
    Idle,
    /// An M was made for it, to run what there is.
    Started,
    /// An M was made for it, to look for work.
    Spinning,
}
use Became::*;

/// Looks at what `handoffp` has done with `pp`; before that there were `ms` Ms.
fn became(pp: &'static P, ms: usize, spinning_before: u32) -> Became {
    let sched = SCHED.lock();
    let started = sched.mnext > ms;
    let idle = std::iter::successors(sched.pidle, |p| p.link.get()).any(|p| std::ptr::eq(p, pp));
    drop(sched);
    let spinning_now = SCHED.searchers.count();
    if !started {
        assert!(idle, "nobody has it");
        assert_eq!(spinning_now, spinning_before);
        return Idle;
    }
    assert!(!idle);
    let mp = rt::gmp::allm().next().expect("the newest");
    assert!(mp.nextp.is(pp), "the M gets another P");
    let spinning = mp.spinning.load(SeqCst);
    assert_eq!(spinning_now, spinning_before + u32::from(spinning));
    if spinning { Spinning } else { Started }
}

/// A situation: how many other Ps are idle, whether somebody looks for work, and where work
/// is.
#[derive(Clone, Copy, Default)]
struct Situation {
    others_idle: usize,
    somebody_looks: bool,
    local: bool,
    global: bool,
}

/// Hands off a P in this situation, beside main's, which is in use.
fn handed_off(stage: &'static Stage, s: Situation) -> Became {
    on_stage(stage, 2 + s.others_idle, move || {
        HOLD.store(true, SeqCst);
        let pp = rt::sched::pidleget(&mut SCHED.lock()).expect("an idle P");
        let ran = Arc::new(AtomicBool::new(!s.local && !s.global));
        if s.local {
            rt::queues::runqput(pp, a_goroutine(&ran), false);
        }
        if s.global {
            let gp = a_goroutine(&ran);
            rt::queues::globrunqput(&mut SCHED.lock(), gp);
        }
        if s.somebody_looks {
            SCHED.searchers.join();
        }
        let ms = SCHED.lock().mnext;
        rt::arch::systemstack(|| rt::syscall::handoffp(pp));
        let became = became(pp, ms, u32::from(s.somebody_looks));
        if s.somebody_looks {
            SCHED.searchers.leave();
        }
        HOLD.store(false, SeqCst);
        // Whatever was queued runs.
        until(|| ran.load(SeqCst));
        became
    })
}

#[test]
fn a_p_that_is_handed_off_gets_an_m_exactly_if_there_is_something_for_it() {
    let none = Situation::default();
    let table = [
        // Work in its own queue comes first: the M need not look for any.
        (
            "local work",
            Situation {
                local: true,
                ..none
            },
            Started,
        ),
        (
            "local work, others idle",
            Situation {
                local: true,
                others_idle: 2,
                ..none
            },
            Started,
        ),
        (
            "local work, somebody looks",
            Situation {
                local: true,
                somebody_looks: true,
                ..none
            },
            Started,
        ),
        (
            "global work, others idle",
            Situation {
                global: true,
                others_idle: 1,
                ..none
            },
            Started,
        ),
        (
            "global work, nobody idle",
            Situation {
                global: true,
                ..none
            },
            Started,
        ),
        // No work: somebody should look for it, but one is enough.
        ("nobody looks, nobody is idle", none, Spinning),
        (
            "somebody looks",
            Situation {
                somebody_looks: true,
                ..none
            },
            Idle,
        ),
        (
            "another P is idle",
            Situation {
                others_idle: 1,
                ..none
            },
            Idle,
        ),
        (
            "both",
            Situation {
                others_idle: 1,
                somebody_looks: true,
                ..none
            },
            Idle,
        ),
    ];
    for (name, situation, want) in table {
        assert_eq!(handed_off(&STILL, situation), want, "{name}");
    }
}

#[test]
fn a_later_stage_s_reason_starts_an_m() {
    static WITH_A_REASON: Stage = Stage {
        more: &[&Rows {
            handoffp_gc: |_| true,
            ..QUIET
        }],
        ..STILL
    };
    let others_idle = Situation {
        others_idle: 1,
        ..Situation::default()
    };
    assert_eq!(handed_off(&WITH_A_REASON, others_idle), Started);
}

/// Between the first look at the global queue and the lock somebody puts a goroutine there.
#[test]
fn global_work_is_looked_for_again_under_the_lock() {
    static LATE: AtomicBool = AtomicBool::new(false);
    static RAN: AtomicBool = AtomicBool::new(false);
    fn too_late_for_the_first_look(_: &'static P) -> bool {
        if LATE.swap(false, SeqCst) {
            SCHED.searchers.join();
            let gp = my_p().runq.get().expect("main has queued it").0;
            rt::queues::globrunqput(&mut SCHED.lock(), gp);
            SCHED.searchers.leave();
        }
        false
    }
    static INTERRUPTED: Stage = Stage {
        more: &[&Rows {
            handoffp_gc: too_late_for_the_first_look,
            ..QUIET
        }],
        ..STILL
    };
    let became = on_stage(&INTERRUPTED, 3, || {
        HOLD.store(true, SeqCst);
        let pp = rt::sched::pidleget(&mut SCHED.lock()).expect("an idle P");
        SCHED.searchers.join();
        go("queued", || RAN.store(true, SeqCst));
        SCHED.searchers.leave();
        let ms = SCHED.lock().mnext;
        LATE.store(true, SeqCst);
        rt::arch::systemstack(|| rt::syscall::handoffp(pp));
        let became = became(pp, ms, 0);
        HOLD.store(false, SeqCst);
        until(|| RAN.load(SeqCst));
        became
    });
    assert_eq!(became, Started);
}

/// Main gives the last P in use away, in a call: if there is a timer and nobody sleeps for
/// it, somebody must.
#[test]
fn the_last_p_in_use_gets_an_m_if_nobody_sleeps_for_the_timers() {
    for (timer, want) in [(true, Started), (false, Idle)] {
        let became = on_stage(&STILL, 2, move || {
            HOLD.store(true, SeqCst);
            let never = timer.then(|| after(Duration::from_secs(3600)));
            let (pp, ms) = (my_p(), SCHED.lock().mnext);
            let became = syscall_block(|| became(pp, ms, 0));
            HOLD.store(false, SeqCst);
            assert!(never.is_none_or(|c| c.try_recv().is_err()));
            became
        });
        assert_eq!(became, want, "timer: {timer}");
    }
}
