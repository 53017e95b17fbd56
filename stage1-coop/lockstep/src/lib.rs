//! The laboratory's clock: the same real threads and signals, but one thread at a time
//! holds the *baton*, and time is virtual.
//!
//! A scheduler's trace is different every time, because the machine beneath it is. Here
//! the thread with the smallest clock runs next, and clocks move only at places that the
//! compiler cannot change: trace events, guard checks, iterations of the assembly loop
//! [`spin`], and calls of the runtime's small `os` layer. Compiled code in between costs
//! nothing. So the same seed gives the same bytes, in every build profile, on every
//! machine, under any load.
//!
//! It may stop a thread; it never chooses a goroutine. What it hides (true parallelism,
//! caches, races) is the price. Go's playground has a smaller cousin: `faketime`. The
//! chapter is *What lockstep is, and what it hides*.
//!
//! The pieces: [`baton`](self) is which thread runs, `trap` the clock inside [`spin`], `fds`
//! which wait for a file descriptor, `watchdog` notices a compiled loop that never reaches a
//! tick, and `interrupt` says what a handler of the runtime's may do.
//!
//! Tests: `determinism`, `bad_input::lockstep`, `interrupted`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]

mod baton;
mod fds;
mod interrupt;
mod say;
mod sys;
mod trap;
mod watchdog;

pub use baton::{
    ActorId, Portable, advance, block, block_until, check, clock_read, enabled, enter, event,
    hold_events, leave, low_water, not_portable, not_stuck, now, osyield, pass, portable, possible,
    register, release_events, sleep, start, stop, unblock, unregister,
};
pub use fds::{READ, WRITE, wait_fd};
pub use interrupt::{Stopped, in_handler, stopped};
pub use say::{last_words, said, say_bytes, say_line};
#[doc(hidden)]
pub use sys::KeepErrno;
pub use trap::{SPIN_CHUNK, me, spin};

/// Virtual nanoseconds that one guard check costs.
pub const CHECK_NS: u64 = 1_000;
/// Virtual nanoseconds that a trace event costs, before the seed's jitter of 0 to 3 us.
pub const EVENT_NS: u64 = 1_000;
/// Virtual nanoseconds that reading the clock costs: a loop that waits for a time ends.
pub const CLOCK_NS: u64 = 100;
/// Virtual nanoseconds from waking a thread until it runs.
pub const WAKE_NS: u64 = 5_000;

/// What the runtime tells the laboratory when a run starts.
#[derive(Clone, Copy)]
pub struct Config {
    /// Enters the schedule only as jitter of 0 to 3 us after each trace event.
    pub seed: u64,
    /// Does this program counter lie in a goroutine's own code? Called from a signal
    /// handler: it must not allocate, lock or panic.
    pub in_gotext: fn(usize) -> bool,
    /// Called once before the laboratory ends the process, to save the trace. It runs
    /// where the process stands, which is never inside the allocator.
    pub last_words: fn(),
}

/// Prints one line and ends the process with status 2, after saving the trace.
pub(crate) fn die(config: &Config, line: std::fmt::Arguments<'_>) -> ! {
    (config.last_words)();
    say!("lockstep: {line}");
    // SAFETY: `_exit` takes no pointer and does not return.
    unsafe { libc::_exit(2) }
}
