//! The queues of runnable goroutines that all Ps share, and stealing from a P's own (its ring
//! is in `ring.rs`). The chapter is *P, queues, stealing*.
//!
//! Tests: `queues`, `stealing`.

pub(crate) mod free;
pub(crate) mod global;
pub(crate) mod steal;
