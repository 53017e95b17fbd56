//! Stage 1 of Safepoint: goroutines that give the CPU back when they are asked.
//!
//! A real M:N runtime: many goroutines (G) on few threads (M), each of which needs a
//! processor (P) to run them. A goroutine can be asked to yield by writing one number where
//! its next function call will look: [`prologue!`] is that look, and `#[gofunc]` puts it in
//! front of every function, as Go's compiler does. What this stage cannot do is the reason
//! for the next ones: nobody raises the flag by himself, and a loop that calls nothing
//! never looks.
//!
//! The shape of the crate, in the order in which the book tells it:
//!
//! | idea | file | Go |
//! |---|---|---|
//! | G, M, P | `runtime2.rs` | `runtime2.go` |
//! | two stacks and a switch | `arch/switch.rs`, `arch/tls.rs` | `asm_amd64.s` |
//! | a goroutine is made, runs, parks, ends | `newproc.rs`, `schedule.rs`, `park.rs` | `proc.go` |
//! | the check, and what it leads to | `prologue!`, `arch/morestack.rs`, `newstack.rs`, `stack.rs`, `guards.rs` | `stack.go` |
//! | the flag | `preempt.rs` | `preempt.go` |
//! | queues and stealing | `runq.rs`, `globrunq.rs`, `steal.rs` | `proc.go` |
//! | threads found and put to sleep | `proc.rs`, `mstart.rs`, `lockosthread.rs`, `template.rs` | `proc.go` |
//! | blocking | `chan.rs`, `receiver.rs`, `select.rs`, `sync.rs`, `rwlock.rs`, `cond.rs` | `chan.go`, `select.go`, `sync` |
//! | goroutines that borrow | `scope.rs` | |
//! | start, stop, last words | `runtime.rs`, `panics.rs`, `fault.rs`, `dump.rs`, `arch/unwind.rs` | `proc.go`, `panic.go`, `traceback.go` |
//! | deaths from outside, and their limit | `os/deadly.rs`, `os/last_resort.rs`, `trace/scribe.rs` | `signal_unix.go` |
//! | two worlds of time | `os/`, the crate `safepoint-lockstep` | `os_linux.go` |
//! | the event log | `trace/`; what reads and writes it: the crate `safepoint-trace` | `trace.go` |
//!
//! [`STAGE`] is the table of the decisions that later stages change. [`rt`] holds the
//! documented internals that they, and the exercises, build on.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]
#![cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), allow(unused))]
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "Safepoint's runtime switches stacks by hand and needs x86_64 Linux; the book (cargo run) opens anywhere with its recorded runs"
);

mod arch;
mod casgstatus;
mod chan;
mod cond;
mod config;
mod dump;
mod fault;
mod globrunq;
mod gotext;
mod guards;
mod lockosthread;
mod mstart;
mod newproc;
mod newstack;
mod os;
mod panics;
mod park;
mod preempt;
mod proc;
mod receiver;
pub mod rt;
mod ruler;
mod runq;
mod runtime;
mod runtime2;
mod rwlock;
mod scavenge;
mod schedule;
mod scope;
mod select;
mod shellword;
mod stack;
mod stage;
mod steal;
mod sync;
mod template;
mod third_party;
mod trace;
mod word;

pub use chan::{Chan, WouldBlock};
pub use cond::{Cond, Once};
pub use lockosthread::{lock_os_thread, unlock_os_thread};
pub use newproc::{go, goid, num_goroutine};
pub use park::{goexit, gosched};
pub use preempt::{Acquired, acquirem};
pub use receiver::Receiver;
pub use ruler::with_frame;
pub use runtime::{Runtime, exit};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use safepoint_lockstep::spin;
pub use safepoint_macros::gofunc;
pub use scope::{JoinHandle, Scope, scope};
pub use select::Select;
pub use stage::Stage;
pub use sync::{Mutex, MutexGuard, WaitGroup};
pub use third_party::ThirdParty;
pub use trace::user_log;

/// Stage 1: the decisions of a scheduler that asks and never takes.
pub const STAGE: Stage = Stage {
    name: "stage1-coop",
    main_start: || {},
    minit: |_| {},
    unminit: |_| {},
    newstack: newstack::newstack,
    preempted: park::gopreempt_m,
    preempt_m: |_| {},
    releasem_slow: preempt::releasem_slow,
    schedule_slow: schedule::schedule_slow,
    castatus_contended: casgstatus::castatus_contended,
    runqputslow: globrunq::runqputslow,
    runqgrab: steal::runqgrab,
    stealwork: steal::stealwork,
    poll: |_| None,
    p_slow: |_| {},
    before_stopm: |_| schedule::Slow::Continue,
    poll_break: || {},
    m_idle: |_| {},
    handoffp: proc::handoffp,
    throw_dump: panics::throw_dump,
    wait_reasons: &[],
    wait_reasons_traced: &[],
    kinds: &[trace::KINDS],
    godebug: || config::GODEBUG,
    more: &[],
};

/// The guard check that Go's compiler puts in front of every function: three instructions
/// that compare the stack pointer with the current goroutine's `stackguard0`. If the stack
/// pointer is not above it, there is too little stack, or somebody asked the goroutine to
/// yield; `morestack` finds out which.
///
/// The slow path stands out of the way, behind all functions of the section. It does not
/// call `morestack` but enters it as if the check itself had called it: with the address
/// behind the check as the return address, so that a debugger or a dump that looks at a
/// goroutine in there sees the function that made the check.
///
/// The compiler may put the check in front of the function's frame (as Go's does) or behind
/// it. In front, the frame is not counted. It ends in the slack below `lo` then; one larger
/// than that touches the guard page, because Rust touches a large frame page by page.
///
/// `#[gofunc]` writes it in front of a function. In a closure or a loop, write it yourself,
/// as the first statement.
#[macro_export]
macro_rules! prologue {
    () => {
        // SAFETY: `fs:go_tls_g` holds the address of a G on every thread, and its word at
        // offset 16 is `stackguard0`. `morestack` preserves every register but the one that
        // is declared lost, and needs no alignment. The word that is pushed for it lies in
        // nobody's red zone: without `nostack` the compiler uses none.
        unsafe {
            // ANCHOR: prologue
            ::core::arch::asm!(
                "mov {g}, fs:[go_tls_g@tpoff]",
                "cmp rsp, [{g} + 16]",
                "jbe 3f",
                "2:",
                ".subsection 1",
                "3:",
                "lea {g}, [rip + 2b]",
                "push {g}",
                "jmp {morestack}",
                ".subsection 0",
                g = out(reg) _,
                morestack = sym $crate::rt::morestack,
            )
            // ANCHOR_END: prologue
        }
    };
}

const _: () = {
    // What the assembly of the check relies on.
    assert!(std::mem::offset_of!(runtime2::G, stackguard0) == 16);
};
