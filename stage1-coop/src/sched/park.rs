//! How a goroutine comes off the processor of its own will, and back. Mirrors `gopark`,
//! `goready`, `Gosched`, `goschedImpl` and `goexit0` of `proc.go`; the chapters *Many G on
//! one M* and *Blocking, and the one unsafe word*.
//!
//! Functions that end in `_m` run on `g0`, with the goroutine that came off.
//!
//! # Protocol of parking and waking
//!
//! Participants: the goroutine that parks, and its M; the one *waker*.
//!
//! The goroutine (`gopark`) and its M (`park_m`):
//!
//! 1. under a lock, the goroutine writes down where a waker will find it;
//! 2. it leaves its stack: its context is saved, and its M goes on at `g0`;
//! 3. running becomes waiting, and `m.curg` empty;
//! 4. *then* `unlockf` releases the lock. If it says that there is nothing to wait for any
//!    more, the goroutine goes on: nothing has found it, and nothing will.
//!
//! The waker (`goready`, `ready`):
//!
//! 1. takes the lock, finds the goroutine, and removes it from there: so it is the only one;
//! 2. waiting becomes runnable. The goroutine is off its M, because step 3 above came before
//!    the lock was released;
//! 3. it puts the goroutine into a queue, and looks whether an M must be woken for it
//!    (`searchers.rs`).
//!
//! With the lock released before step 3, a waker would find a goroutine that is still running.
//! Model: `tests/loom/src/gstatus.rs` has both orders. Tests:
//! `states::a_goroutine_s_state_says_where_it_is`, and every test of a channel.

use crate::arch::{getg, getm, getm_opt, mcall, on_goroutine};
use crate::gmp::casgstatus::casgstatus;
use crate::gmp::{ATTENTION_STOP, G, GRUNNABLE, GRUNNING, GWAITING, SCHED, UnlockFn};
use crate::os;
use crate::queues::global::{globrunqput, runqput};
use crate::sched::lockosthread::{lock_internal, unlock_internal};
use crate::sched::schedule::execute;
use crate::sched::wake::wakep;
use crate::throw::throw;
use crate::trace::{self, WaitReason};
use std::sync::atomic::Ordering::*;

/// Lets others run first: the goroutine goes to the end of the global queue. Go's
/// `runtime.Gosched`. Off a goroutine it yields the thread.
#[inline(never)]
pub fn gosched() {
    if !on_goroutine() {
        return std::thread::yield_now();
    }
    pin_while_unwinding();
    // SAFETY: we are on a goroutine; this function holds nothing.
    unsafe { mcall(gosched_m) }
}

fn gosched_m(gp: &'static G) -> Option<&'static G> {
    trace::go_sched(gp);
    // SAFETY: on g0, and gp has just left.
    unsafe { gosched_impl(gp) };
    None
}

/// The row `preempted` of this stage: a goroutine that heeded a request yields. Go's
/// `gopreempt_m`.
pub fn gopreempt_m(gp: &'static G) -> Option<&'static G> {
    trace::go_preempt(gp, "coop");
    // SAFETY: on g0, and gp has just left.
    unsafe { gosched_impl(gp) };
    None
}

// ANCHOR: gosched_impl
/// Running becomes runnable, at the end of the global queue: not of the local one, where
/// the goroutine would be back too soon. Go's `goschedImpl`.
///
/// # Safety
/// On `g0` of the M that `gp` has just left.
pub unsafe fn gosched_impl(gp: &'static G) {
    // SAFETY: no M finds it before it is in the queue, below.
    unsafe {
        casgstatus::<GRUNNING, GRUNNABLE>(gp);
        dropg(gp);
    }
    let mut sched = SCHED.lock();
    globrunqput(&mut sched, gp);
}
// ANCHOR_END: gosched_impl

/// Parks the goroutine until [`goready`] is called on it. `unlockf`, if there is one,
/// runs on `g0` once the goroutine is in state `GWAITING`, with `lock`: it lets go of what
/// protects the place where the waker will find the goroutine, or says that there is
/// nothing to wait for any more (false). Go's `gopark`.
///
/// # Safety
/// * On a goroutine; `lock` is valid for `unlockf`.
/// * A waker calls [`goready`] on the goroutine only after `unlockf` has begun: because it
///   takes the lock that `unlockf` releases, or finds the goroutine in a place where
///   `unlockf` puts it. Without an `unlockf` only a waker on the same P qualifies, which
///   cannot run before the switch is over. A waker that merely sees the state `GWAITING` may
///   come before the goroutine is off its M, and then two Ms use it.
/// * A waker will find the goroutine, or it waits for ever.
#[inline(never)]
pub unsafe fn gopark(unlockf: Option<UnlockFn>, lock: *mut (), reason: WaitReason) {
    let gp = getg();
    let mp = getm();
    mp.waitunlockf.set(unlockf.map_or(0, |f| f as usize));
    mp.waitlock.store(lock, Relaxed);
    gp.waitreason.store(reason as u8, Relaxed);
    trace::go_block(gp, reason);
    pin_while_unwinding();
    // SAFETY: we are on a goroutine; this function holds nothing of the thread's.
    unsafe { mcall(park_m) }
}

// ANCHOR: park_m
fn park_m(gp: &'static G) -> Option<&'static G> {
    let mp = getm();
    // Waiting first, unlock after: a waker that gets the lock must be able to make it runnable.
    // SAFETY: on g0, and gp has just left; a waker comes after `unlockf` has begun.
    unsafe {
        casgstatus::<GRUNNING, GWAITING>(gp);
        dropg(gp);
    }
    let f = mp.waitunlockf.get();
    if f != 0 {
        mp.waitunlockf.set(0);
        // SAFETY: the word was written by gopark from an UnlockFn.
        let f: UnlockFn = unsafe { std::mem::transmute(f) };
        if !f(gp, mp.waitlock.load(Relaxed)) {
            // SAFETY: on g0 of mp; `unlockf` says that no waker will come.
            unsafe {
                casgstatus::<GWAITING, GRUNNABLE>(gp);
                return Some(execute(mp, gp, true));
            }
        }
    }
    None
}
// ANCHOR_END: park_m

/// Makes a parked goroutine runnable: it goes before all others in the queue of the
/// caller's P. Go's `goready`.
///
/// # Safety
/// The caller is the one waker that [`gopark`] speaks of.
#[inline(never)]
pub unsafe fn goready(gp: &'static G) {
    ready(gp, true);
}

/// Makes a parked goroutine runnable, in front of the queue or at its end. Go's `ready`.
/// From a thread without a P it goes to the global queue. Its callers in this crate found the
/// goroutine in a queue of waiters, under the lock that its `unlockf` released.
pub(crate) fn ready(gp: &'static G, next: bool) {
    trace::go_unblock(gp);
    // SAFETY: see above: it is off its M, and no other waker has it.
    unsafe { casgstatus::<GWAITING, GRUNNABLE>(gp) };
    match getm_opt().and_then(|mp| mp.p.get()) {
        Some(pp) => {
            runqput(pp, gp, next);
            wakep();
        }
        None => ready_from_outside(gp),
    }
}

/// The thread may be one of the program's own, which no run waits for. It is counted while
/// it uses the scheduler's lists: if its run ends meanwhile, the next one does not begin to
/// change them before it is done. Once the run is over the goroutine runs no more.
#[cold]
fn ready_from_outside(gp: &'static G) {
    if os::outside_lockstep() {
        throw("lockstep: a thread outside the runtime wakes a goroutine, at no virtual time");
    }
    SCHED.outside.fetch_add(1, SeqCst);
    let over = {
        let mut sched = SCHED.lock();
        let over = SCHED.attention.has(ATTENTION_STOP);
        if !over {
            globrunqput(&mut sched, gp);
        }
        over
    };
    if !over {
        wakep();
    }
    SCHED.outside.fetch_sub(1, SeqCst);
}

/// While a goroutine unwinds it stays on its M, because std counts a thread's panics. When
/// that is over, the next yield or the goroutine's end lets it go.
#[inline]
pub fn pin_while_unwinding() {
    let gp = getg();
    let unwinding = std::thread::panicking();
    if unwinding != gp.unwinding.load(Relaxed) {
        gp.unwinding.store(unwinding, Relaxed);
        if unwinding {
            lock_internal(gp);
        } else {
            unlock_internal(gp);
        }
    }
}

/// Takes the running goroutine off its M. Go's `dropg`.
///
/// # Safety
/// On `g0` of the M that `gp` has just left, before any other M can find `gp` runnable.
pub unsafe fn dropg(gp: &'static G) {
    getm().curg.store(None, Relaxed);
    gp.m.set(None);
}
