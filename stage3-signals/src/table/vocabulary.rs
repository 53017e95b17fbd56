//! The events that this stage adds to a trace: what each is called, and what it does. Nothing
//! here needs the runtime, so readers that cannot link it (the book) include this file. What
//! records them is in `events.rs`.
//!
//! Tests: `asynchronous`.

use safepoint_trace::Effect::{Declines, Interrupts, Lands, Nothing, Sends};

safepoint_trace::kinds! {
    SIGNAL_SENT "SignalSent" "m{n}" "SIGURG is sent to this M, for a request. There is no other one on its way there." => Sends;
    SIGNAL_SENT_AGAIN "SignalSent" "m{n} again" "The signal that is on its way has not landed for long, and may be lost: it is sent once more." => Nothing;
    SIGNAL_LANDED "SignalLanded" "" "It is in the handler, wherever it has interrupted the M." => Lands;
    SIGNAL_LANDED_AGAIN "SignalLanded" "again" "The M's timer has brought a signal: the request was refused a moment ago, and is still there." => Interrupts;
    SIGNAL_REFUSED "SignalRefused" "{s}" "The goroutine cannot be stopped at this instruction, for this reason, and runs on." => Declines;
}
