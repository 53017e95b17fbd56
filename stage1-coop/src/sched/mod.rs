//! The scheduler: a goroutine is made, runs, parks and ends, and the Ms that run goroutines
//! wake each other and sleep. The chapters are *Many G on one M* and *P, queues, stealing*.
//!
//! Tests: `queues`, `waking`, `threads`.

pub(crate) mod goexit;
pub(crate) mod leave;
pub(crate) mod lockosthread;
pub(crate) mod mstart;
pub(crate) mod newproc;
pub(crate) mod park;
pub(crate) mod schedule;
pub(crate) mod template;
pub(crate) mod wake;
