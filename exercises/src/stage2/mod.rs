//! The exercises of stage 2: what sysmon does, what a system call costs, and who is left.
//! For each its scenarios, and a judge that looks at what a run of one showed.
//!
//! As in stage 1 behaviour decides: who ran when, and for how long somebody had to wait. The
//! pieces are rows of the stage's own table, which travels in [`Stage::more`], or of stage
//! 1's. What a row leans on beside its idea (sysmon's bit, the end of a run) stays with the
//! helpers of its exercise.

pub mod check_dead;
pub mod exit_syscall;
pub mod handoff;
pub mod inject_list;
pub mod retake_slice;
pub mod stuck_processor;
pub mod sysmon_sleep;
pub mod three_conditions;

use crate::attempt::Exercise;
use safepoint_testkit::trace::{Slice, SysCall, Trace};
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, SCHED};
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{Stage, WaitGroup, go};
use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) use crate::stage1::{millis, sound, work};

/// Every exercise of this stage, in the order of the book.
pub(crate) const ALL: &[&Exercise] = &[
    &sysmon_sleep::EXERCISE,
    &retake_slice::EXERCISE,
    &three_conditions::EXERCISE,
    &handoff::EXERCISE,
    &exit_syscall::EXERCISE,
    &inject_list::EXERCISE,
    &check_dead::EXERCISE,
    &stuck_processor::EXERCISE,
];

/// The rows that stage 2 declares, as `stage` fills them.
pub(crate) fn rows_of(stage: &'static Stage) -> &'static Rows {
    static OURS: Rows = ROWS;
    let mut tables = stage.more.iter();
    tables.find_map(|t| t.downcast_ref()).unwrap_or(&OURS)
}

/// `stage` with other rows of stage 2.
pub(crate) fn with_rows(stage: &Stage, rows: Rows) -> &'static Stage {
    let table: &'static (dyn Any + Send + Sync) = Box::leak(Box::new(rows));
    Box::leak(Box::new(Stage {
        more: Box::leak(Box::new([table])),
        ..*stage
    }))
}

/// Computes for as many microseconds, with a guard check every 20.
pub(crate) fn busy(us: u64) {
    for _ in 0..us.div_ceil(20) {
        work(20_000);
    }
}

/// Computes until `f` holds.
pub(crate) fn busy_until(f: impl Fn() -> bool) {
    while !f() {
        work(20_000);
    }
}

/// Goroutines that somebody waits for.
#[derive(Clone)]
pub(crate) struct Crew(WaitGroup);

impl Crew {
    pub(crate) fn new() -> Crew {
        Crew(WaitGroup::new())
    }

    /// Starts one more.
    pub(crate) fn go(&self, name: &'static str, f: impl FnOnce() + Send + 'static) {
        self.0.add(1);
        let all = self.0.clone();
        go(name, move || {
            f();
            all.done();
        });
    }

    /// Parks until all are done.
    pub(crate) fn wait(&self) {
        self.0.wait();
    }
}

/// A place where one goroutine sleeps until a scenario makes it runnable by hand, and puts
/// it where it likes.
pub(crate) struct Bed(OnceLock<&'static G>);

impl Bed {
    pub(crate) const fn new() -> Bed {
        Bed(OnceLock::new())
    }

    /// Parks the calling goroutine.
    pub(crate) fn sleep(&self) {
        fn lie_down(gp: &'static G, bed: *mut ()) -> bool {
            // SAFETY: `sleep` passes its bed, which it borrows until it is woken.
            let _ = unsafe { (*bed.cast::<Bed>()).0.set(gp) };
            true
        }
        let bed = std::ptr::from_ref(self).cast_mut().cast::<()>();
        // SAFETY: the scenarios call this on goroutines, and whoever wakes it finds it here,
        // where `lie_down` puts it.
        unsafe {
            rt::sched::gopark(
                Some(lie_down),
                bed,
                rt::trace::WaitReason::SyncWaitGroupWait,
            )
        };
    }

    /// Who sleeps here, if it counts as waiting already.
    pub(crate) fn sleeper(&self) -> Option<&'static G> {
        let gp = *self.0.get()?;
        (rt::gmp::readgstatus(gp) == rt::gmp::GWAITING).then_some(gp)
    }

    /// Makes the sleeper runnable, and puts it nowhere: that is the caller's business.
    pub(crate) fn wake(&self) -> Option<&'static G> {
        let gp = self.sleeper()?;
        rt::trace::go_unblock(gp);
        // SAFETY: it lies in the bed, so it is off its M; and the scenario wakes it once.
        unsafe { rt::gmp::casgstatus::<{ rt::gmp::GWAITING }, { rt::gmp::GRUNNABLE }>(gp) };
        Some(gp)
    }
}

/// Whether so many Ps are idle, and nobody looks for work.
pub(crate) fn calm(idle: u32) -> bool {
    SCHED.npidle.load(Relaxed) == idle && SCHED.nmspinning.load(Relaxed) == 0
}

/// Whether the run ends, or the process: then the stage's own pieces do what is left to do.
pub(crate) fn over() -> bool {
    SCHED.attention.load(Relaxed) & (rt::gmp::ATTENTION_STOP | rt::gmp::ATTENTION_FREEZE) != 0
}

/// A helper may take the scheduler's lock, so its caller must not hold it.
pub(crate) fn without_lock(helper: &'static str) {
    if rt::stack::why_not_preempt_m(rt::arch::getm()) == Some("locks") {
        rt::last_words::throw_args(format_args!(
            "{helper}: the caller holds the scheduler's lock"
        ));
    }
}

/// The system calls of goroutine `name`, in order.
pub(crate) fn calls(trace: &Trace, name: &str) -> Vec<SysCall> {
    trace.calls(trace.goroutine(name))
}

/// All slices, in the order in which they began.
pub(crate) fn slices(trace: &Trace) -> Vec<Slice> {
    trace.slices()
}

/// Microseconds from one event to another, if there is one.
pub(crate) fn from_to(trace: &Trace, from: usize, to: Option<usize>) -> Option<u64> {
    trace.from_to(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PLANNED, Socket};
    use stage2_sysmon::STAGE;
    use stage2_sysmon::rt::gmp::{M, P};
    use stage2_sysmon::rt::sched::Next;

    // The proof that a learner's function fits: these do not build if a signature changes.
    fn sysmon_sleep(idle: u32, delay: u32) -> u32 {
        (ROWS.sysmon_delay)(idle, delay)
    }
    fn retake_slice(now: u64) -> u32 {
        (ROWS.retake)(now)
    }
    fn three_conditions(pp: &'static P, now: u64) -> bool {
        (ROWS.retake_syscall)(pp, now)
    }
    fn handoff(pp: &'static P) {
        (STAGE.handoffp)(pp);
    }
    fn exit_syscall(gp: &'static G) -> Next {
        (ROWS.exitsyscall_slow)(gp)
    }
    fn inject_list(list: &[&'static G]) {
        (ROWS.injectglist)(list);
    }
    fn check_dead(mp: &'static M) {
        (STAGE.m_idle)(mp);
    }

    const MINE: Rows = Rows {
        sysmon_delay: sysmon_sleep,
        retake: retake_slice,
        retake_syscall: three_conditions,
        exitsyscall_slow: exit_syscall,
        injectglist: inject_list,
        ..ROWS
    };
    static FITTED: Stage = Stage {
        handoffp: handoff,
        m_idle: check_dead,
        more: &[&MINE],
        ..STAGE
    };

    #[test]
    fn every_row_exercise_of_stage_2_is_fitted() {
        let rows = rows_of(&FITTED);
        let address = |name: &str| match name {
            "sysmon_delay" => (rows.sysmon_delay as usize, ROWS.sysmon_delay as usize),
            "retake" => (rows.retake as usize, ROWS.retake as usize),
            "retake_syscall" => (rows.retake_syscall as usize, ROWS.retake_syscall as usize),
            "handoffp" => (FITTED.handoffp as usize, STAGE.handoffp as usize),
            "exitsyscall_slow" => (
                rows.exitsyscall_slow as usize,
                ROWS.exitsyscall_slow as usize,
            ),
            "injectglist" => (rows.injectglist as usize, ROWS.injectglist as usize),
            "m_idle" => (FITTED.m_idle as usize, STAGE.m_idle as usize),
            other => panic!("{other} has no piece here"),
        };
        for e in PLANNED.iter().filter(|e| e.stage == 2) {
            let Socket::Row(row) = e.socket else { continue };
            let (mine, theirs) = address(row);
            assert_ne!(mine, theirs, "{}", e.name);
            let exercise = ALL.iter().find(|x| x.name == e.name);
            assert_eq!(exercise.and_then(|x| x.row), Some(row), "{}", e.name);
        }
    }

    #[test]
    fn other_rows_stay_as_they_are() {
        let rows = Rows {
            sysmon_tick: |_| {},
            ..ROWS
        };
        let stage = with_rows(&FITTED, rows);
        assert_eq!(stage.handoffp as usize, FITTED.handoffp as usize);
        assert_eq!(
            rows_of(stage).retake as usize,
            ROWS.retake as usize,
            "the last table counts"
        );
    }
}
