//! Records the events that this stage adds to a trace: signals on their way, landed, and in vain.
//! What these events do is in `vocabulary.rs`.
//!
//! Tests: `asynchronous`.

pub use crate::table::vocabulary::{
    KINDS, SIGNAL_LANDED, SIGNAL_LANDED_AGAIN, SIGNAL_REFUSED, SIGNAL_SENT, SIGNAL_SENT_AGAIN,
};
use stage2_sysmon::rt::gmp::{G, M};
use stage2_sysmon::rt::trace::{emit, emit_in_handler, on};

/// A signal is about to be sent to `mp`, for request `flow`; `again`: for the one before seems
/// to be lost.
pub(crate) fn signal_sent(mp: &M, flow: u32, again: bool) {
    if on() {
        let kind = if again {
            &SIGNAL_SENT_AGAIN
        } else {
            &SIGNAL_SENT
        };
        emit(kind, [mp.id.get() as u64, 0, 0], flow);
    }
}

/// In the handler, which has interrupted `gp`: request `flow` has brought the signal, or, if that
/// was no request's, the M's timer.
pub(crate) fn signal_landed(gp: &G, flow: u32, sent: bool) {
    if on() {
        let kind = if sent {
            &SIGNAL_LANDED
        } else {
            &SIGNAL_LANDED_AGAIN
        };
        emit_in_handler(kind, [0; 3], flow, gp);
    }
}

/// In the handler, which has interrupted `gp`: request `flow` is refused.
pub(crate) fn signal_refused(gp: &G, flow: u32, why: &'static str) {
    if on() {
        let args = [why.as_ptr() as u64, why.len() as u64, 0];
        emit_in_handler(&SIGNAL_REFUSED, args, flow, gp);
    }
}
