//! The exercises of the book, and the runner.
//!
//! The learner takes one piece out of the scheduler, writes it, and sees the trace come
//! right. An exercise is a folder `stageN/NAME`, and nothing else names it but its page and the
//! printed tables:
//!
//! * `exercise.toml`: the texts, and where the piece belongs;
//! * `judge.rs`: scenarios, and a judge that looks at what a run showed;
//! * `starter`, `solution`, `other` (correct, but different): `.rs`, or `.toml` for answers;
//! * `wrong/`: plausible mistakes, each with the rule that must catch it in its first line;
//! * `hostile/`: files that try to get past the grader, with what becomes of them in the last.
//!
//! A stage is a folder `stageN` with the exercises and one file, `shared.rs`: what its judges
//! share, and the crate in which its pieces are plugged, as `library`. A new stage needs this
//! folder, and the crate as a dependency of the package `judges`, no more.
//!
//! The package `judges` compiles the judges, and [`catalogue`] is their list. [`runner`] builds,
//! runs, judges and explains, and `main.rs` is the command line.
//!
//! A row of the table is the usual socket: `Stage { row: mine, ..STAGE }` runs the real
//! runtime with the learner's function. A piece on a hot path has no row and stands alone.
//! Some exercises have no code in the scheduler at all: the learner reads a trace, or
//! records one.
//!
//! The learner's files are in `work/`, which does not belong to the repository: the runner
//! copies a starter there, and `reset` does it again.
//!
//! Nothing of Go corresponds to this crate.

pub mod runner;

pub use safepoint_judges::{attempt, catalogue};
