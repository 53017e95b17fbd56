//! The internals that later stages and the exercises build on: the rooms of stages 1 and 2, and
//! what this stage adds. What stage 1's `rt` says of safety holds here, too.

pub use stage2_sysmon::rt::{
    arch, gmp, last_words, life, netpoll, os, queues, sched, stack, stage, sync, syscall, sysmon,
    table, timers, trace, word,
};

/// Where a goroutine may be stopped.
pub mod safepoint {
    pub use crate::safepoint::decode::{Point, Program, Why, Words, functions, points};
    pub use crate::safepoint::loaded::Loaded;
    pub use crate::safepoint::unsafe_points::{Place, init, look_up};
}
