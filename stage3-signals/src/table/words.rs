//! What this stage keeps for each M: a block behind this stage's word of the M, and for each G the
//! word itself. Go has them as fields of `m` and `g` in `runtime2.go`.
//!
//! A handler reaches its block by two loads from its thread.
//!
//! Tests: `asynchronous`.

use crate::table::signalword::SignalWord;
use stage2_sysmon::rt::gmp::{Each, G, M};
use stage2_sysmon::rt::word::Word;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64};

/// Which word of a G, an M and a P is this stage's.
const STAGE_3: usize = 1;

/// This stage's block of an M.
#[derive(Default)]
pub struct Own {
    /// The G of the M's signal stack: the handler's. Its stack has no bounds while no thread of
    /// this stage is this M. *owner*; others ask whether it has bounds.
    pub gsignal: G,
    /// Whether a signal is in flight, and how many have landed. *any*: see there.
    pub signal: SignalWord,
    /// The trace's number of the request whose signal is in flight. Written by its sender.
    pub flow: AtomicU32,
    /// Which of the extended registers were in use where the last signal has landed: `XSTATE_BV`
    /// of its frame. *owner*, in its handler.
    pub xstate: AtomicU64,
    /// How often an asker has found the same signal in flight. *any*, relaxed.
    pub unanswered: AtomicU32,
    /// The kernel's number of the timer that repeats what was refused; negative: there is none.
    /// *owner*
    pub timer: AtomicI32,
    /// It is set, and its signal has not landed. *owner*, in its handler too.
    pub timer_set: AtomicBool,
    /// Nanoseconds from the last refusal to its repetition. *owner*, in its handler.
    pub again_ns: AtomicU64,
    /// The P and the turn of its scheduler in which that was: another one is another slice.
    /// *owner*, in its handler.
    pub slice: Word,
}

// SAFETY: this stage's word, and no other part of this crate writes it.
static OWN: Each<M, Own> = unsafe { Each::at(STAGE_3) };

/// The block of `mp`; `None` before a thread of this stage has become this M. Async-signal-safe.
#[inline]
pub fn own(mp: &M) -> Option<&'static Own> {
    OWN.find(mp)
}

/// The block of `mp`, which the calling thread becomes: made, if this is the first.
pub(crate) fn make(mp: &M) -> &'static Own {
    OWN.make(mp)
}

/// Says that the goroutine has stopped at an asynchronous safe point, not at a check. *owner*.
/// Go's `g.asyncSafePoint`.
#[inline]
pub fn async_safe_point(gp: &G) -> &Word {
    &gp.ext[STAGE_3]
}

impl Own {
    /// Whether a thread of this stage is this M, and its signal stack is there. Async-signal-safe.
    pub fn is_ready(&self) -> bool {
        self.gsignal.stack.hi.get() != 0
    }
}
