//! A schedule as a test, in a crate of your own.
//!
//! In lockstep the same seed gives the same trace, byte for byte, on any machine. So a trace
//! can be a snapshot: run a scenario, and compare what the scheduler did with what it did
//! when you last looked.
//!
//! ```toml
//! # Cargo.toml
//! [package]
//! name = "mine"
//! version = "0.1.0"
//! edition = "2024"
//!
//! [dependencies]
//! stage2-sysmon = { path = "../safepoint/stage2-sysmon" }
//!
//! [dev-dependencies]
//! safepoint-testkit = { path = "../safepoint/tests/kit" }
//!
//! [profile.dev]
//! opt-level = 1   # without it, frames are large enough to make some traces depend on the compiler
//! ```
//!
//! ```ignore
//! // tests/schedule.rs
//! use safepoint_testkit::trace_of;
//! use stage2_sysmon::{Chan, STAGE, go};
//!
//! fn hand_over() {
//!     let c = Chan::new(0);
//!     let sender = c.clone();
//!     go("sender", move || sender.send(1));
//!     assert_eq!(c.recv(), Some(1));
//! }
//!
//! #[test]
//! fn a_value_changes_hands() {
//!     // SAFETY: the scenario keeps nothing of a thread's across a yield.
//!     let scenario = unsafe { trace_of(&STAGE, hand_over) };
//!     assert_eq!(scenario.strip(), "\
//! # .  has finished   ~  let others run   !  was asked and yielded   -  waits   >  still runs
//! p0 | g1- g2. g1.
//! ");
//! }
//!
//! #[test]
//! fn a_value_changes_hands_on_every_schedule() {
//!     // SAFETY: as above.
//!     let scenario = unsafe { trace_of(&STAGE, hand_over) };
//!     scenario.procs(2).seeds(1..=20).check(|trace| {
//!         assert_eq!(trace.count("GoCreate"), 2);
//!     });
//! }
//! ```
//!
//! A goroutine dump finds its frames whatever flags the program was built with; the names in
//! it come from the debug information.
//!
//! [`trace_of`](trace_of::trace_of) takes a closure, [`trace_of_program`] a program,
//! [`trace_of_example`] an example of your own package. What may be asked of a scenario stands
//! on [`TraceOf`]; what is checked in every trace, on [`Trace::check_run`](trace::Trace).

mod child;
mod scenario;
mod seeds;
pub mod trace_of;
mod workspace;

pub use child::{Ended, LIMIT, fresh_folder, fresh_folder_in, run, try_run};
pub use safepoint_trace as trace;
pub use seeds::Seeds;
pub use trace_of::{TraceOf, trace_of, trace_of_example, trace_of_program};
#[doc(hidden)]
pub use workspace::workspace;
