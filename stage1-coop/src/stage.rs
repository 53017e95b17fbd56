//! The stage table: one row for every place where Go's scheduler takes a decision that a
//! later chapter changes.
//!
//! A stage is a constant of this type: the stage before, with some rows replaced. So the
//! constant is the table of contents of what a stage adds. The same rows are the sockets of
//! the exercises: write one function, plug it in with `Stage { row: mine, ..STAGE }`, and
//! the real runtime runs with it.
//!
//! Rows are cold. The guard check, the queue's put and get, the switch and the fast way
//! through `schedule` never look here.
//!
//! Tests: `printed::the_stage_table_is_the_recorded_one`, `trace_of::stage_and_third_party`,
//! `last_words::panics::a_panic_on_g0_ends_the_process_as_a_throw`.

use crate::gmp::{G, M, P};
use crate::order::Order;
use safepoint_trace::Kinds;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering::*};

/// What `newstack` and its like answer: the goroutine to go on with at once, or `None` to
/// ask `schedule`.
pub type Next = Option<&'static G>;

/// What a row found that `schedule` or `findrunnable` asked.
pub enum Slow {
    /// Nothing that concerns this M: go on.
    Continue,
    /// Something was done; ask again from the start.
    Again,
    /// Run this goroutine.
    Run(&'static G),
    /// The run is over: this M leaves.
    Over,
}

/// How the sleep of a thread of the runtime's ended.
#[must_use = "a thread leaves when the run is over"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// It was woken for what it does; an M has a P.
    Up,
    /// The run is over: this thread leaves.
    Over,
}

/// A key of `GODEBUG`. Each stage registers the ones that it reads.
pub struct GodebugKey {
    /// Go's name.
    pub name: &'static str,
    /// A value, a colon, and what that does: a row of README's table.
    pub doc: &'static str,
    /// Its value; 0 unless it is set.
    pub value: AtomicI64,
}

macro_rules! stage_table {
    ($( $(#[doc = $doc:literal])+ $name:ident $go:literal : $ty:ty; )+) => {
        /// The decisions of a stage, one row each. Each row is named by the Go function
        /// that it stands for.
        #[derive(Clone, Copy)]
        pub struct Stage {
            /// Name of the crate that the constant stands for; traces print it.
            pub name: &'static str,
            $( $(#[doc = $doc])+ pub $name: $ty, )+
            /// Reasons to wait that later stages add to Go's list, as dumps and traces print
            /// them: the names of `WaitReason::Later0` and its neighbors. No row.
            pub wait_reasons: &'static [&'static str],
            /// Those of them that Go's tracer calls otherwise, with its name. No row.
            pub wait_reasons_traced: &'static [(&'static str, &'static str)],
            /// The kinds of events that its trace may hold, one list from each stage. No row.
            pub kinds: Kinds,
            /// The keys of `GODEBUG` that this stage reads, and those before it. No row.
            pub godebug: fn() -> &'static [&'static GodebugKey],
            /// Tables that later stages declare for themselves and their successors: each
            /// stage that has rows of its own adds one, found by its type.
            pub more: &'static [&'static (dyn std::any::Any + Send + Sync)],
        }

        impl Stage {
            /// Every row: its name, the Go function, what it decides, and the function that
            /// fills it, as an address to compare with an earlier stage's.
            pub fn rows(&self) -> Vec<Row> {
                vec![ $( Row {
                    name: stringify!($name),
                    go: $go,
                    doc: concat!($($doc),+).trim_ascii(),
                    address: self.$name as *const () as usize,
                }, )+ ]
            }
        }
    };
}

/// One row of a stage's table, for printing.
#[derive(Clone, Debug)]
pub struct Row {
    /// The row's name.
    pub name: &'static str,
    /// The Go function that it stands for.
    pub go: &'static str,
    /// What calls it, and when.
    pub doc: &'static str,
    /// The function that fills it.
    pub address: usize,
}

stage_table! {
    /// Called by the first goroutine before the user's `main`. Here: nothing.
    main_start "runtime.main": fn();
    /// Called on a new M, on its own thread, before it does anything else. Here: nothing.
    minit "minit": fn(&'static M);
    /// Called when an M's thread leaves the runtime. Here: nothing.
    unminit "unminit": fn(&'static M);
    /// Called on `g0` when a guard check failed; decides between preemption and growth.
    newstack "newstack": fn(&'static G) -> Next;
    /// Called on `g0` when a goroutine heeds a request to yield: by `newstack` here.
    preempted "gopreempt_m": fn(&'static G) -> Next;
    /// Called by `preemptone` once the flag is up, with the M that should notice. Here:
    /// nothing; the flag must be found.
    preempt_m "preemptM": fn(&'static M);
    /// Called when the last lock of an M is given back while its goroutine is asked to
    /// yield: raises the flag again that a refusal took down.
    releasem_slow "releasem": fn(&'static G);
    /// Called by `schedule` when `sched.attention` is not 0. Here: the run may be over.
    schedule_slow "schedule": fn(&'static M) -> Slow;
    /// Called by `casgstatus` when the state is not the expected one. Here: it aborts.
    casgstatus_contended "casgstatus": fn(&'static G, u32, u32);
    /// Called when a P's ring is full, with half of it and the new goroutine, oldest first.
    runqputslow "runqputslow": fn(&'static P, &[&'static G]);
    /// Called by a thief for each victim: moves half of its ring to the thief's; returns
    /// how many. The last argument says whether `runnext` may be taken too.
    runqgrab "runqgrab": fn(&'static P, &'static P, u32, bool) -> u32;
    /// Called by `findrunnable` when both queues are empty: visits the other Ps in `order`.
    stealwork "stealWork": fn(&'static P, Order) -> Option<(&'static G, bool)>;
    /// Called by `findrunnable` before stealing: goroutines that became runnable outside.
    /// Here: none.
    poll "netpoll": fn(&'static P) -> Option<&'static G>;
    /// Called by `schedule` and `findrunnable` when their P's `attention` is not 0, before
    /// they look at its queue. Here: never.
    p_slow "checkTimers": fn(&'static P);
    /// Called by `findrunnable` when nothing was found and the P is given up: the M has none
    /// any more, and a row that wants it to go on must take a P first. `Continue` lets the M
    /// sleep, `Again` searches once more. Here: it sleeps.
    before_stopm "findrunnable": fn(&'static M) -> Slow;
    /// Called when the run is over: an M may sleep where its note does not wake it. Here:
    /// none does.
    poll_break "netpollBreak": fn();
    /// Called, under no lock, after an M was put on the idle list, has begun to wait for the
    /// goroutine that is locked to it, or has ended. Here: nothing.
    m_idle "checkdead": fn(&'static M);
    /// Called with a P that its M cannot use: starts another M, or puts it on the idle list.
    handoffp "handoffp": fn(&'static P);
    /// Called by `throw`, after the message: what else to print. Here: all goroutines.
    throw_dump "dopanic_m": fn();
}

/// The table of the run; null before the first one.
static STAGE: AtomicPtr<Stage> = AtomicPtr::new(std::ptr::null_mut());

/// The table of the run: what its stage decides.
///
/// # Panics
/// Before the first run of the process.
#[inline]
pub fn stage() -> &'static Stage {
    // SAFETY: null, or set from a `&'static Stage`.
    match unsafe { STAGE.load(Relaxed).as_ref() } {
        Some(stage) => stage,
        None => no_run(),
    }
}

#[cold]
#[inline(never)]
fn no_run() -> ! {
    panic!("the stage's table is asked for before the first run")
}

pub(crate) fn set_stage(stage: &'static Stage) {
    STAGE.store(std::ptr::from_ref(stage).cast_mut(), SeqCst);
}

/// Prints the table of `stage` as Markdown: each row, and which of `stages` (earliest first)
/// supplies it.
pub fn table(stages: &[&Stage]) -> String {
    use std::fmt::Write;
    let mut out = String::from(
        "| row | stands for Go's | supplied by | what it decides |\n|---|---|---|---|\n",
    );
    let Some(last) = stages.last() else {
        return out;
    };
    for (i, row) in last.rows().iter().enumerate() {
        // The earliest stage from which on the function did not change.
        let supplier = stages
            .iter()
            .rev()
            .take_while(|s| s.rows()[i].address == row.address)
            .last()
            .map_or(last.name, |s| s.name);
        let _ = writeln!(
            out,
            "| `{}` | `{}` | {} | {} |",
            row.name, row.go, supplier, row.doc
        );
    }
    out
}
