//! What runs inside an attempt, and what judges it: the scenarios and judges of all exercises,
//! from their folders, and what they share. The runner is in the package `exercises`, which
//! passes these modules on: a learner's file knows them by that name.

mod answers;
pub mod attempt;
pub mod catalogue;
mod death;
pub mod stage1;
pub mod stage2;

/// The kinds of events in the traces of all exercises: those of the last stage.
pub const KINDS: safepoint_testkit::trace::Kinds = stage2_sysmon::STAGE.kinds;
