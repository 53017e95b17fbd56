//! The state of a goroutine: the word that says which thread may touch it. Go's
//! `g.atomicstatus`; the chapter is *Many G on one M*. [`casgstatus`](super::status::casgstatus)
//! changes it.
//!
//! # The life of a G
//!
//! ```text
//!                            COPYSTACK
//!                              ▲ │
//!                            6 │ │ 7
//!    0          1           2  │ ▼      3
//! IDLE ──▶ DEAD ──▶ RUNNABLE ──▶ RUNNING ──▶ WAITING
//!           ▲        ▲    ▲       │   │        │
//!           │        │    └───4───┘   │        │
//!           └────────┼────────5───────┘        │
//!                    └────────────8────────────┘
//!
//! 0  malg            made; from here on a G is never freed
//! 1  newproc         `go` puts it in front of its maker's queue; `run` does so for main
//! 2  execute         an M has taken it out of a queue
//! 3  park_m          `gopark`; then `unlockf` lets wakers find it
//! 4  gosched_impl    it yields: by itself (gosched_m), or asked to (gopreempt_m)
//! 5  goexit0         its function has returned
//! 6, 7  grow         its stack becomes larger, and it goes on
//! 8  ready           a waker found it; or park_m, when `unlockf` says no
//! ```
//!
//! The states that stand in no edge here are Go's too, and [`legal`] has the edges of all
//! stages: the numbers are an ABI, which dumps and debuggers know.
//!
//! # Protocol
//!
//! Participants: the *owner* of a goroutine, which is the only M that uses its stack and its
//! fields; the M that owns it next; anything that only reads the state (a dump, `checkdead`).
//!
//! 1. The owner finishes what it does with the goroutine: its context is saved, its `param`
//!    is written.
//! 2. The owner changes the state: one exchange, from a state that it names. A release.
//! 3. Only then does it put the goroutine where others find it: a queue, or the place that
//!    `unlockf` opens.
//! 4. The next owner takes it from there and changes the state in turn. An acquire: it sees
//!    what was done in step 1, whatever the queue's own ordering is.
//!
//! Of two Ms that find one goroutine, because it was put into two queues, exactly one makes
//! the exchange of step 4. The other finds a state that it did not expect, and what happens
//! then is the row `casgstatus_contended`.
//!
//! [`GSCAN`] is a bit on top of a state and a lock inside the word: while it is set, every
//! exchange from the plain state fails, so the goroutine stays where it is. [`legal_hold`]
//! says to which states it may be added. [`try_change`](GStatus::try_change) sets it, and the holder
//! alone clears it, with [`settle`](GStatus::settle). Nothing in this stage does.
//!
//! Model: `tests/loom/src/gstatus.rs` runs this file. Tests:
//! `states::only_go_s_changes_of_state_are_legal`, `states::a_goroutine_s_state_says_where_it_is`.

use crate::word::AtomicU32;
use std::sync::atomic::Ordering::*;

// The numbers are Go's: dumps print them, and later stages use those that this one does not.
/// Just allocated.
pub const GIDLE: u32 = 0;
/// On a run queue.
pub const GRUNNABLE: u32 = 1;
/// Running on an M with a P.
pub const GRUNNING: u32 = 2;
/// In a system call.
pub const GSYSCALL: u32 = 3;
/// Parked. A waker finds it through what it waits for.
pub const GWAITING: u32 = 4;
/// Unused since Go 1.4; kept because debuggers know the number.
pub const GMORIBUND: u32 = 5;
/// Finished, or not yet started; on a free list.
pub const GDEAD: u32 = 6;
/// Unused.
pub const GENQUEUE: u32 = 7;
/// Its stack is being exchanged for a larger one.
pub const GCOPYSTACK: u32 = 8;
/// Stopped itself because it was asked to.
pub const GPREEMPTED: u32 = 9;
/// A bit on top of a state: the goroutine is held in it.
pub const GSCAN: u32 = 0x1000;

/// Go's word for a G state, as dumps print it.
pub fn gstatus_name(status: u32) -> &'static str {
    match status & !GSCAN {
        GIDLE => "idle",
        GRUNNABLE => "runnable",
        GRUNNING => "running",
        GSYSCALL => "syscall",
        GWAITING => "waiting",
        GDEAD => "dead",
        GCOPYSTACK => "copystack",
        GPREEMPTED => "preempted",
        _ => "???",
    }
}

/// Go's legal changes from one plain state to another, as far as the stages need them. This one
/// makes those of the picture above. The others, by Go's functions:
///
/// * running to syscall: `entersyscall`; back to running: `exitsyscall`, and to runnable, if
///   there is no P: `exitsyscall0`;
/// * running to preempted: `preemptPark`; preempted to waiting: `suspendG`.
///
/// A stage with more of them adds them here, with Go's function.
pub const fn legal(old: u32, new: u32) -> bool {
    matches!(
        (old, new),
        (GIDLE, GDEAD)
            | (GDEAD, GRUNNABLE)
            | (GRUNNABLE, GRUNNING)
            | (GRUNNING, GRUNNABLE)
            | (GRUNNING, GWAITING)
            | (GRUNNING, GDEAD)
            | (GRUNNING, GSYSCALL)
            | (GRUNNING, GCOPYSTACK)
            | (GRUNNING, GPREEMPTED)
            | (GWAITING, GRUNNABLE)
            | (GSYSCALL, GRUNNING)
            | (GSYSCALL, GRUNNABLE)
            | (GCOPYSTACK, GRUNNING)
            | (GPREEMPTED, GWAITING)
    )
}

/// Whether `held` is the plain state `state` with [`GSCAN`] on top, and Go holds goroutines
/// in that state.
pub const fn legal_hold(state: u32, held: u32) -> bool {
    held == state | GSCAN && matches!(state, GRUNNABLE | GRUNNING | GSYSCALL | GWAITING)
}

/// The word. See the module.
#[repr(transparent)]
pub struct GStatus(AtomicU32);

impl GStatus {
    /// The state of a G that was just allocated.
    #[cfg(not(loom))]
    pub const fn new() -> GStatus {
        GStatus(AtomicU32::new(GIDLE))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> GStatus {
        GStatus(AtomicU32::new(GIDLE))
    }

    /// The state, with the bit. Acquire: what its last owner did before it came to be is seen.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Acquire)
    }

    // ANCHOR: try_change
    /// Changes the state from `OLD` to `NEW` if it is `OLD`. The edge is checked when the
    /// program is compiled: a change that Go does not have, or a bit on a state that Go does
    /// not hold, does not build.
    ///
    /// AcqRel: steps 2 and 4 of the protocol at once.
    ///
    /// # Safety
    /// The goroutine is what `NEW` says, or the caller makes it so before any thread acts on
    /// the state: see `casgstatus`, through which all but a stage's own edges go. A running
    /// goroutine that is called runnable is run by two Ms on one stack.
    #[inline]
    #[must_use = "the state may have been another"]
    pub unsafe fn try_change<const OLD: u32, const NEW: u32>(&self) -> bool {
        const {
            assert!(
                legal(OLD, NEW) || legal_hold(OLD, NEW),
                "Go has no such change of state"
            );
        };
        self.0.compare_exchange(OLD, NEW, AcqRel, Acquire).is_ok()
    }
    // ANCHOR_END: try_change

    /// Changes the state from `HELD` to `NEW`, which is the same without the bit. No other
    /// thread can change the word meanwhile, so this is a store. Release: the next exchange
    /// sees what was done under the bit.
    ///
    /// # Safety
    /// The caller has set the bit, and it is still set.
    #[inline]
    pub unsafe fn settle<const HELD: u32, const NEW: u32>(&self) {
        const { assert!(legal_hold(NEW, HELD), "Go does not hold that state") };
        self.0.store(NEW, Release);
    }

    /// The state of a `g0`, which counts as running for ever.
    ///
    /// # Safety
    /// On the thread whose `g0` it is, before any other looks.
    pub(crate) unsafe fn set_g0(&self) {
        self.0.store(GRUNNING, Relaxed);
    }
}

impl Default for GStatus {
    fn default() -> GStatus {
        GStatus::new()
    }
}
