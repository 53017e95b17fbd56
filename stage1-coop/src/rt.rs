//! The internals that later stages and the exercises build on, by Go's names, in the rooms of
//! the book's chapters. Nothing here is needed to *use* goroutines; everything here has rules
//! that are written where the thing is defined.
//!
//! A function whose misuse breaks memory at once is `unsafe`: those that say what a
//! goroutine is (`casgstatus`, `execute`, `dropg`, `goready`, `setg`), which M holds a P (`wirep`,
//! `acquirep`, `releasep`), or that a lock is free (`Lock::unlock`). The queues are not: a
//! goroutine that stands in two of them is found out by the exchange of its state, and ends
//! the process with a `throw`.
//!
//! **The module as a whole still stands outside Rust's promise that safe code cannot break
//! memory.** The fields of a G, M or P can be stored to from anywhere: their comments say what may.
//! Go's `runtime` package is the same to Go. What is safe for programs is at the crate's root.
//!
//! Tests: `preemption`, `stealing`, `states`, which call what is here by its name.

/// The words of a thread, and the switch between stacks.
pub mod arch {
    pub use crate::arch::gotext::{bounds as gotext_bounds, contains as in_gotext};
    pub use crate::arch::{
        McallFn, Tls, getg, getm, getm_opt, gogo, goroutine, locks_dec, locks_inc, mcall,
        on_goroutine, setg, systemstack,
    };
}

/// G, M, P and what they share, with the states of a G and a P.
pub mod gmp {
    pub use crate::gmp::casgstatus::{casgstatus, casgstatus_contended, readgstatus};
    pub use crate::gmp::{
        ATTENTION_FREEZE, ATTENTION_LEAVE, ATTENTION_STOP, Attention, ENTRY_WORDS, EXT_WORDS, Each,
        Entry, Extended, G, GCOPYSTACK, GDEAD, GENQUEUE, GIDLE, GMORIBUND, GPREEMPTED, GRUNNABLE,
        GRUNNING, GSCAN, GSYSCALL, GStatus, GWAITING, Gobuf, M, MAX_THREADS, P, PDEAD, PGCSTOP,
        PIDLE, PRUNNING, PSYSCALL, PStatus, SCHED, STACK_CACHE, Sched, SchedGuard, SchedInner,
        Searchers, Stack, StartFn, UnlockFn, allm, allp, gomaxprocs, gstatus_name, legal,
        legal_hold, legal_p, living,
    };
}

/// Ends of the process that the runtime decides, and what is printed then.
pub mod last_words {
    pub use crate::last_words::panics::{die_with_all_goroutines, dying_on, throw_dump};
    pub use crate::throw::{Traceback, dying, throw, throw_args};
}

/// What a run reads from its surroundings.
pub mod life {
    pub use crate::life::config::{ASYNCPREEMPTOFF, GODEBUG};
    pub use crate::life::switches::{SWITCHES, Switch};
    pub use crate::stage::GodebugKey;
}

/// Threads, locks, time and memory, in both worlds of time.
pub mod os {
    pub use crate::os::{
        Chained, Handler, Lock, Note, READ, WRITE, handle_during_run, last_resort, nanotime,
        never_block, osyield, outside_world, procyield, usleep, wait_fd,
    };
    pub use crate::stack::preempt::LockGuard;
    pub use safepoint_lockstep::{
        Stopped, enabled as in_lockstep, in_handler, said, say, say_bytes, say_line, stopped,
    };
}

/// The queues of runnable goroutines, and stealing from them.
pub mod queues {
    pub use crate::order::{Order, RandomOrder};
    pub use crate::queues::global::{globrunqget, globrunqput, runqput, runqputslow};
    pub use crate::queues::steal::{STEAL_PASSES, fastrand, runqgrab, runqsteal, stealwork};
    pub use crate::ring::{OVERFLOW, RUNQ_SIZE, Runq};
}

/// What runs, parks, and wakes: the turn of the scheduler, and the Ms that take it.
pub mod sched {
    pub use crate::sched::lockosthread::stoplockedm;
    pub use crate::sched::newproc::go_on_g0;
    pub use crate::sched::park::{
        dropg, gopark, gopreempt_m, goready, gosched_impl, pin_while_unwinding,
    };
    pub use crate::sched::schedule::{GLOBAL_EVERY, execute, schedule_slow};
    pub use crate::sched::wake::{
        acquirep, handoffp, handoffp_unless, newm, pidleget, pidleput, releasep, startm, stopm,
        wakep, wirep,
    };
    pub use crate::stage::{Next, Slow, Wake};
}

/// A goroutine's stack, the check in front of its functions, and the flag that the check finds.
pub mod stack {
    pub use crate::gmp::{STACK_FORK, STACK_PREEMPT};
    pub use crate::stack::guards::{split_for_first, unguarded_stacks};
    pub use crate::stack::morestack::morestack;
    pub use crate::stack::newstack::newstack;
    pub use crate::stack::preempt::{
        can_preempt_m, enter_malloc, leave_malloc, preemptall, preemptone, releasem_slow,
        set_preemptoff, why_not_preempt_m,
    };
    pub use crate::stack::save_area::{
        SAVE_FORM, SAVE_MASK, SAVE_SIZE, SaveArea, SaveForm, SaveWord, save_area, save_at_most,
    };
    pub use crate::stack::scavenge::give_back_after;
    pub use crate::stack::slots::{
        SLACK, SLOT, STACK_GUARD, STACK_MAX, STACK_MIN, lowest, ordinary_guard,
    };
}

/// The table of the run, and its printed form.
pub mod stage {
    pub use crate::stage::{Row, stage, table};
}

/// What channels and `select` stand on.
pub mod sync {
    pub use crate::sync::cases::{RecvCase, SendCase};
    pub use crate::sync::receiver::{End, Receive, Source};
    pub use crate::sync::select::{Case, MAX_CASES, selectgo};
}

/// The event log.
pub mod trace {
    pub use crate::trace::{
        Escaped, KINDS, Kind, TRACE_LOST, WaitReason, emit, emit_in_handler, go_preempt,
        go_unblock, legend, on, slice_begins,
    };
}

/// Atomic words that hold a number, a text, or a reference.
pub mod word {
    pub use crate::word::{Link, Text, Word};
}
