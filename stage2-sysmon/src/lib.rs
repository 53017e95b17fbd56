//! Stage 2 of Safepoint: sysmon, the thread without a P. **Under way.**
//!
//! In stage 1 somebody has to raise the flag by hand. Here a thread that needs no processor
//! does it: it watches how long each goroutine has been running, and takes Ps away from
//! threads that sit in a system call. What is still missing to take a goroutine off that
//! never looks is stage 3.
//!
//! | idea | file | Go |
//! |---|---|---|
//! | who looks although nobody called | `sysmon.rs` | `sysmon` |
//! | time slices, Ps in long calls | `retake.rs` | `retake` |
//! | into a system call, and back | `syscall.rs`, `exitsyscall.rs` | `entersyscall`, `exitsyscall` |
//! | a P whose M cannot use it; many goroutines at once | `handoff.rs` | `handoffp`, `injectglist` |
//! | timers, each with its P | `heap.rs`, `timers.rs`, `sleep.rs` | `time.go` |
//! | the last idle thread sleeps for the timers | `poller.rs` | `findrunnable`, `wakeNetPoller` |
//! | nobody is left | `checkdead.rs` | `checkdead` |
//! | a glance at the scheduler | `schedtrace.rs` | `schedtrace` |
//! | the rows that this stage adds | `rows.rs` | |
//! | its words in a G, M and P | `words.rs` | `runtime2.go` |
//! | its events | `kinds.rs` | `trace.go` |
//!
//! Everything of stage 1 is here too, under the same names. The network poller is not
//! written yet.

mod calls;
mod checkdead;
mod exitsyscall;
mod handoff;
mod heap;
mod kinds;
mod poller;
mod retake;
mod rows;
pub mod rt;
mod schedtrace;
mod sleep;
mod syscall;
mod sysmon;
mod timers;
mod words;

pub use calls::{Answer, libc_call, nanosleep};
pub use sleep::{Ticker, after, sleep};
pub use stage1_coop::*;
pub use syscall::{syscall, syscall_block};

/// Stage 2 is stage 1 plus these rows.
pub const STAGE: Stage = Stage {
    name: "stage2-sysmon",
    main_start: sysmon::main_start,       // a thread that looks on
    schedule_slow: sysmon::schedule_slow, // it sleeps while no P is in use: wake it
    p_slow: timers::p_slow,               // timers that are due, before the queue
    stealwork: timers::stealwork,         // the same four passes, and then their timers
    before_stopm: poller::before_stopm,   // sleep until the next timer
    m_idle: checkdead::m_idle,            // is anybody left who could do anything?
    handoffp: handoff::handoffp,          // a P that comes out of a system call
    wait_reasons: sleep::WAIT_REASONS,
    wait_reasons_traced: &[("IO wait", "network")],
    godebug: schedtrace::godebug,
    more: &[&rows::ROWS], // and the rows of this stage's own
    ..stage1_coop::STAGE
};
