//! The exercises of the book: the plan, and the runner.
//!
//! The learner takes one piece out of the scheduler, writes it, and sees the trace come
//! right. [`PLANNED`] is the plan of all stages, and the test of the stage table: each piece
//! must find its socket. The exercises of a stage that is written stand in a module of their
//! own ([`stage1`], [`stage2`]): scenarios, and judges that look at what a run showed. [`catalogue`]
//! holds their texts, [`runner`] builds, runs, judges and explains, and `main.rs` is the
//! command line.
//!
//! A row of the table is the usual socket: `Stage { row: mine, ..STAGE }` runs the real
//! runtime with the learner's function. A piece on a hot path has no row and stands alone.
//! Some exercises have no code in the scheduler at all: the learner reads a trace, or
//! records one.
//!
//! The learner's files lie in `work/`, which does not belong to the repository: the runner
//! copies a starter there, and `reset` does it again. `checks/` holds one target for each
//! exercise that is code: the learner's file, plugged into its socket.
//!
//! Nothing of Go corresponds to this crate. `ARCHITECTURE.md` prints the plan with the
//! signatures.

pub mod attempt;
pub mod catalogue;
pub mod runner;
pub mod stage1;
pub mod stage2;

/// One planned exercise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The stage whose chapter brings it.
    pub stage: u8,
    /// Its name on the command line.
    pub name: &'static str,
    /// What the learner understands afterwards.
    pub idea: &'static str,
    /// Where the learner's piece is plugged in.
    pub socket: Socket,
}

/// Where the learner's piece is plugged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Socket {
    /// The row of the stage table with this name.
    Row(&'static str),
    /// Nowhere: it stands alone, measured against this type or function of the stage.
    Alone(&'static str),
    /// A trace that the learner reads or records.
    Trace,
}

/// A row that a later stage will declare in addition to the table of stage 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaterRow {
    /// The stage that declares it.
    pub stage: u8,
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub decides: &'static str,
}

macro_rules! list {
    ($t:ident $($stage:literal $name:literal $text:literal $($socket:expr)?;)+) => {
        &[$(list!(@one $t $stage $name $text $($socket)?)),+]
    };
    (@one Planned $stage:literal $name:literal $idea:literal $socket:expr) => {
        Planned { stage: $stage, name: $name, idea: $idea, socket: $socket }
    };
    (@one LaterRow $stage:literal $name:literal $decides:literal) => {
        LaterRow { stage: $stage, name: $name, decides: $decides }
    };
}

use Socket::{Alone, Row, Trace};

/// Every exercise that is planned, in the order of the book.
#[rustfmt::skip]
pub const PLANNED: &[Planned] = list![Planned
    1 "read-a-trace" "A trace says who ran when, on which processor, and why it stopped." Trace;
    1 "guard-check" "One comparison asks for stack and for preemption; why -1314 is above every stack." Alone("stage1_coop::prologue!");
    1 "sticky-flag" "A refused request is kept, and the end of the section raises the flag again." Row("releasem_slow");
    1 "newstack-order" "First what would be a bug, then the request, and only then the stack." Row("newstack");
    1 "half-plus-one" "A full ring gives half of itself, and the one that did not fit, to everybody." Row("runqputslow");
    1 "every-61st" "A rare look at the global queue keeps two goroutines from starving all others." Alone("stage1_coop::rt::sched::GLOBAL_EVERY");
    1 "steal-half" "A thief takes half, rounded up, and leaves runnext alone until the end." Row("runqgrab");
    1 "lost-wakeup" "A goroutine counts as waiting before the lock goes, or its waker comes too early." Alone("stage1_coop::rt::sched::gopark");
    1 "find-the-bug" "A planted bug shows in the trace before it shows anywhere else." Trace;
    1 "snapshot-your-own" "A schedule can be a snapshot, if nothing in it is the compiler's." Trace;
    2 "sysmon-sleep" "Watch closely while there is work, and hardly at all when there is none." Row("sysmon_delay");
    2 "retake-slice" "Ten milliseconds is a threshold that a sampler checks, so slices are longer." Row("retake");
    2 "three-conditions" "When a P in a system call is worth taking away." Row("retake_syscall");
    2 "handoff" "Each reason why a P that its M cannot use needs another M, in order." Row("handoffp");
    2 "exit-syscall" "The old P, then any idle P, then the global queue." Row("exitsyscall_slow");
    2 "inject-list" "Who may run at once, and who goes to which queue." Row("injectglist");
    2 "check-dead" "All goroutines are asleep when nobody is left who could wake one." Row("m_idle");
    2 "stuck-processor" "A call that nobody was told of keeps its processor, and the trace shows it." Trace;
    3 "signal-stack" "A handler needs a stack of its own, on every thread." Row("minit");
    3 "one-in-flight" "A second signal while the first is under way is a storm." Row("preempt_m");
    3 "want-it" "A signal without a request must change nothing." Row("want_async_preempt");
    3 "is-it-safe" "Each reason to refuse, and what breaks without it." Row("is_async_safe_point");
    3 "push-call" "Making the goroutine believe that it called, below the red zone." Row("push_call");
    3 "trampoline" "Every register, every flag, and back." Row("async_preempt");
    3 "eintr" "A system call that a signal interrupts is made again." Alone("a read from a pipe");
    3 "refused-again" "Which refusal led to which second try, found from the trace." Trace;
    4 "park-or-yield" "Stopping until somebody says go is not the same as giving way." Row("preempted");
    4 "wait-for-the-scan-bit" "A change of state waits while somebody holds the goroutine still." Row("castatus_contended");
    4 "stop-here" "What an M does when it finds the world stopping." Row("schedule_slow");
    4 "suspend-g" "One way to hold a goroutine still from each of its states." Row("suspend_g");
    4 "stop-the-world" "Ask, wait a little, ask again." Row("stop_the_world_wait");
    4 "conservative-scan" "What may be a pointer is one." Row("scanstack");
    4 "insertion-barrier" "No black object gets a white one unseen." Alone("stage4_gc_safepoints::GcCell::set");
    4 "who-was-late" "Who delayed the stop, and by how much, found from the trace." Trace;
];

/// Every row that later stages will declare for themselves, their successors and the
/// exercises.
#[rustfmt::skip]
pub const LATER_ROWS: &[LaterRow] = list![LaterRow
    2 "syscall_slow" "What entering and leaving a system call looks at when something is pending.";
    2 "sysmon_tick" "The jobs of one round of sysmon beside retake.";
    2 "procresize" "What else happens when the number of Ps changes.";
    2 "handoffp_gc" "The collector's reasons to start an M for a P.";
    2 "sysmon_delay" "How long sysmon sleeps after this many idle rounds.";
    2 "retake" "Which goroutines have run too long, and which Ps are stuck in a system call.";
    2 "retake_syscall" "Whether to take the P of a system call.";
    2 "exitsyscall_slow" "Where a goroutine goes that comes back from a system call and finds its P gone.";
    2 "injectglist" "Which queue gets goroutines that became runnable outside.";
    3 "want_async_preempt" "Whether a signal means a request.";
    3 "is_async_safe_point" "Whether a goroutine may be stopped at this instruction, and why not.";
    3 "push_call" "How the interrupted context is changed into a call.";
    3 "async_preempt" "What it calls.";
    4 "suspend_g" "How a goroutine is held still.";
    4 "stop_the_world_wait" "How the stopper waits for the others.";
    4 "scanstack" "What in a stopped goroutine's stack counts as a pointer.";
];

#[cfg(test)]
mod tests {
    use super::*;
    use stage1_coop::rt::gmp::{G, P};
    use stage1_coop::rt::sched::Next;
    use stage1_coop::{STAGE, Stage};
    use std::collections::HashSet;

    #[test]
    fn every_row_exists_or_is_declared_by_its_stage() {
        let rows: Vec<&str> = STAGE.rows().iter().map(|r| r.name).collect();
        for e in PLANNED {
            let Row(row) = e.socket else { continue };
            let later = LATER_ROWS.iter().find(|l| l.name == row);
            assert!(
                rows.contains(&row) || later.is_some_and(|l| l.stage <= e.stage),
                "{}: stage {} has no row `{row}`",
                e.name,
                e.stage
            );
        }
        for later in LATER_ROWS {
            assert!(!rows.contains(&later.name), "`{}` is there", later.name);
        }
    }

    #[test]
    fn names_are_unique_and_in_order() {
        let mut seen = HashSet::new();
        for e in PLANNED {
            assert!(seen.insert(e.name), "{} is there twice", e.name);
            assert!(
                e.name.len() <= 32
                    && e.name
                        .bytes()
                        .all(|b| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit()),
                "{}: not a name for a command line",
                e.name
            );
        }
        assert!(PLANNED.is_sorted_by_key(|e| e.stage));
        let mut seen = HashSet::new();
        assert!(LATER_ROWS.iter().all(|l| seen.insert(l.name)));
    }

    /// The list that people read is this one: name, stage and socket of each exercise.
    #[test]
    fn architecture_prints_this_list() {
        let text = include_str!("../../ARCHITECTURE.md");
        let printed: Vec<&str> = text
            .lines()
            .skip_while(|l| !l.starts_with("| stage | exercise |"))
            .skip(2)
            .take_while(|l| l.starts_with('|'))
            .collect();
        assert_eq!(printed.len(), PLANNED.len());
        for (line, e) in printed.iter().zip(PLANNED) {
            assert!(
                line.starts_with(&format!("| {} | `{}` |", e.stage, e.name)),
                "expected {} here: {line}",
                e.name
            );
            let socket = match e.socket {
                Row(row) => match LATER_ROWS.iter().find(|l| l.name == row) {
                    Some(l) => format!("| row `{row}` of stage {} |", l.stage),
                    None => format!("| row `{row}` |"),
                },
                Alone(_) => "| alone: ".to_owned(),
                Trace => "| trace |".to_owned(),
            };
            assert!(line.contains(&socket), "expected {socket} in: {line}");
        }
    }

    // The proof that a learner's function fits: for each exercise of stage 1 with a row, a
    // stage that has one. These do not build if a signature changes.

    fn sticky_flag(gp: &'static G) {
        (STAGE.releasem_slow)(gp);
    }
    const STICKY_FLAG: Stage = Stage {
        releasem_slow: sticky_flag,
        ..STAGE
    };

    fn newstack_order(gp: &'static G) -> Next {
        (STAGE.newstack)(gp)
    }
    const NEWSTACK_ORDER: Stage = Stage {
        newstack: newstack_order,
        ..STAGE
    };

    fn half_plus_one(pp: &'static P, batch: &[&'static G]) {
        (STAGE.runqputslow)(pp, batch);
    }
    const HALF_PLUS_ONE: Stage = Stage {
        runqputslow: half_plus_one,
        ..STAGE
    };

    fn steal_half(pp: &'static P, victim: &'static P, t: u32, steal_next: bool) -> u32 {
        (STAGE.runqgrab)(pp, victim, t, steal_next)
    }
    const STEAL_HALF: Stage = Stage {
        runqgrab: steal_half,
        ..STAGE
    };

    const FITTED: &[(&str, &str, &Stage)] = &[
        ("sticky-flag", "releasem_slow", &STICKY_FLAG),
        ("newstack-order", "newstack", &NEWSTACK_ORDER),
        ("half-plus-one", "runqputslow", &HALF_PLUS_ONE),
        ("steal-half", "runqgrab", &STEAL_HALF),
    ];

    #[test]
    fn every_row_exercise_of_stage_1_is_fitted() {
        let planned: Vec<(&str, &str)> = PLANNED
            .iter()
            .filter(|e| e.stage == 1)
            .filter_map(|e| match e.socket {
                Row(row) => Some((e.name, row)),
                _ => None,
            })
            .collect();
        let fitted: Vec<(&str, &str)> = FITTED.iter().map(|&(name, row, _)| (name, row)).collect();
        assert_eq!(planned, fitted);
    }

    /// `Stage { row: mine, ..STAGE }` changes this row and no other, and the table shows it.
    #[test]
    fn a_fitted_stage_differs_in_its_row_only() {
        for &(name, row, stage) in FITTED {
            let changed: Vec<&str> = stage
                .rows()
                .iter()
                .zip(STAGE.rows())
                .filter(|(mine, theirs)| mine.address != theirs.address)
                .map(|(mine, _)| mine.name)
                .collect();
            assert_eq!(changed, [row], "{name}");
        }
    }
}
