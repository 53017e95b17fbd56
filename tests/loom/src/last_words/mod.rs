//! `crate::last_words` as the runtime's files expect it.

pub mod panics;
