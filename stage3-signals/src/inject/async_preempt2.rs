//! The goroutine has been stopped in the middle of its code, everything is saved: it yields, as
//! it would have at a check. Mirrors `asyncPreempt2` of `preempt.go`, and its end in `gopreempt_m`;
//! the chapter is *Every register, and back*.
//!
//! Go's goes two ways from here: it yields, or it parks if a collector has stopped it
//! (`g.preemptStop`). That is the decision of the row `preempted`, to which a check comes too.
//!
//! Tests: `asynchronous`.

use crate::table::words::async_safe_point;
use stage2_sysmon::rt::arch::{getg, getm, mcall};
use stage2_sysmon::rt::gmp::G;
use stage2_sysmon::rt::last_words::throw;
use stage2_sysmon::rt::os::stopped;
use stage2_sysmon::rt::sched::{Next, gosched_impl, pin_while_unwinding};
use stage2_sysmon::rt::stage::stage;
use stage2_sysmon::rt::trace::go_preempt;

// ANCHOR: async_preempt2
/// `async_preempt` calls it, on the goroutine's stack.
pub(crate) extern "C" fn async_preempt2() {
    let gp = getg();
    let interrupted = stopped();
    async_safe_point(gp).set(1);
    // A goroutine that has unwound since its last yield is let go.
    pin_while_unwinding();
    // SAFETY: on a goroutine. The thread that comes back may be another one: what was interrupted
    // is code that may be moved, and nothing here is kept.
    unsafe { mcall(preempted) }
    async_safe_point(gp).set(0);
    interrupted.goes_on();
}
// ANCHOR_END: async_preempt2

fn preempted(gp: &'static G) -> Next {
    if getm().p.get().is_none() {
        throw("async_preempt2: no p");
    }
    (stage().preempted)(gp)
}

/// The row `preempted` of this stage: as the earlier ones', and the trace says in which way the
/// goroutine was stopped. Go's `gopreempt_m`.
pub fn gopreempt_m(gp: &'static G) -> Next {
    let how = if async_safe_point(gp).get() != 0 {
        "async"
    } else {
        "coop"
    };
    go_preempt(gp, how);
    // SAFETY: on g0, and gp has just left.
    unsafe { gosched_impl(gp) };
    None
}
