//! What this stage adds to tables of the earlier ones: rows, a block of words for each M, events.
//! The tables themselves, filled, are in `lib.rs`.
//!
//! Tests: `asynchronous`.

pub(crate) mod context;
pub(crate) mod events;
pub(crate) mod rows;
pub(crate) mod signalword;
pub(crate) mod vocabulary;
pub(crate) mod words;
