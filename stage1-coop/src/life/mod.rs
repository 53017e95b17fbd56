//! A run from its start to its end: what the environment asks for, the first goroutine, and
//! the M that waits for all others.
//!
//! Tests: `last_words::runs`.

pub(crate) mod config;
pub(crate) mod run;
mod shellword;
pub(crate) mod switches;
pub(crate) mod third_party;
