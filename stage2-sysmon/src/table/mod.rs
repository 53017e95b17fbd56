//! What this stage adds to tables of stage 1: rows, words in an M and a P, events, reasons to
//! wait. The tables themselves, filled, are in `lib.rs`.
//!
//! Tests: `printed::the_stage_table_is_the_recorded_one`, `traces::generated_pages`.

pub(crate) mod events;
pub(crate) mod reasons;
pub(crate) mod rows;
pub(crate) mod vocabulary;
pub(crate) mod words;
