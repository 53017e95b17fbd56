//! System calls: into one, and back; and a P whose M cannot use it.
//!
//! Tests: `sysmon::calls`, `wired`.

pub(crate) mod callg;
pub(crate) mod callp;
pub(crate) mod enter;
pub(crate) mod exit;
pub(crate) mod handoff;
pub(crate) mod wired;
