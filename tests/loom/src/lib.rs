//! The lock-free pieces of stages 1 and 2 under loom, which tries every order of steps and every
//! value that a weak memory may show. Run them with
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release -p loom-models --target-dir target/loom
//! ```
//!
//! `ring` is the very file of the runtime, with four slots and loom's words beneath it, and so
//! are what `netpoll` and `poller` try.
//! `checkdead`, `note`, `scavenge`, `syscall`, `wake` and `wired` are models of a protocol that
//! in the runtime is spread over several functions; each says which. Bounds: up to three
//! threads, up to four items, no bound on the number of preemptions unless a model says so.
#![cfg(loom)]

mod word;

#[path = "../../../stage1-coop/src/ring.rs"]
#[allow(dead_code)]
mod runq;

#[path = "../../../stage2-sysmon/src/netpoll/pollword.rs"]
#[allow(dead_code)]
mod pollword;

#[path = "../../../stage2-sysmon/src/asleep/sleeper.rs"]
#[allow(dead_code)]
mod sleeper;

#[cfg(test)]
mod checkdead;
#[cfg(test)]
mod netpoll;
#[cfg(test)]
mod note;
#[cfg(test)]
mod poller;
#[cfg(test)]
mod ring;
#[cfg(test)]
mod scavenge;
#[cfg(test)]
mod syscall;
#[cfg(test)]
mod wake;
#[cfg(test)]
mod wired;
