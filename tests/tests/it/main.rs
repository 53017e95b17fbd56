//! The tests of what crosses stages, in one program: every binary links the whole runtime again,
//! and one alone runs its tests beside each other. A module is a mechanism; `scenario.rs` in its
//! folder holds what its tests run as child processes.
//!
//! Runs in this process come one after the other: [`tests::within`] takes a lock.

mod fixture;

mod asynchronous;
mod bad_input;
mod chan;
mod check;
mod check_shape;
mod chrome;
mod determinism;
mod diagnostics;
mod doors;
mod ends;
mod gotext;
mod gotrace;
mod handoff;
mod hazards;
mod heads;
mod heard;
mod interrupted;
mod invariants;
mod last_words;
mod lexer;
mod llvm_prologue;
mod mechanisms;
mod netpoll;
mod pages;
mod preemption;
mod printed;
mod queues;
mod signals;
mod soak;
mod sources;
mod states;
mod stealing;
mod stepping;
mod stress;
mod switches;
mod sync;
mod sysmon;
mod threads;
mod timers;
mod trace_of;
mod traces;
mod unsafe_points;
mod waking;
mod wings;
mod wired;
