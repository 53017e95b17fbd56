//! The state of a P: the word that says whose it is. Go's `p.status`; the chapter is *P,
//! queues, stealing*.
//!
//! ```text
//!           wire (in wirep)
//! IDLE ─────────────────────────▶ RUNNING
//!  ▲                                 │
//!  └─────────────────────────────────┘
//!         release (in releasep)
//! ```
//!
//! # Protocol
//!
//! Participants: the M that *owns* the P, and with it the queue's tail, the caches and the
//! ticks; the M that owns it next; thieves and a dump, which only read.
//!
//! 1. The owner finishes what it does with the P, empties `m.p` and `p.m`, and stores the new
//!    state: a plain store, because a word with an owner has one writer. A release.
//! 2. The P is handed on: put on the idle list (under `sched.lock`), or written into
//!    `m.nextp` of an M that is woken.
//! 3. The next owner takes it from there and stores [`PRUNNING`].
//!
//! Here the list or the note carries the memory from one owner to the next. A stage in which
//! a P may be *taken*, with no list in between, uses [`try_change`](PStatus::try_change): an
//! exchange that exactly one thread wins, and an acquire of the last owner's store.
//!
//! What only reads gets a glance: the state may be another one by the time it acts, and each
//! reader says why that does not matter (`runqgrab` sleeps for nothing, `preemptone` asks
//! again).
//!
//! Model: `tests/loom/src/syscall.rs` runs this file. Tests: `states::an_idle_p_s_queue_is_empty`,
//! `waking::there_are_exactly_gomaxprocs_ps`.

use crate::word::AtomicU32;
use std::sync::atomic::Ordering::*;

// The numbers are Go's, as those of a G.
/// On the idle list, its queue empty; or on the way from one owner to the next.
pub const PIDLE: u32 = 0;
/// Owned by an M that runs goroutines or looks for one.
pub const PRUNNING: u32 = 1;
/// Its M is in a system call.
pub const PSYSCALL: u32 = 2;
/// Stopped with the world.
pub const PGCSTOP: u32 = 3;
/// No longer used: GOMAXPROCS shrank.
pub const PDEAD: u32 = 4;

/// Go's changes of a P's state, of all stages. (Go writes them down nowhere; these are what
/// `proc.go` does.) This one makes those of the picture above. The others, by Go's functions:
///
/// * running to syscall: `entersyscall`; syscall to idle: `exitsyscallfast`, `retake`;
/// * idle, running and syscall to gcstop: `stopTheWorldWithSema`, `gcstopm`, `handoffp`; gcstop
///   to running or idle: `startTheWorldWithSema`, by way of `procresize`;
/// * gcstop to dead and back: `procresize`.
pub const fn legal_p(old: u32, new: u32) -> bool {
    matches!(
        (old, new),
        (PIDLE, PRUNNING | PGCSTOP)
            | (PRUNNING, PIDLE | PSYSCALL | PGCSTOP)
            | (PSYSCALL, PIDLE | PGCSTOP)
            | (PGCSTOP, PIDLE | PRUNNING | PDEAD)
            | (PDEAD, PGCSTOP)
    )
}

/// The word. See the module.
#[repr(transparent)]
pub struct PStatus(AtomicU32);

impl PStatus {
    /// The state of a new P: idle.
    #[cfg(not(loom))]
    pub const fn new() -> PStatus {
        PStatus(AtomicU32::new(PIDLE))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> PStatus {
        PStatus(AtomicU32::new(PIDLE))
    }

    /// A glance at the state (relaxed). A reader that acts on it must not need what the owner
    /// wrote, or must win an exchange first.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// The P has an owner from now on. Step 3.
    ///
    /// # Safety
    /// It is the caller, which got the P alone.
    #[inline]
    pub unsafe fn wire(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.set::<PIDLE, PRUNNING>() };
    }

    /// The owner gives the P up. Step 1.
    ///
    /// # Safety
    /// The caller owns the P, and uses nothing of it afterwards.
    #[inline]
    pub unsafe fn release(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.set::<PRUNNING, PIDLE>() };
    }

    /// The owner changes the state, which is `OLD`. Release: whichever thread acquires `NEW`
    /// sees all that the owner did before.
    ///
    /// # Safety
    /// The caller owns the P, whose state is `OLD`. A P with two owners gives one stack out
    /// twice.
    #[inline]
    pub unsafe fn set<const OLD: u32, const NEW: u32>(&self) {
        const { assert!(legal_p(OLD, NEW), "Go has no such change of state") };
        self.0.store(NEW, Release);
    }

    /// Any thread changes the state from `OLD` to `NEW`, if it is `OLD`: of several that try,
    /// exactly one gets true, and owns the P. AcqRel: it sees what the last owner did. When it
    /// fails nothing may be concluded, so that is relaxed.
    ///
    /// # Safety
    /// `OLD` is a state in which the P may be taken from its owner, who finds out by an
    /// exchange of its own.
    #[inline]
    #[must_use = "another thread may have been first"]
    pub unsafe fn try_change<const OLD: u32, const NEW: u32>(&self) -> bool {
        const { assert!(legal_p(OLD, NEW), "Go has no such change of state") };
        self.0.compare_exchange(OLD, NEW, AcqRel, Relaxed).is_ok()
    }
}

impl Default for PStatus {
    fn default() -> PStatus {
        PStatus::new()
    }
}
