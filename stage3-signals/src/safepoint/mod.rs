//! May this goroutine be stopped at this very instruction?
//!
//! Tests: `asynchronous`.

pub(crate) mod decode;
pub(crate) mod loaded;
pub(crate) mod processor;
pub(crate) mod unsafe_points;
pub(crate) mod vetoes;
pub(crate) mod want;
