//! SIGURG: its handler, the stack and the G that it runs on, and what becomes of a thread that
//! gets it.
//!
//! Tests: `asynchronous`.

pub(crate) mod gsignal;
pub(crate) mod handler;
pub(crate) mod initsig;
pub(crate) mod start;
