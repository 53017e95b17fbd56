//! `crate::word` as the runtime's files expect it, of loom's atomics.

pub use crate::link::Link;
pub use loom::sync::atomic::{AtomicU32, fence};
