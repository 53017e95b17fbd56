//! Stage 4 of Safepoint: stopping every goroutine, so that a collector can look at the stacks.
//! **Not written yet.**
//!
//! For now this crate is the stage before under another name: it passes everything on and
//! adds nothing, so that what depends on it builds. Its [`STAGE`] is stage 3's.
//!
//! What it will be: why a runtime must be able to stop goroutines at all. One goroutine is
//! held still while its stack is scanned and the others run on; or the whole world stops,
//! and the trace says which goroutine was late. A small collector makes both necessary. It will mirror
//! `suspendG` of `preempt.go`, `stopTheWorld` and `forEachP` of `proc.go`, and the parts of
//! `mgc.go` that drive them. `ARCHITECTURE.md` has the rows that it will fill.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]

pub use stage3_signals::*;
