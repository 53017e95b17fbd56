//! Stage 2's decisions as tables: to whom `handoffp` gives a P, when `retake` asks a
//! goroutine, and when it takes a P out of a call. Rows 38, 41, 42, 44 of the list of
//! mechanisms.
//!
//! The decisions are called by hand, with a made-up clock, while sysmon does nothing and new
//! Ms stand still before they look at anything. So what a decision has changed can be looked
//! at.

use crate::fixture::{my_p, on_stage, until};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, M, P, SCHED};
use stage2_sysmon::rt::sysmon::{FORCE_PREEMPT_NS, SYSCALL_NS};
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
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

// ---- handoffp.

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

// ---- retake: slices. The clock begins anywhere but at 0.

const T0: u64 = 7_000_000_000;

/// A goroutine on another P that comes to no check until it is told to end.
struct Busy {
    gp: &'static G,
    pp: &'static P,
    stop: Arc<AtomicBool>,
    done: WaitGroup,
}

/// Starts it.
fn busy() -> Busy {
    let there = Arc::new(std::sync::Mutex::new(None));
    let stop = Arc::new(AtomicBool::new(false));
    let done = WaitGroup::new();
    done.add(1);
    let (t, s, d) = (there.clone(), stop.clone(), done.clone());
    go("busy", move || {
        *t.lock().expect("no panic while it is held") = Some((rt::arch::getg(), my_p()));
        while !s.load(SeqCst) {
            std::hint::spin_loop();
        }
        d.done();
    });
    // A thief comes for it: we keep our P.
    let seen = || *there.lock().expect("no panic while it is held");
    until(|| seen().is_some());
    let (gp, pp) = seen().expect("it is there");
    Busy { gp, pp, stop, done }
}

impl Busy {
    fn asked(&self) -> bool {
        self.gp.preempt.load(SeqCst)
    }

    fn end(self) {
        self.stop.store(true, SeqCst);
        self.done.wait();
    }
}

#[test]
fn a_slice_begins_when_it_is_first_seen_and_is_over_ten_milliseconds_later() {
    on_stage(&STILL, 2, || {
        let busy = busy();
        let seen = rt::sysmon::sysmontick(busy.pp);
        for (round, t) in [T0, T0 + 1_000_000_000].into_iter().enumerate() {
            // However much time has passed: a slice that was not seen before begins now.
            assert_eq!(rt::sysmon::retake(t), 0);
            assert!(!busy.asked(), "round {round}");
            assert_eq!(seen.schedwhen.load(SeqCst), t);
            rt::sysmon::retake(t + FORCE_PREEMPT_NS - 1);
            assert!(!busy.asked(), "round {round}");
            rt::sysmon::retake(t + FORCE_PREEMPT_NS);
            assert!(busy.asked(), "round {round}");
            // Who does not hear it is asked again in each round.
            busy.gp.preempt.store(false, SeqCst);
            rt::sysmon::retake(t + FORCE_PREEMPT_NS + 20_000);
            assert!(busy.asked(), "round {round}");
            busy.gp.preempt.store(false, SeqCst);
            // Another goroutine would run now, for a slice of its own.
            busy.pp.schedtick.fetch_add(1, SeqCst);
        }
        busy.end();
    });
}

/// Whoever comes back from a call and finds another P idle goes on with the count of slices
/// that this P had: for sysmon its slice began when that P's last one did. Go's sysmon is as
/// wrong.
#[test]
fn who_comes_back_on_an_idle_p_inherits_its_slice() {
    on_stage(&STILL, 2, || {
        let busy = busy();
        let (other, me) = (busy.pp, rt::arch::getg());
        rt::sysmon::retake(T0);
        // Without a wait: main keeps its P, and the other one and its M fall asleep.
        busy.stop.store(true, SeqCst);
        until(|| SCHED.lock().nmidle == 1);

        let (back, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(2)),
        );
        let (b, a) = (back.clone(), asked.clone());
        SCHED.searchers.join();
        go("keeper", move || {
            until(|| b.load(SeqCst));
            // Main is back for a moment only; but its P's slice is ten milliseconds old.
            rt::sysmon::retake(T0 + FORCE_PREEMPT_NS);
            a.store(u32::from(me.preempt.load(SeqCst)), SeqCst);
        });
        SCHED.searchers.leave();
        // From inside the call: the keeper is in our P's queue, so the second look takes it.
        syscall(|| {
            assert_eq!(rt::sysmon::retake(T0 + 1), 0);
            assert_eq!(rt::sysmon::retake(T0 + 2), 1);
        });
        assert!(std::ptr::eq(my_p(), other), "the idle P was to be had");
        back.store(true, SeqCst);
        until(|| asked.load(SeqCst) != 2);
        assert_eq!(asked.load(SeqCst), 1);
    });
}

// ---- retake: calls.

/// The three conditions, for the P of main.
#[test]
fn a_p_in_a_call_is_taken_for_one_of_three_reasons() {
    static NO_THIEVES: Stage = Stage {
        stealwork: |_, _| None,
        ..STILL
    };
    let long = T0 + SYSCALL_NS;
    let short = long - 1;
    for (procs, looking, work, now, want) in [
        // Nothing to do, and somebody is there for new work: only a long call.
        (2, false, false, short, false),
        (2, false, false, long, true),
        (1, true, false, short, false),
        (1, true, false, long, true),
        (2, true, false, short, false),
        // Nobody is there: at once.
        (1, false, false, T0, true),
        // Work in its queue: at once.
        (2, false, true, T0, true),
        (1, true, true, T0, true),
        (1, false, true, T0, true),
    ] {
        let taken = on_stage(&NO_THIEVES, procs, move || {
            let pp = my_p();
            let seen = rt::sysmon::sysmontick(pp);
            seen.syscallwhen.store(T0, SeqCst);
            let ran = Arc::new(AtomicBool::new(!work));
            if work {
                rt::queues::runqput(pp, a_goroutine(&ran), false);
            }
            if looking {
                SCHED.searchers.join();
            }
            let taken = rt::sysmon::retake_syscall(pp, now);
            if looking {
                SCHED.searchers.leave();
            }
            while !ran.load(SeqCst) {
                gosched();
            }
            taken
        });
        let case = format!(
            "{procs} Ps, looking: {looking}, work: {work}, {} ns",
            now - T0
        );
        assert_eq!(taken, want, "{case}");
    }
}

/// Runs `f` on main's thread while main's P lies in a call, and nobody else has work.
fn in_a_call(procs: usize, f: impl FnOnce(&'static P) + Send + 'static) {
    on_stage(&STILL, procs, move || {
        let pp = my_p();
        syscall(|| {
            assert_eq!(pp.status.get(), rt::gmp::PSYSCALL);
            f(pp);
        });
        // Back, on one P or the other.
        assert_eq!(my_p().status.get(), rt::gmp::PRUNNING);
        gosched();
    });
}

#[test]
fn every_call_gets_a_whole_round() {
    // One P: nobody else is there, so the second look takes it.
    in_a_call(1, |pp| {
        let tick = rt::table::syscalltick(pp).get();
        assert_eq!(rt::sysmon::retake(T0), 0);
        assert_eq!(rt::sysmon::retake(T0 + 20_000), 1);
        assert_eq!(
            rt::table::syscalltick(pp).get(),
            tick + 1,
            "whose call it was can tell"
        );
        assert_ne!(pp.status.get(), rt::gmp::PSYSCALL);
        assert_eq!(rt::sysmon::retake(T0 + 40_000), 0, "it is taken once");
    });
    // Each look finds another call: its P is left alone, however long that goes on.
    in_a_call(2, |pp| {
        for look in 0..100 {
            // Every ten milliseconds the slice is another one, too.
            pp.schedtick.fetch_add(u32::from(look % 10 == 0), SeqCst);
            assert_eq!(rt::sysmon::retake(T0 + look * 1_000_000), 0, "look {look}");
            rt::table::syscalltick(pp).bump();
        }
    });
}

#[test]
fn an_idle_p_beside_it_keeps_a_p_in_its_call_for_ten_milliseconds() {
    in_a_call(2, |pp| {
        assert_eq!(rt::sysmon::retake(T0), 0);
        assert_eq!(rt::sysmon::retake(T0 + SYSCALL_NS - 1), 0);
        assert_eq!(pp.status.get(), rt::gmp::PSYSCALL);
        assert_eq!(rt::sysmon::retake(T0 + SYSCALL_NS), 1);
    });
}

/// When the slice is over, a call that was not seen before does not get its round: else a
/// goroutine with many short calls would keep its P for ever.
#[test]
fn a_slice_that_is_over_costs_a_new_call_its_round() {
    in_a_call(1, |pp| {
        assert_eq!(rt::sysmon::retake(T0), 0);
        rt::table::syscalltick(pp).bump();
        assert_eq!(rt::sysmon::retake(T0 + FORCE_PREEMPT_NS - 1), 0);
        rt::table::syscalltick(pp).bump();
        assert_eq!(rt::sysmon::retake(T0 + FORCE_PREEMPT_NS), 1);
    });
}

/// A P that was taken while its M is in the call is not main's any more, and main queues; one
/// that nobody has taken is there.
#[test]
fn a_p_that_is_taken_has_another_m_at_once() {
    on_stage(&STILL, 1, || {
        let (ran, pp) = (Arc::new(AtomicBool::new(false)), my_p());
        let r = ran.clone();
        go("other", move || r.store(true, SeqCst));
        syscall(|| {
            assert_eq!(rt::sysmon::retake(T0), 0);
            assert!(!ran.load(SeqCst));
            assert_eq!(rt::sysmon::retake(T0 + 20_000), 1);
            until(|| ran.load(SeqCst));
        });
        assert!(std::ptr::eq(my_p(), pp), "the only one");
    });
}
