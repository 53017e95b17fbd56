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
//! | G, M, P | `gmp/mod.rs` | `runtime2.go` |
//! | two stacks and a switch | `arch/switch.rs`, `arch/tls.rs` | `asm_amd64.s` |
//! | a goroutine is made, runs, parks, ends | `sched/newproc.rs`, `sched/schedule.rs`, `sched/park.rs` | `proc.go` |
//! | the check, and what it leads to | `prologue!`, `stack/morestack.rs`, `stack/newstack.rs`, `stack/slots.rs`, `stack/guards.rs` | `stack.go` |
//! | the flag | `stack/preempt.rs` | `preempt.go` |
//! | queues and stealing | `ring.rs`, `queues/global.rs`, `queues/steal.rs` | `proc.go` |
//! | threads found and put to sleep | `sched/wake.rs`, `sched/mstart.rs`, `sched/lockosthread.rs`, `sched/template.rs` | `proc.go` |
//! | blocking | `sync/chan.rs`, `sync/receiver.rs`, `sync/select.rs`, `sync/mutex.rs`, `sync/rwlock.rs`, `sync/cond.rs` | `chan.go`, `select.go`, `sync` |
//! | goroutines that borrow | `sync/scope.rs` | |
//! | start, stop, last words | `life/run.rs`, `last_words/panics.rs`, `last_words/fault.rs`, `last_words/dump.rs`, `arch/unwind.rs` | `proc.go`, `panic.go`, `traceback.go` |
//! | deaths from outside, and their limit | `last_words/deadly.rs`, `os/last_resort.rs`, `trace/scribe.rs` | `signal_unix.go` |
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
mod gmp;
mod last_words;
mod life;
mod os;
mod queues;
mod ring;
pub mod rt;
mod sched;
mod stack;
mod stage;
mod sync;
mod trace;
mod word;

pub use life::run::{Runtime, exit};
pub use life::third_party::ThirdParty;
pub use safepoint_lockstep::spin;
pub use safepoint_macros::gofunc;
pub use sched::lockosthread::{lock_os_thread, unlock_os_thread};
pub use sched::newproc::{go, goid, num_goroutine};
pub use sched::park::{goexit, gosched};
pub use stack::preempt::{Acquired, acquirem};
pub use stack::ruler::with_frame;
pub use stage::Stage;
pub use sync::chan::{Chan, WouldBlock};
pub use sync::cond::{Cond, Once};
pub use sync::mutex::{Mutex, MutexGuard, WaitGroup};
pub use sync::receiver::Receiver;
pub use sync::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use sync::scope::{JoinHandle, Scope, scope};
pub use sync::select::Select;
pub use trace::user_log;

/// Stage 1: the decisions of a scheduler that asks and never takes.
pub const STAGE: Stage = Stage {
    name: "stage1-coop",
    main_start: || {},
    minit: |_| {},
    unminit: |_| {},
    newstack: stack::newstack::newstack,
    preempted: sched::park::gopreempt_m,
    preempt_m: |_| {},
    releasem_slow: stack::preempt::releasem_slow,
    schedule_slow: sched::schedule::schedule_slow,
    castatus_contended: gmp::status::castatus_contended,
    runqputslow: queues::global::runqputslow,
    runqgrab: queues::steal::runqgrab,
    stealwork: queues::steal::stealwork,
    poll: |_| None,
    p_slow: |_| {},
    before_stopm: |_| sched::schedule::Slow::Continue,
    poll_break: || {},
    m_idle: |_| {},
    handoffp: sched::wake::handoffp,
    throw_dump: last_words::panics::throw_dump,
    wait_reasons: &[],
    wait_reasons_traced: &[],
    kinds: &[trace::KINDS],
    godebug: || life::config::GODEBUG,
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
                morestack = sym $crate::rt::stack::morestack,
            )
            // ANCHOR_END: prologue
        }
    };
}

const _: () = {
    // What the assembly of the check relies on.
    assert!(std::mem::offset_of!(gmp::G, stackguard0) == 16);
};
