//! Is a goroutine asked to yield, and could it? The first of the handler's two questions. Mirrors
//! `wantAsyncPreempt` of `preempt.go`; the chapter is *May it be stopped here?*.
//!
//! A signal may come from anywhere, and late: to send it is no request. The request is in the
//! goroutine's word, or in its P's.
//!
//! Tests: `asynchronous`.

use stage2_sysmon::rt::gmp::{G, GRUNNING, GSCAN, readgstatus};
use std::sync::atomic::Ordering::Relaxed;

// ANCHOR: want_async_preempt
/// The row `want_async_preempt` of this stage. Async-signal-safe.
pub fn want_async_preempt(gp: &'static G) -> bool {
    is_asked(gp) && readgstatus(gp) & !GSCAN == GRUNNING
}
// ANCHOR_END: want_async_preempt

/// Whether there is a request for `gp`: its own, or for whatever runs on its P.
pub(crate) fn is_asked(gp: &'static G) -> bool {
    let its_p = || gp.m.get().and_then(|mp| mp.p.get());
    gp.preempt.load(Relaxed) || its_p().is_some_and(|pp| pp.preempt.load(Relaxed))
}
