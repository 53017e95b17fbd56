// The exercises of stage 2 (what sysmon does, what a system call costs, and which threads are
// left), and what their judges share. Each has a folder beside this file.
//
// As in stage 1 behavior decides: which goroutine ran when, and how long others had to wait. The
// pieces are rows of the stage's own table, which travels in [`Stage::more`], or of stage
// 1's. What a row leans on beside its idea (sysmon's bit, the end of a run) stays with the
// helpers of its exercise.

use safepoint_testkit::trace::{Slice, SysCall, Trace};
#[doc(hidden)]
pub use stage2_sysmon as library;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, SCHED};
use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{Stage, WaitGroup, go};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

pub(crate) use crate::catalogue::with_rows;
pub(crate) use crate::stage1::{millis, sound, work};

/// The rows that stage 2 declares, as `stage` fills them.
pub(crate) fn rows_of(stage: &'static Stage) -> &'static Rows {
    static OURS: Rows = ROWS;
    let mut tables = stage.more.iter();
    tables.find_map(|t| t.downcast_ref()).unwrap_or(&OURS)
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

/// Goroutines that are waited for.
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
        // SAFETY: the scenarios call this on goroutines, and the waker finds it here,
        // where `lie_down` puts it.
        unsafe {
            rt::sched::gopark(
                Some(lie_down),
                bed,
                rt::trace::WaitReason::SyncWaitGroupWait,
            )
        };
    }

    /// The goroutine that sleeps here, if it counts as waiting already.
    pub(crate) fn sleeper(&self) -> Option<&'static G> {
        let gp = *self.0.get()?;
        (rt::gmp::readgstatus(gp) == rt::gmp::GWAITING).then_some(gp)
    }

    /// Makes the sleeper runnable, and puts it nowhere: that is the caller's business.
    pub(crate) fn wake(&self) -> Option<&'static G> {
        let gp = self.sleeper()?;
        rt::trace::go_unblock(gp);
        // SAFETY: it is in the bed, so it is off its M; and the scenario wakes it once.
        unsafe { rt::gmp::casgstatus::<{ rt::gmp::GWAITING }, { rt::gmp::GRUNNABLE }>(gp) };
        Some(gp)
    }
}

/// Whether so many Ps are idle, and no M looks for work.
pub(crate) fn calm(idle: u32) -> bool {
    SCHED.npidle.load(Relaxed) == idle && SCHED.searchers.count() == 0
}

/// Whether the run ends, or the process: then the stage's own pieces do what is left to do.
pub(crate) fn over() -> bool {
    SCHED
        .attention
        .has(rt::gmp::ATTENTION_STOP | rt::gmp::ATTENTION_FREEZE)
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
