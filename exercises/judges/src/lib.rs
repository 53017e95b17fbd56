//! What runs inside an attempt, and what judges it: the scenarios and judges of all exercises,
//! from their folders, and what they share. A module `stageN` is `exercises/stageN/shared.rs` with
//! one module for each exercise of the stage; `build.rs` lists them. The runner is in the package
//! `exercises`; a learner's file knows this crate by that name.

mod answers;
pub mod attempt;
pub mod catalogue;
mod death;

include!(concat!(env!("OUT_DIR"), "/stages.rs"));
