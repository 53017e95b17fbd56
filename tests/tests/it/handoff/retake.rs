//! When `retake` asks a goroutine, and when it takes a P out of a call. The clock begins anywhere
//! but at 0.

use super::{STILL, a_goroutine};
use crate::fixture::{my_p, on_stage, until};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, P, SCHED};
use stage2_sysmon::rt::sysmon::{FORCE_PREEMPT_NS, SYSCALL_NS};
use stage2_sysmon::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

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
