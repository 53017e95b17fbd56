//! A signal that one M sends to another, in lockstep: where it lands, what its handler may do,
//! and what becomes of a goroutine that it stops.
//!
//! # Protocol
//!
//! Participants: the *sender*, which holds the baton; the *handler*, on the thread that the signal
//! was sent to; the *goroutine* that was interrupted there.
//!
//! The sender:
//!
//! 1. records its event, and *then* sends the signal: an event may hand the baton on, and the
//!    handler's events come after the sender's;
//! 2. goes on. The other thread does not hold the baton, so it waits for it with all signals
//!    blocked, and the signal with it.
//!
//! The handler runs as soon as the thread that has got the baton unblocks its signals: after
//! the `int3` of [`spin`](crate::spin), in the loop that was declared to spin, or somewhere in
//! the runtime; at the same instruction in each run. So it holds the baton.
//!
//! 3. It does all of its work in [`in_handler`]. There an event takes time, as everywhere, but it
//!    is no tick of the interrupted code, and it does not hand the baton on: the thread may be in
//!    the middle of something. Waiting in a handler is impossible.
//! 4. If the goroutine is to yield, the handler makes it call a function, and returns.
//!
//! The goroutine, in that function:
//!
//! 5. calls [`stopped`] before anything that records an event. From here on the thread is an
//!    ordinary one, and the next goroutine on it has its two periods;
//! 6. yields, and comes back, on this thread or on another one;
//! 7. calls [`Stopped::goes_on`] last, with no event before it is back at the instruction where it
//!    was interrupted. If it had been declared to spin, it is declared again after a moment. If it
//!    ticks by itself instead, it was not endless, and the trace is not portable.
//!
//! Off lockstep all of this is nothing but a test of one thread-local word.
//!
//! Tests: `interrupted::a_loop_that_a_signal_stops_gives_the_same_trace_each_time`,
//! `interrupted::a_loop_that_ends_after_it_was_declared_is_told_on_whatever_thread`.

use crate::{baton, watchdog};

/// Calls `f`, which is what a handler does: step 3 above. Off lockstep, and on a thread that the
/// runtime did not make, it is a plain call.
pub fn in_handler<R>(f: impl FnOnce() -> R) -> R {
    let Some(actor) = baton::actor() else {
        return f();
    };
    debug_assert!(
        baton::is_held(),
        "a signal has come to a thread without baton"
    );
    // A fault in a handler has one, too.
    let before = watchdog::set_handler(&actor.watch, true);
    let result = f();
    watchdog::set_handler(&actor.watch, before);
    result
}

/// A goroutine that was stopped between two of its instructions: whether it had been declared to
/// spin. It stays on the goroutine's stack, and so moves with it from thread to thread.
#[must_use = "a goroutine that goes on must say so"]
pub struct Stopped {
    spins: bool,
}

/// The calling goroutine was interrupted, and is about to leave its thread: step 5 above.
pub fn stopped() -> Stopped {
    Stopped {
        spins: baton::actor().is_some_and(|actor| watchdog::take_off(&actor.watch)),
    }
}

impl Stopped {
    /// It goes on where it was interrupted, on whatever thread: step 7 above.
    pub fn goes_on(self) {
        if let Some(actor) = baton::actor().filter(|_| self.spins) {
            watchdog::goes_on(&actor.watch);
        }
    }
}
