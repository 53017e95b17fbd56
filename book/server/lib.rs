//! The book and the small server behind it.
//!
//! `cargo run` builds the chapters, serves them on this machine only, and runs the
//! repository's own examples when the reader presses a button on a page. Nothing here
//! depends on a stage: the examples are separate programs, so the book opens even where
//! they cannot be built.

pub mod build;
pub mod cli;
pub mod exercises;
pub mod figure;
pub mod files;
pub mod lines;
pub mod preprocess;
pub mod run;
pub mod scratch;
pub mod snapshot;
pub mod trace;
pub mod web;
pub mod workspace;
