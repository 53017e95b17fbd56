//! A processor: the right to run goroutines, and a queue of them. Mirrors `p` of
//! `runtime2.go`; the chapter *P, queues, stealing*.
//!
//! Tests: `states`, `waking`.

use crate::gmp::attention::Attention;
use crate::gmp::g::{EXT_WORDS, G};
use crate::gmp::m::M;
use crate::gmp::pstatus::PStatus;
use crate::gmp::record;
use crate::ring::Runq;
use crate::word::{Link, Word};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

record! {
    /// A processor: the right to run goroutines, and a queue of them.
    #[repr(C, align(64))]
    pub struct P {
        /// The queue. *owner* puts; any M steals.
        pub runq: Runq<G> = Runq::new(),
        /// Number, from 0.
        pub id: Word = Word::new(id),
        /// Whose it is: see there.
        pub status: PStatus = PStatus::new(),
        /// Turns of the scheduler that began a new time slice. *owner*; others read (relaxed).
        pub schedtick: AtomicU32 = AtomicU32::new(0),
        /// Go's `p.preempt`: a request that an asynchronous preemption answers. `schedule`
        /// clears it. Nothing sets it in this stage, whose requests go to the G alone; as in
        /// Go, the row `preempt_m` of a stage with signals does. *any*, relaxed.
        pub preempt: AtomicBool = AtomicBool::new(false),
        /// What `schedule` must look at before this P's queue; 0 nearly always. *any*,
        /// relaxed: a bit that is seen late is seen at the next turn.
        pub attention: Attention = Attention::new(),
        /// The M that holds it. *owner*; others read it to ask for preemption (acquire).
        pub m: Link<M> = Link::none(),
        /// Next idle P. *lock*
        pub link: Link<P> = Link::none(),
        /// Dead Gs, ready to be used again. *owner*
        pub gfree: Link<G> = Link::none(),
        /// How many. *owner*
        pub gfree_n: Word = Word::new(0),
        /// Slots of free stacks. *owner*
        pub stackcache: [AtomicU32; STACK_CACHE] = [const { AtomicU32::new(0) }; STACK_CACHE],
        /// How many. *owner*
        pub stackcache_n: Word = Word::new(0),
        /// When the slice began, for the trace. *owner*
        pub slice_start: AtomicU64 = AtomicU64::new(0),
        /// For later stages: the rule is in `ext.rs`.
        pub ext: [Word; EXT_WORDS] = [const { Word::new(0) }; EXT_WORDS],
    }
    /// An idle P with this number, which no run knows.
    pub fn new(id: usize);
}

/// Stacks that a P keeps for its next goroutines.
pub const STACK_CACHE: usize = 64;
