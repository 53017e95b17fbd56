//! Asking a goroutine that does not look: the signal, and its repetition after a refusal.
//!
//! Tests: `asynchronous`.

pub(crate) mod off;
pub(crate) mod preempt_m;
pub(crate) mod retry;
