//! What the scheduler must look at before it runs the next goroutine: one word of bits,
//! 0 nearly always. There is one for all Ms (`sched.attention`) and one for each P
//! (`p.attention`). Go asks the same at the top of `schedule`, in five separate tests.
//!
//! # Protocol
//!
//! Participants: the thread that *raises* a bit; every M that *looks*.
//!
//! The raiser:
//!
//! 1. writes what the bit is about;
//! 2. raises the bit. A release, so an M that sees the bit sees that;
//! 3. if the bit must reach Ms that sleep, it has done step 2 under `sched.lock`, and now
//!    wakes them. If it must reach Ms that run a goroutine, it asks those to yield
//!    (`preemptall`).
//!
//! An M looks:
//!
//! 1. at each turn of `schedule`, with a relaxed load of the word ([`any`](Attention::any)).
//!    A bit that is seen late is seen at the next turn;
//! 2. if the word is not 0, the row `schedule_slow` (or `p_slow`) asks which bit it is, with
//!    an acquire;
//! 3. before it sleeps, under `sched.lock` (`stopm`): either it sees the bit, or the raiser,
//!    which comes later, finds it in the list of those to wake;
//! 4. when it wakes: it *first* clears its note and *then* looks. A raiser that found the note
//!    set woke nothing, and relies on this look.
//!
//! Model: `tests/loom/src/attention.rs` runs this file, and shows the order of the last step.
//! Tests: `last_words::runs::what_cannot_be_stopped_ends_with_the_process_and_one_line`,
//! `diagnostics::end::the_end_of_a_run_says_who_holds_it_up_and_how`.

use crate::word::AtomicU32;
use std::sync::atomic::Ordering::*;

/// `sched.attention`: the run is over, every M leaves.
pub const ATTENTION_STOP: u32 = 1;
/// `sched.attention`: the process dies, every M stands still while goroutines are printed.
/// Go's `freezetheworld`.
pub const ATTENTION_FREEZE: u32 = 2;
/// The bits of `sched.attention` for which an M gives up its search for work. The others
/// are looked at by `schedule` alone.
pub const ATTENTION_LEAVE: u32 = 0xffff;

/// The word. See the module.
#[repr(transparent)]
pub struct Attention(AtomicU32);

impl Attention {
    /// Nothing to look at.
    #[cfg(not(loom))]
    pub const fn new() -> Attention {
        Attention(AtomicU32::new(0))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> Attention {
        Attention(AtomicU32::new(0))
    }

    /// Whether there is anything to look at: the question of the fast path.
    #[inline]
    pub fn any(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// Whether one of `bits` is up.
    #[inline]
    pub fn has(&self, bits: u32) -> bool {
        self.0.load(Acquire) & bits != 0
    }

    /// Raises `bits`; the others stay.
    pub fn raise(&self, bits: u32) {
        self.0.fetch_or(bits, SeqCst);
    }

    /// Lowers `bits`; the others stay.
    pub fn lower(&self, bits: u32) {
        self.0.fetch_and(!bits, SeqCst);
    }

    /// A new run begins: all bits are down.
    pub fn reset(&self) {
        self.0.store(0, SeqCst);
    }
}

impl Default for Attention {
    fn default() -> Attention {
        Attention::new()
    }
}
