//! A call that nobody made: how an interrupted goroutine comes to yield, and goes on as if nothing
//! had been.
//!
//! Tests: `asynchronous`.

pub(crate) mod async_preempt;
pub(crate) mod async_preempt2;
pub(crate) mod push_call;
