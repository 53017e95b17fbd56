//! The internals that later stages and the exercises build on, by Go's names. Nothing here
//! is needed to *use* goroutines; everything here has rules that are written where the thing
//! is defined.
//!
//! A function whose misuse breaks memory at once is `unsafe`: those that say what a
//! goroutine is (`casgstatus`, `execute`, `dropg`, `goready`), who holds a P (`wirep`,
//! `acquirep`, `releasep`), or that a lock is free (`Lock::unlock`). The queues are not: a
//! goroutine that stands in two of them is found out by the exchange of its state, and ends
//! the process with a `throw`.
//!
//! **The module as a whole still stands outside Rust's promise that safe code cannot break
//! memory.** The fields of a G, M or P can be stored to by anyone: their comments say who may.
//! Go's `runtime` package is the same to Go. What is safe for programs is at the crate's root.

pub use crate::arch::{
    McallFn, SaveForm, Tls, getg, getm, getm_opt, gogo, locks_dec, locks_inc, mcall, morestack,
    on_goroutine, save_at_most, systemstack,
};
pub use crate::casgstatus::{casgstatus, castatus_contended, legal, readgstatus};
pub use crate::config::{ASYNCPREEMPTOFF, GODEBUG, GodebugKey, Traceback};
pub use crate::globrunq::{globrunqget, globrunqput, runqputslow};
pub use crate::gotext::{bounds as gotext_bounds, contains as in_gotext};
pub use crate::guards::{split_for_first, unguarded_stacks};
pub use crate::lockosthread::stoplockedm;
pub use crate::newproc::go_on_g0;
pub use crate::newstack::newstack;
pub use crate::os::{
    Handler, Lock, LockGuard, Note, READ, WRITE, handle_during_run, last_resort, nanotime, osyield,
    outside_world, procyield, usleep, wait_fd,
};
pub use crate::panics::{die_with_all_goroutines, dying, dying_on, throw, throw_args, throw_dump};
pub use crate::park::{gopark, gopreempt_m, goready, gosched_impl, pin_while_unwinding, runqput};
pub use crate::preempt::{
    can_preempt_m, preemptall, preemptone, releasem_slow, set_mallocing, set_preemptoff,
    why_not_preempt_m,
};
pub use crate::proc::{
    acquirep, handoffp, newm, pidleget, pidleput, releasep, startm, stopm, wake_for_queued_work,
    wakep, wirep,
};
pub use crate::receiver::{Receive, Source};
pub use crate::runq::{OVERFLOW, RUNQ_SIZE, Runq};
pub use crate::runtime2::*;
pub use crate::scavenge::give_back_after;
pub use crate::schedule::{GLOBAL_EVERY, Slow, dropg, execute, schedule_slow};
pub use crate::select::{Case, MAX_CASES, RecvCase, SendCase, selectgo};
pub use crate::stack::{SLACK, SLOT, STACK_GUARD, STACK_MAX, STACK_MIN, ordinary_guard};
pub use crate::stage::{Next, Row, table};
pub use crate::steal::{
    Order, RandomOrder, STEAL_PASSES, fastrand, runqgrab, runqsteal, stealwork,
};
pub use crate::trace::{
    Escaped, KINDS, Kind, Record, TRACE_LOST, WaitReason, emit, go_unblock, legend, on,
    slice_begins,
};
pub use crate::word::{Link, Text, Word};
pub use safepoint_lockstep::{enabled as in_lockstep, said, say, say_bytes, say_line};
