//! Stage 3 of Safepoint: the signal that stops a goroutine where it stands. **Not written
//! yet.**
//!
//! For now this crate is the stage before under another name: it passes everything on and
//! adds nothing, so that what depends on it builds. Its [`STAGE`] is stage 2's.
//!
//! What it will be: a loop that calls nothing never looks at the flag. Here the thread that
//! runs it gets a signal; the handler decides whether the goroutine may be stopped at this
//! very instruction, and if so makes it believe that it called a function, which saves every
//! register and yields. It will mirror `signal_unix.go` and `preempt.go`.
//! `ARCHITECTURE.md` has the rows that it will fill.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]

pub mod rt;
mod safepoint;

pub use stage2_sysmon::*;
