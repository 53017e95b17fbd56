//! Changing the state of a goroutine. Mirrors `casgstatus`; the chapter *Many G on one M*
//! draws the life of a G as these edges.
//!
//! Which changes are legal is decided when the program is compiled: `OLD` and `NEW` are
//! const parameters, and an edge that Go does not have does not build. Whether the
//! goroutine really *is* in the state `OLD` is checked when it happens.

use crate::gmp::{
    G, GCOPYSTACK, GDEAD, GIDLE, GPREEMPTED, GRUNNABLE, GRUNNING, GSYSCALL, GWAITING, gstatus_name,
};
use crate::stage::stage;
use crate::throw::throw_args;
use std::sync::atomic::Ordering::*;

/// Go's legal edges, of all stages: the numbers are its ABI.
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

/// The state of a goroutine. Go's `readgstatus`.
#[inline]
pub fn readgstatus(gp: &G) -> u32 {
    gp.atomicstatus.load(Acquire)
}

/// Changes the state of `gp` from `OLD` to `NEW`.
///
/// The exchange is AcqRel: what the goroutine's last owner did before it gave it away is
/// seen by its next one.
///
/// # Safety
/// The goroutine belongs to the caller, and is what `NEW` says: runnable only when no M is on
/// its stack any more (or, for [`GWAITING`], as soon as that is sure to happen first), running
/// only when the caller's M goes to it and no other. Two Ms on one stack are the price: this
/// exchange is what keeps a goroutine that stands in two queues from running twice.
// ANCHOR: casgstatus
#[inline]
pub unsafe fn casgstatus<const OLD: u32, const NEW: u32>(gp: &'static G) {
    const { assert!(legal(OLD, NEW), "Go has no such change of state") };
    while gp
        .atomicstatus
        .compare_exchange(OLD, NEW, AcqRel, Acquire)
        .is_err()
    {
        (stage().castatus_contended)(gp, OLD, NEW);
    }
}
// ANCHOR_END: casgstatus

/// The row `castatus_contended` of this stage: nobody else may touch the state, so this is
/// a bug of the runtime.
pub fn castatus_contended(gp: &'static G, old: u32, new: u32) {
    let is = readgstatus(gp);
    throw_args(format_args!(
        "casgstatus: goroutine {} is {} ({is:#x}), expected {} to become {}",
        gp.goid.get(),
        gstatus_name(is),
        gstatus_name(old),
        gstatus_name(new),
    ))
}
