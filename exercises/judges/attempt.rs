//! One attempt: the learner's file, plugged into its socket. The runner writes a `main` for it
//! (`runner/bench.rs`), and names the file when it has cargo build this target.
//!
//! An editor sees all files of the learner's here, by a list that the runner keeps beside them.

// A learner's file says `exercises`; the runner, which is in the package of that name, takes no
// part in an attempt.
extern crate safepoint_judges as exercises;

#[cfg(rust_analyzer)]
#[rustfmt::skip]
#[path = "../work/.editor.rs"]
mod work;

#[cfg(not(rust_analyzer))]
include!(env!("EXERCISE_MAIN"));
