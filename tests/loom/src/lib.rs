//! The lock-free pieces of the stages under loom, which tries every order of steps and every
//! value that a weak memory may show. Run them with
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release -p loom-models --target-dir target/loom
//! ```
//!
//! A model runs the very files of the runtime, with loom's words beneath them: below they are
//! included by their path. What a model adds is the scene, the queue or the lock around the
//! word; it says which function it stands for. Where a test takes a rule away (a barrier, a
//! release, a second look), it does that in a copy of its own, since the file has no such
//! switch. `checkdead` alone is a model throughout; its head says why.
//!
//! Bounds: up to three threads, up to four items, no bound on the number of preemptions unless
//! a model says so.
#![cfg(loom)]

// What the files of the runtime import, of loom's kind.
mod word;
extern crate self as stage1_coop;
/// `stage1_coop::rt::gmp` as stage 2's files expect it.
pub mod rt {
    /// The words of this crate.
    pub mod gmp {
        pub use crate::gstatus::{GRUNNING, GSCAN, GSYSCALL, GStatus};
        pub use crate::pstatus::{PIDLE, PRUNNING, PSYSCALL, PStatus};
    }
}

#[path = "../../../stage1-coop/src/gmp/attention.rs"]
#[allow(dead_code)]
mod attention;
#[path = "../../../stage1-coop/src/stack/burst.rs"]
#[allow(dead_code)]
mod burst;
#[path = "../../../stage2-sysmon/src/syscall/callg.rs"]
#[allow(dead_code)]
mod callg;
#[path = "../../../stage2-sysmon/src/syscall/callp.rs"]
#[allow(dead_code)]
mod callp;
#[path = "../../../stage1-coop/src/gmp/gstatus.rs"]
#[allow(dead_code)]
mod gstatus;
#[path = "../../../stage1-coop/src/link.rs"]
#[allow(dead_code)]
mod link;
#[path = "../../../stage1-coop/src/os/noteword.rs"]
#[allow(dead_code)]
mod noteword;
#[path = "../../../stage2-sysmon/src/netpoll/pollword.rs"]
#[allow(dead_code)]
mod pollword;
#[path = "../../../stage1-coop/src/gmp/pstatus.rs"]
#[allow(dead_code)]
mod pstatus;
#[path = "../../../stage1-coop/src/ring.rs"]
#[allow(dead_code)]
mod runq;
#[path = "../../../stage1-coop/src/gmp/searchers.rs"]
#[allow(dead_code)]
mod searchers;

#[path = "../../../stage3-signals/src/table/signalword.rs"]
#[allow(dead_code)]
mod signalword;
#[path = "../../../stage2-sysmon/src/asleep/sleeper.rs"]
#[allow(dead_code)]
mod sleeper;

#[cfg(test)]
#[path = "attention.rs"]
mod attention_model;
#[cfg(test)]
mod checkdead;
#[cfg(test)]
#[path = "gstatus.rs"]
mod gstatus_model;
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
mod signal;
#[cfg(test)]
mod syscall;
#[cfg(test)]
mod wake;
#[cfg(test)]
mod wired;
