//! What a process says before it ends: panics, faults, deadly signals, and where all
//! goroutines are.

pub(crate) mod deadly;
pub(crate) mod dump;
pub(crate) mod fault;
pub(crate) mod panics;
