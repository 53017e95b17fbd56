//! Goroutine stacks: fixed slots in a large reserved arena, of which a goroutine may use a
//! part that doubles.
//!
//! Go copies a stack that is too small to a larger place, because its compiler knows every
//! pointer into it. Rust's does not, so frames cannot move. Instead a slot is as large as a
//! stack can ever get, but only address space; the kernel gives memory page by page where
//! it is touched. Growing is lowering the guard. Mirrors `stack.go` (`newstack`'s growth,
//! `stackalloc`, `stackfree`); the chapter *The check and the flag* draws a slot:
//!
//! ```text
//!   slot + 256 KiB  ─┬─ hi (up to 2 KiB lower: tops do not share cache sets)
//!                    │   usable part: 8 KiB at first, then 16, 32, ... 216 KiB
//!                    ├─ stackguard0 = lo + 928: what the check compares
//!                    ├─ lo
//!                    │   not yet usable
//!                    │   slack, 32 KiB: for code without checks (std, libc)
//!   slot             ─┴─ guard page: touching it is the end (see `stack/guards.rs`)
//! ```
//!
//! Tests: below; `check::growth`, `ends::a_hundred_thousand_short_goroutines_leave_nothing_behind`.

use crate::arch::prefetch_below;
use crate::gmp::{G, P, STACK_CACHE};
use crate::os::{Lock, guard_word, mem};
use crate::stack::burst::Burst;
use crate::stack::guards;
use crate::stack::scavenge;
use crate::throw::{out_of_memory, throw};
use crate::trace;
use safepoint_lockstep as lab;
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Bytes of a slot.
pub const SLOT: usize = 256 << 10;
/// Usable bytes that a goroutine starts with. Go starts with 2 KiB, which a page makes
/// pointless here.
pub const STACK_MIN: usize = 8 << 10;
/// Bytes above `lo` where the check already fails: room for small functions that leave
/// their check out. Go's `_StackGuard`.
pub const STACK_GUARD: usize = 928;
/// Bytes below the largest usable part, for code that does not check. Measured: a panic
/// with std's hook and a backtrace takes 20.6 KiB, the greediest of what was tried.
pub const SLACK: usize = 32 << 10;
/// What `with_frame` allows the compiler's frames between two marks: see there.
const RULED: usize = 400;
/// So many times larger may the compiler's frames be in another build, until `portable=yes` is
/// no longer said. No number can be certain: a build may lay out any frame as it likes. This is
/// twice the largest ratio that was found at the deepest checks of the examples, 3.27 (with the
/// most optimization, the least, and none: `fairness` 1,408, 1,600 and 4,608 bytes, `pipes`
/// 1,728, 1,744 and 4,672, `fan_in` 1,504, 1,568 and 4,048). With [`FRAMES_ROOM`] it leaves
/// code that is 2,208 bytes deep here.
const FRAMES_VARY: usize = 7;
/// In lockstep every stack is longer by this, and the ruler's marks are deeper by as much: frames
/// without a mark have this room before they count. So code that is measured by the ruler grows
/// at the same calls as elsewhere, and the frames of the examples stay far from the line in every
/// build.
const FRAMES_ROOM: usize = STACK_MIN;
/// Largest distance of `hi` from the slot's end.
const COLORS: usize = 16;
const COLOR: usize = 128;
/// Bytes that a goroutine's stack may have at most: Go's `maxstacksize`, which is 1 GB.
pub const STACK_MAX: usize = SLOT - mem::PAGE - SLACK - mem::PAGE;

/// Slots of a unit, 16 MiB of address space: the least that the arena grows by.
pub(crate) const UNIT_SLOTS: usize = 64;
/// Units at most: 4 TiB of address space, 16 million stacks.
pub(crate) const UNITS: usize = 1 << 18;
/// Units that the arena grows by at most: 1 GiB.
const UNITS_AT_ONCE: usize = 64;

/// Addresses of the units, 0 for one not yet reserved. Append only.
static ARENA: [AtomicUsize; UNITS] = [const { AtomicUsize::new(0) }; UNITS];

/// Stacks that no P holds.
struct Pool {
    lock: Lock,
    inner: std::cell::UnsafeCell<PoolInner>,
}
struct PoolInner {
    /// Slots that have been used and are free again, with their pages; the coldest first.
    free: VecDeque<u32>,
    /// The length of `free`, at its least since `surplus` was asked.
    low: usize,
    /// Whether the scavenger looks after `free`, because it has become long.
    burst: Burst,
    /// Free slots whose pages have been given back.
    clean: Vec<u32>,
    /// Slots ever handed out: the next fresh one.
    fresh: usize,
}
// SAFETY: `inner` is only reached with the lock held.
unsafe impl Sync for Pool {}
static POOL: Pool = Pool {
    lock: Lock::new(),
    inner: std::cell::UnsafeCell::new(PoolInner {
        free: VecDeque::new(),
        low: 0,
        burst: Burst::new(),
        clean: Vec::new(),
        fresh: 0,
    }),
};

/// The lowest address of a slot.
pub(crate) fn slot_base(slot: usize) -> usize {
    ARENA[slot / UNIT_SLOTS].load(Acquire) + slot % UNIT_SLOTS * SLOT
}

/// Where the stack in a slot begins: its `hi`.
fn top(slot: usize) -> usize {
    slot_base(slot) + SLOT - slot % COLORS * COLOR
}

/// How much longer stacks are in this run: see [`FRAMES_ROOM`].
#[inline]
pub(crate) fn frames_room() -> usize {
    if lab::enabled() { FRAMES_ROOM } else { 0 }
}

/// The ordinary guard of `gp`: what `stackguard0` holds while there is no request.
#[inline]
pub fn ordinary_guard(gp: &G) -> usize {
    guard_word(gp.stack.lo.get() + STACK_GUARD)
}

/// The lowest address of `gp`'s stack that code may use at all: past the usable part and the
/// slack, above the guard page. Slots are not aligned to their size, and `lo` only says where
/// the check fails. 0 while no stack is bound. Async-signal-safe.
#[inline]
pub fn lowest(gp: &G) -> usize {
    gp.stack.hi.get().saturating_sub(STACK_MAX + SLACK)
}

/// Binds a stack to a goroutine that is about to run for the first time.
pub(crate) fn bind(pp: &'static P, gp: &'static G) {
    let n = pp.stackcache_n.get();
    let slot = if n > 0 {
        pp.stackcache_n.set(n - 1);
        if n > 1 {
            // The next one is in no cache, and its page in no TLB.
            prefetch_below(top(pp.stackcache[n - 2].load(Relaxed) as usize));
        }
        pp.stackcache[n - 1].load(Relaxed) as usize
    } else {
        refill(pp)
    };
    let hi = top(slot);
    gp.slot.store(slot as u32 + 1, Relaxed);
    gp.stack.hi.set(hi);
    gp.stack.lo.set(hi - STACK_MIN - frames_room());
    gp.sched.sp.set(hi);
    gp.sched.bp.set(0);
}

/// Takes the stack of a goroutine that has finished. Its dirty pages stay, for the next
/// one, unless it grew beyond what most need.
pub(crate) fn unbind(pp: &'static P, gp: &'static G) {
    if guards::unguarded_stacks() != 0 && guards::unguarded(gp) {
        guards::look_below(gp);
    }
    let Some(slot) = gp.slot.swap(0, Relaxed).checked_sub(1) else {
        return;
    };
    let (lo, hi) = (gp.stack.lo.get(), gp.stack.hi.get());
    gp.stack.lo.set(0);
    gp.stack.hi.set(0);
    if hi - lo > 4 * STACK_MIN {
        let bottom = slot_base(slot as usize) + mem::PAGE;
        let keep = (hi - STACK_MIN) & !(mem::PAGE - 1);
        if let Some(p) = NonNull::new(bottom as *mut u8) {
            // SAFETY: the goroutine has finished and its frames are dead; the caller runs
            // on g0. The guard page below stays.
            unsafe { mem::discard(p, keep - bottom) };
        }
    }
    let n = pp.stackcache_n.get();
    if n < STACK_CACHE {
        pp.stackcache[n].store(slot, Relaxed);
        pp.stackcache_n.set(n + 1);
    } else {
        spill(pp, slot);
    }
}

/// Gets a stack from the pool, and a few more for the cache. Go's `stackcacherefill`.
#[cold]
fn refill(pp: &'static P) -> usize {
    let _held = POOL.lock.lock();
    // SAFETY: the lock is held.
    let pool = unsafe { &mut *POOL.inner.get() };
    let mut n = 0;
    while n < STACK_CACHE / 2
        && let Some(slot) = pool.free.pop_back().or_else(|| pool.clean.pop())
    {
        pp.stackcache[n].store(slot, Relaxed);
        n += 1;
    }
    pool.low = pool.low.min(pool.free.len());
    if n > 0 {
        pp.stackcache_n.set(n - 1);
        return pp.stackcache[n - 1].load(Relaxed) as usize;
    }
    let slot = pool.fresh;
    if slot / UNIT_SLOTS >= UNITS {
        throw("out of goroutine stacks: 16 million are in use");
    }
    if slot.is_multiple_of(UNIT_SLOTS) && ARENA[slot / UNIT_SLOTS].load(Relaxed) == 0 {
        grow_arena(slot / UNIT_SLOTS);
    }
    guards::install(slot);
    pool.fresh += 1;
    slot
}

/// Reserves address space for units from `unit` on: as many as there are already, so a small
/// program gets along with a small limit (`ulimit -v`), and a large one is soon one mapping
/// for every GiB. The pool's lock is held.
fn grow_arena(unit: usize) {
    let mut n = unit.clamp(1, UNITS_AT_ONCE).min(UNITS - unit);
    let base = loop {
        match mem::reserve(n * UNIT_SLOTS * SLOT) {
            Ok(base) => break base,
            Err(_) if n > 1 => n /= 2,
            Err(e) => out_of_memory("an arena of goroutine stacks", e),
        }
    };
    // SAFETY: the mapping that we have just made.
    unsafe { mem::small_pages(base, n * UNIT_SLOTS * SLOT) };
    for i in 0..n {
        ARENA[unit + i].store(base.as_ptr() as usize + i * UNIT_SLOTS * SLOT, Release);
    }
}

/// Moves half of a full cache to the pool. Go's `stackcacherelease`.
#[cold]
fn spill(pp: &'static P, slot: u32) {
    let many = pool(|pool| {
        for i in STACK_CACHE / 2..STACK_CACHE {
            pool.free.push_back(pp.stackcache[i].load(Relaxed));
        }
        pool.free.push_back(slot);
        pp.stackcache_n.set(STACK_CACHE / 2);
        pool.burst.begins(pool.free.len() >= scavenge::BEGIN)
    });
    if many && !scavenge::begin() {
        pool(|pool| pool.burst.not_told());
    }
}

/// Takes the pool's lock.
fn pool<R>(f: impl FnOnce(&mut PoolInner) -> R) -> R {
    let _held = POOL.lock.lock();
    // SAFETY: the lock is held, and `f` does not come back here.
    f(unsafe { &mut *POOL.inner.get() })
}

/// How many free stacks, beyond those that always keep their pages, have not been needed since
/// this was last asked.
pub(crate) fn surplus() -> usize {
    pool(|pool| {
        let unused = std::mem::replace(&mut pool.low, pool.free.len());
        unused.saturating_sub(scavenge::KEEP)
    })
}

/// Takes the `n` coldest of the free stacks that still have their pages, if there are more
/// than those which always keep them.
pub(crate) fn take_coldest(n: usize) -> Vec<u32> {
    pool(|pool| {
        let n = n.min(pool.free.len().saturating_sub(scavenge::KEEP));
        pool.low = pool.low.saturating_sub(n);
        pool.free.drain(..n).collect()
    })
}

/// The pages of these slots have been given back.
pub(crate) fn put_clean(slots: Vec<u32>) {
    pool(|pool| pool.clean.extend(slots));
}

/// Whether so many are free that they need to be looked after.
pub(crate) fn too_many_are_free() -> bool {
    pool(|pool| pool.free.len() >= scavenge::BEGIN)
}

/// If few are free: the scavenger leaves them alone, until there are many again.
pub(crate) fn few_are_free() -> bool {
    pool(|pool| !pool.burst.goes_on(pool.free.len() >= scavenge::BEGIN))
}

/// Gives all stacks that `pp` keeps to the pool: the run is over.
pub(crate) fn flush(pp: &'static P) {
    pool(|pool| {
        pool.burst.not_told();
        for i in 0..pp.stackcache_n.get() {
            pool.free.push_back(pp.stackcache[i].load(Relaxed));
        }
    });
    pp.stackcache_n.set(0);
}

/// The stack would have to be larger than it may be.
pub(crate) struct Overflow;

/// Doubles the usable part of `gp`'s stack until `sp` fits. The goroutine is in state
/// `GCOPYSTACK`.
pub(crate) fn grow(gp: &'static G, sp: usize) -> Result<(), Overflow> {
    // Where the usable part would begin if it were as long as in a run without lockstep.
    let hi = gp.stack.hi.get() - frames_room();
    let old = hi - gp.stack.lo.get();
    let mut size = old;
    while sp <= hi - size + STACK_GUARD {
        if size >= STACK_MAX {
            return Err(Overflow);
        }
        size = (size * 2).min(STACK_MAX);
    }
    gp.stack.lo.set(hi - size);
    // If the flag was raised meanwhile, this takes it down; gp.preempt still says so,
    // but nothing looks there. The request is made again, as any lost one.
    gp.stackguard0.store(ordinary_guard(gp), Relaxed);
    trace::stack_grow(gp, size);
    if lab::enabled() && gp.ruler.get() < old + FRAMES_ROOM - STACK_GUARD {
        // The compiler's own frames crossed the line, not those of the ruler.
        lab::not_portable(lab::Portable::StackGrowth);
    }
    Ok(())
}

/// In lockstep, at each check: could a build with larger frames have grown the stack here?
/// Then the trace depends on the build, though nothing happened in this one.
pub(crate) fn near_growth(gp: &G, sp: usize) {
    if !lab::enabled() {
        return;
    }
    let (lo, hi) = (gp.stack.lo.get(), gp.stack.hi.get());
    let (depth, line) = (hi - sp.min(hi), hi - lo - STACK_GUARD);
    // What lies above the ruler's last mark is the same in every build.
    let own = depth.saturating_sub(gp.ruler.get());
    if depth < line && may_grow_elsewhere(gp.ruler.get(), own, line) {
        lab::not_portable(lab::Portable::StackGrowth);
    }
}

/// Whether frames that take `own` bytes below the mark `ruler` here may reach `line` in another
/// build.
fn may_grow_elsewhere(ruler: usize, own: usize, line: usize) -> bool {
    own > RULED && ruler + own * FRAMES_VARY >= line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the deepest check of an example, with the most optimization, with the least,
    /// and without any.
    const MEASURED: [(&str, [usize; 3]); 7] = [
        ("hello", [576, 576, 768]),
        ("two_hogs", [640, 640, 880]),
        ("deadlock", [704, 704, 1_344]),
        ("sleepers", [704, 768, 1_728]),
        ("fan_in", [1_504, 1_568, 4_048]),
        ("fairness", [1_408, 1_600, 4_608]),
        ("pipes", [1_728, 1_744, 4_672]),
    ];

    /// Each of them grows in no build, and each optimized build may say so: with a fifth more,
    /// too. What is called portable has twice the room that the worst of them needs.
    #[test]
    fn frames_of_every_build_have_room() {
        let line = STACK_MIN + FRAMES_ROOM - STACK_GUARD;
        for (name, [most, least, none]) in MEASURED {
            assert!(2 * none < line, "{name}");
            for here in [most, least] {
                assert!(!may_grow_elsewhere(0, here + here / 5, line), "{name}");
                assert!(2 * none <= here * FRAMES_VARY, "{name}");
            }
        }
        assert!(may_grow_elsewhere(0, line / FRAMES_VARY + 1, line));
    }

    /// The slack below the largest part still holds a panic with a backtrace.
    const _: () = assert!(SLACK - FRAMES_ROOM >= 21 << 10);
}
