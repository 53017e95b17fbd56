//! One signal in flight for each M, and its acknowledgement: the word of the protocol between a
//! thread that asks and the handler that answers. Go's `m.signalPending` and `m.preemptGen`; the
//! chapter is *Refused, and asked again*.
//!
//! A signal costs its sender a system call and its receiver two microseconds, and a second one
//! that is on its way at the same moment tells nothing new: pending signals of one number merge
//! into one. So there is at most one request's signal on its way to each M.
//!
//! # Protocol
//!
//! Participants: threads that ask (sysmon, a collector that stops the world, several at once);
//! the handler, on the M's own thread; the next thread that becomes this M.
//!
//! An asker (`preempt_m`):
//!
//! 1. leaves its request where the handler looks (`g.preempt`, `p.preempt`);
//! 2. calls [`ask`](SignalWord::ask). The asker that finds no signal in flight sends one; the
//!    others have nothing to do, because the handler that is to come will see their requests.
//! 3. If there is no such thread any more, its signal will not land: it takes its mark back
//!    ([`vanished`](SignalWord::vanished)).
//!
//! The handler, **before it looks at anything**:
//!
//! 1. calls [`landed`](SignalWord::landed): no signal is in flight, and the generation is one
//!    higher, whether the answer will be yes or no. It does so for *every* SIGURG. Signals merge,
//!    so a stranger's may be all that arrives of a request's, and a handler that clears the mark
//!    only for a signal that says it came by `tgkill` leaves it set for ever.
//! 2. looks for requests.
//!
//! A request that comes after step 1 finds no signal in flight and sends another one, which lands
//! when the handler has returned. If the mark were cleared last, it would find one, and no handler
//! would see it.
//!
//! The next thread of the M calls `landed` too, once its number is written down: a signal that was
//! meant for the last thread lands nowhere.
//!
//! What the orderings carry: `ask` is one exchange that always writes, and releases; `landed`
//! acquires. So the handler sees the requests of all askers before it, and also of those that
//! found the mark set and sent nothing: with an exchange that fails, these would release nothing.
//!
//! Model: `tests/loom/src/signal.rs` runs this file, with each of these mistakes beside it.
//!
//! Tests: `tests/loom/src/signal.rs`, `asynchronous`.

#[cfg(loom)]
use loom::sync::atomic::AtomicU32;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A signal is in flight.
const IN_FLIGHT: u32 = 1;
/// One generation.
const GENERATION: u32 = 2;

/// The word. See the module.
#[repr(transparent)]
pub struct SignalWord(AtomicU32);

/// The right and the duty to send the signal that the word says is in flight.
#[must_use = "the word says that a signal is in flight: send it"]
pub struct Sender(u32);

impl SignalWord {
    /// No signal in flight, generation 0.
    #[cfg(not(loom))]
    pub const fn new() -> SignalWord {
        SignalWord(AtomicU32::new(0))
    }

    /// The same, of the model checker's word, which cannot be a constant.
    #[cfg(loom)]
    pub fn new() -> SignalWord {
        SignalWord(AtomicU32::new(0))
    }

    /// A request has been left: the caller sends the signal, unless one is in flight.
    pub fn ask(&self) -> Option<Sender> {
        let before = self.0.fetch_or(IN_FLIGHT, AcqRel);
        (before & IN_FLIGHT == 0).then_some(Sender(before | IN_FLIGHT))
    }

    /// The signal of `sender` will not land, for its thread is gone. If the word has moved on
    /// meanwhile, so has the mark.
    pub fn vanished(&self, sender: Sender) {
        let unsent = sender.0 & !IN_FLIGHT;
        let _ = self.0.compare_exchange(sender.0, unsent, Relaxed, Relaxed);
    }

    /// A signal is here: none is in flight, and the generation goes up. Returns whether a
    /// request's was in flight.
    pub fn landed(&self) -> bool {
        let mut seen = self.0.load(Relaxed);
        loop {
            let next = (seen & !IN_FLIGHT).wrapping_add(GENERATION);
            // It fails once at most for each asker that comes in between: their mark is set then.
            match self.0.compare_exchange(seen, next, AcqRel, Relaxed) {
                Ok(_) => return seen & IN_FLIGHT != 0,
                Err(now) => seen = now,
            }
        }
    }

    /// How many signals have landed: a request that was left before is answered when this has
    /// changed. Go's `m.preemptGen`.
    pub fn generation(&self) -> u32 {
        self.0.load(Acquire) / GENERATION
    }

    /// Whether a signal is in flight: a glance.
    pub fn in_flight(&self) -> bool {
        self.0.load(Relaxed) & IN_FLIGHT != 0
    }
}

impl Default for SignalWord {
    fn default() -> SignalWord {
        SignalWord::new()
    }
}
