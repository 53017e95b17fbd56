//! What is below a stack: a guard page where the system allows it, and where it does not, a
//! page that must stay zero. No counterpart in Go, whose compiler checks every function.
//!
//! `MADV_GUARD_INSTALL` (Linux 6.13) guards a page without splitting its mapping: then every
//! slot has a guard page, and nothing of this file costs anything. Older kernels can only take
//! a page's protection away. That makes two mappings more, of which a process may have 65,530
//! (`vm.max_map_count`): about 32,000 stacks. So there the first few thousand slots have a
//! guard page, those that most programs ever use; of the others one in 64, so that a recursion
//! without end does end. For the rest there is the *lowest page*: nothing touches it as long
//! as the stack fits its slot, so it reads as zero. Whenever such a goroutine does something
//! that a trace would show, it is looked at. Overwritten, it means that a function without a
//! check has used more stack than there is, and perhaps another goroutine's: the process ends.
//!
//! The look is behind the branch that every event has anyway (`trace::on`). So where all have
//! guard pages, a switch costs what it cost.
//!
//! Tests: `bad_input::system`.

use crate::gmp::{G, M};
use crate::os::mem;
use crate::stack::slots::{SLOT, UNIT_SLOTS, UNITS, slot_base};
use crate::throw::{out_of_memory, throw_args};
use crate::trace;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// A bit for each slot that has no guard page. Set before the slot is used, never cleared.
static UNGUARDED: [AtomicU64; UNITS] = [const { AtomicU64::new(0) }; UNITS];
/// How many.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Slots whose guard page is a mapping of its own.
static SPLIT: AtomicUsize = AtomicUsize::new(0);
/// The first so many slots get a mapping of their own if need be. Set for tests only;
/// otherwise it follows from `vm.max_map_count`.
static FIRST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Mappings that the process may have.
fn max_map_count() -> usize {
    static MAPS: OnceLock<usize> = OnceLock::new();
    *MAPS.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/vm/max_map_count")
            .ok()
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(65_530)
    })
}

/// Whether to split a mapping for this slot's guard page. The first ones take a quarter of
/// what there is, those in between half of it at most; the rest is the program's.
fn may_split(slot: usize) -> bool {
    let first = match FIRST.load(Relaxed) {
        usize::MAX => max_map_count() / 8,
        n => n,
    };
    slot < first
        || (slot.is_multiple_of(UNIT_SLOTS) && SPLIT.load(Relaxed) < max_map_count() / 8 * 3)
}

/// Puts something below the stack of a slot that has not been used yet. The pool's lock is held.
pub(crate) fn install(slot: usize) {
    let Some(page) = NonNull::new(slot_base(slot) as *mut u8) else {
        return;
    };
    // SAFETY: the lowest page of a slot that has not been used yet.
    if unsafe { mem::guard_marker(page) } {
        return;
    }
    if may_split(slot) {
        // SAFETY: as above.
        match unsafe { mem::protect(page) } {
            Ok(()) => {
                SPLIT.fetch_add(1, Relaxed);
                return;
            }
            // The program itself has so many mappings.
            Err(nix::Error::ENOMEM) => {}
            Err(e) => out_of_memory("the guard page of a goroutine's stack", e),
        }
    }
    UNGUARDED[slot / UNIT_SLOTS].fetch_or(1 << (slot % UNIT_SLOTS), Relaxed);
    if COUNT.fetch_add(1, Relaxed) == 0 {
        trace::look_at_stacks(look);
    }
}

/// How many stacks have been handed out that have no guard page: 0 from Linux 6.13 on.
pub fn unguarded_stacks() -> usize {
    COUNT.load(Relaxed)
}

/// As on a kernel where the first `n` stacks get a guard page at most; for tests.
#[doc(hidden)]
pub fn split_for_first(n: usize) {
    FIRST.store(n, Relaxed);
}

/// Whether the goroutine's stack has no guard page.
pub(crate) fn unguarded(gp: &G) -> bool {
    gp.slot.load(Relaxed).checked_sub(1).is_some_and(|slot| {
        let slot = slot as usize;
        UNGUARDED[slot / UNIT_SLOTS].load(Relaxed) >> (slot % UNIT_SLOTS) & 1 != 0
    })
}

/// Whether `addr` is in the page that would have stopped a goroutine's stack: its own guard
/// page, or, if it has none, that of a slot below it.
pub(crate) fn stopped_by_guard_page(gp: &G, addr: usize) -> bool {
    let Some(slot) = gp.slot.load(Relaxed).checked_sub(1) else {
        return false;
    };
    let slot = slot as usize;
    let lowest = match unguarded(gp) {
        true => slot / UNIT_SLOTS * UNIT_SLOTS,
        false => slot,
    };
    (lowest..=slot).any(|s| (slot_base(s)..slot_base(s) + mem::PAGE).contains(&addr))
}

/// Bytes between two words that are looked at: a function's frame is rarely larger.
const STEP: usize = 128;

/// The goroutine that runs on `mp` does something. If its stack has no guard page: is the
/// lowest page still zero?
#[cold]
pub(crate) fn look(mp: &'static M) {
    if let Some(gp) = mp.curg.get()
        && unguarded(gp)
    {
        look_below(gp);
    }
}

/// As [`look`], for a goroutine whose stack is about to be another's.
pub(crate) fn look_below(gp: &'static G) {
    let Some(slot) = gp.slot.load(Relaxed).checked_sub(1) else {
        return;
    };
    let page = slot_base(slot as usize);
    let overwritten = (page..page + mem::PAGE).step_by(STEP).any(|at| {
        // SAFETY: the page belongs to the goroutine's slot and has no guard, so it can be
        // read. Only the goroutine's own thread ever writes there, and that is this one, or
        // it has ended. Volatile: that it reads as zero is not for the compiler to know.
        unsafe { std::ptr::read_volatile(at as *const usize) != 0 }
    });
    if overwritten {
        throw_args(format_args!(
            "stack overflow: goroutine {} ({}) has used more than its {} KiB in code without a check, and has no guard page (before Linux 6.13 only some stacks have one)",
            gp.goid.get(),
            trace::Escaped(gp.name.get()),
            SLOT / 1024 - 4,
        ));
    }
}
