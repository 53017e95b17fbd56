//! Stage 1 of Safepoint: goroutines that give the CPU back when they are asked.
//!
//! A real M:N runtime: many goroutines (G) on few threads (M), each of which needs a
//! processor (P) to run them. A goroutine can be asked to yield by writing one number where
//! its next function call will look: [`prologue!`] is that look, and `#[gofunc]` puts it in
//! front of every function, as Go's compiler does. What this stage cannot do is the reason
//! for the next ones: no part of the runtime raises the flag, and a loop that calls nothing
//! never looks.
//!
//! The shape of the crate, each room below those that use it:
//!
//! | idea | room | Go |
//! |---|---|---|
//! | words, a ring, an order: what knows no G | `word.rs`, `link.rs`, `ring.rs`, `order.rs` | `proc.go` |
//! | G, M, P, and the words with a protocol | `gmp/` | `runtime2.go`, `proc.go` |
//! | two stacks and a switch | `arch/` | `asm_amd64.s` |
//! | two worlds of time: threads, locks, memory, signals | `os/`, the crate `safepoint-lockstep` | `os_linux.go`, `lock_futex.go`, `signal_unix.go` |
//! | the event log | `trace/`; what reads and writes it: the crate `safepoint-trace` | `trace.go` |
//! | the end, where the runtime decides it | `throw.rs` | `panic.go` |
//! | the decisions that later stages change | `stage.rs` | |
//! | the check and what it leads to: the flag, the stack | `stack/` | `stack.go`, `preempt.go` |
//! | panics, faults, deadly signals, dumps | `last_words/` | `panic.go`, `traceback.go`, `signal_unix.go` |
//! | queues and stealing | `queues/` | `proc.go` |
//! | a goroutine is made, runs, parks, ends; threads wake and sleep | `sched/` | `proc.go` |
//! | blocking, and goroutines that borrow | `sync/` | `chan.go`, `select.go`, `sync` |
//! | a run, from its start to its end | `life/` | `proc.go`, `runtime1.go` |
//!
//! No file names a room that stands further down in this table; `gmp` to `stage.rs` are one floor,
//! because an M holds a note, its thread's words and its events.
//!
//! [`STAGE`] is the table of the decisions that later stages change. [`rt`] holds the
//! documented internals that they, and the exercises, build on.
//!
//! Tests: `printed`, `wings::stage_1_stands_on_its_ground_floor`, `heard`.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]
// Each file says what it takes, and from which room.
#![deny(clippy::wildcard_imports)]
#![cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), allow(unused))]
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "Safepoint's runtime switches stacks by hand and needs x86_64 Linux; the book (cargo run) opens anywhere with its recorded runs"
);

mod arch;
mod gmp;
mod last_words;
mod life;
mod link;
mod order;
mod os;
mod queues;
mod ring;
pub mod rt;
mod sched;
mod stack;
mod stage;
mod sync;
mod throw;
mod trace;
mod word;

pub use life::run::Runtime;
pub use life::third_party::ThirdParty;
pub use safepoint_lockstep::spin;
pub use safepoint_macros::gofunc;
pub use sched::goexit::goexit;
pub use sched::lockosthread::{lock_os_thread, unlock_os_thread};
pub use sched::newproc::{go, goid, num_goroutine};
pub use sched::park::gosched;
pub use stack::preempt::{Acquired, acquirem};
pub use stack::ruler::with_frame;
pub use stage::Stage;
pub use sync::cases::Select;
pub use sync::chan::{Chan, WouldBlock};
pub use sync::cond::{Cond, Once};
pub use sync::mutex::{Mutex, MutexGuard};
pub use sync::receiver::Receiver;
pub use sync::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use sync::scope::{JoinHandle, Scope, scope};
pub use sync::waitgroup::WaitGroup;
pub use throw::exit;
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
    casgstatus_contended: gmp::casgstatus::casgstatus_contended,
    runqputslow: queues::global::runqputslow,
    runqgrab: queues::steal::runqgrab,
    stealwork: queues::steal::stealwork,
    poll: |_| None,
    p_slow: |_| {},
    before_stopm: |_| stage::Slow::Continue,
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
