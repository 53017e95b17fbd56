//! Changing the state of a goroutine. Mirrors `casgstatus`; the chapter is *Many G on one M*.
//! The word itself, its life and its protocol are in `gstatus.rs`.
//!
//! Which changes are legal is decided when the program is compiled: `OLD` and `NEW` are
//! const parameters, and an edge that Go does not have does not build. Whether the
//! goroutine really *is* in the state `OLD` is checked when it happens.
//!
//! Tests: `states::only_go_s_changes_of_state_are_legal`,
//! `last_words::throws::the_scheduler_throws_what_go_s_throws`.

use crate::gmp::{G, gstatus_name};
use crate::stage::stage;
use crate::throw::throw_args;

/// The state of a goroutine. Go's `readgstatus`.
#[inline]
pub fn readgstatus(gp: &G) -> u32 {
    gp.atomicstatus.get()
}

/// Changes the state of `gp` from `OLD` to `NEW`.
///
/// What the goroutine's last owner did before it gave it away is seen by its next one.
///
/// # Safety
/// The goroutine belongs to the caller, and is what `NEW` says: runnable only when no M is on
/// its stack any more (or, for `GWAITING`, as soon as that is sure to happen first), running
/// only when the caller's M goes to it and no other. Two Ms on one stack are the price: this
/// exchange is what keeps a goroutine that stands in two queues from running twice.
// ANCHOR: casgstatus
#[inline]
pub unsafe fn casgstatus<const OLD: u32, const NEW: u32>(gp: &'static G) {
    // SAFETY: the caller's promise.
    if !unsafe { gp.atomicstatus.try_change::<OLD, NEW>() } {
        // SAFETY: as above.
        unsafe { contended::<OLD, NEW>(gp) };
    }
}
// ANCHOR_END: casgstatus

/// Asks the row what to do, and tries again. Out of the way: the exchange succeeds nearly always,
/// and what has to be kept over a call would cost its callers registers.
///
/// # Safety
/// As for [`casgstatus`].
#[cold]
#[inline(never)]
unsafe fn contended<const OLD: u32, const NEW: u32>(gp: &'static G) {
    loop {
        (stage().casgstatus_contended)(gp, OLD, NEW);
        // SAFETY: the caller's promise.
        if unsafe { gp.atomicstatus.try_change::<OLD, NEW>() } {
            return;
        }
    }
}

/// The row `casgstatus_contended` of this stage: only the owner changes the state, so this is
/// a bug of the runtime.
pub fn casgstatus_contended(gp: &'static G, old: u32, new: u32) {
    let is = readgstatus(gp);
    throw_args(format_args!(
        "casgstatus: goroutine {} is {} ({is:#x}), expected {} to become {}",
        gp.goid.get(),
        gstatus_name(is),
        gstatus_name(old),
        gstatus_name(new),
    ))
}
