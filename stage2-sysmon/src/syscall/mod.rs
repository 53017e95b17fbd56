//! System calls: into one, and back; and a P whose M cannot use it.

pub(crate) mod enter;
pub(crate) mod exit;
pub(crate) mod handoff;
pub(crate) mod wired;
