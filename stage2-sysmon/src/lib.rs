//! Stage 2 of Safepoint: sysmon, the thread without a P. **Not written yet.**
//!
//! For now this crate is stage 1 under another name: it passes everything on and adds
//! nothing, so that what depends on it builds. Its [`STAGE`] is stage 1's.
//!
//! What it will be: in stage 1 somebody has to raise the flag by hand. Here a thread that
//! needs no processor does it. It watches how long each goroutine has been running, takes
//! Ps away from threads that sit in a system call, and sleeps longer the less there is to
//! do. With it come system calls that hand their P on, the network poller, timers, and the
//! report that all goroutines are asleep. It will mirror `sysmon`, `retake`, `entersyscall`,
//! `netpoll.go` and `time.go`. `ARCHITECTURE.md` has the rows that it will fill.

pub use stage1_coop::*;
