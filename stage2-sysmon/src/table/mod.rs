//! What this stage adds to tables of stage 1: rows, words in an M and a P, events.

pub(crate) mod events;
pub(crate) mod rows;
pub(crate) mod words;
