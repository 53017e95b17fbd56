//! Goroutines that insist on one thread. Mirrors `LockOSThread`, `stoplockedm` and
//! `startlockedm` of `proc.go`; the chapter is *Blocking, and the one unsafe word*.
//!
//! Tests: `threads`.

use crate::arch::{getg, getm, on_goroutine};
use crate::gmp::{G, M, SCHED};
use crate::prologue;
use crate::sched::template;
use crate::sched::wake::{mpark, releasep, stopm};
use crate::stage::{Wake, stage};
use crate::throw::throw;
use std::sync::atomic::Ordering::*;

/// Ties the calling goroutine to the thread that runs it: it will run on no other, and no
/// other goroutine on it, until [`unlock_os_thread`] has been called as often. A goroutine
/// that ends while locked ends its thread, and no other thread is ever a copy of it: so it
/// may change its thread in any way (priority, namespaces, credentials). Before it unlocks, it
/// must have put back what it changed. Go's `runtime.LockOSThread`.
///
/// # Panics
/// Off a goroutine.
#[inline(never)]
pub fn lock_os_thread() {
    prologue!();
    assert!(on_goroutine(), "lock_os_thread: not on a goroutine");
    template::start();
    let mp = getm();
    let n = mp.locked_ext.load(Relaxed) + 1;
    mp.locked_ext.store(n, Relaxed);
    dolock(mp, getg());
}

/// Undoes one [`lock_os_thread`]; without one it does nothing. Go's
/// `runtime.UnlockOSThread`.
///
/// # Panics
/// Off a goroutine.
#[inline(never)]
pub fn unlock_os_thread() {
    prologue!();
    assert!(on_goroutine(), "unlock_os_thread: not on a goroutine");
    let mp = getm();
    let n = mp.locked_ext.load(Relaxed);
    if n == 0 {
        return;
    }
    mp.locked_ext.store(n - 1, Relaxed);
    dounlock(mp, getg());
}

/// The runtime's own lock, beside the user's. Go's `lockOSThread`.
pub(crate) fn lock_internal(gp: &'static G) {
    let mp = getm();
    mp.locked_int
        .store(mp.locked_int.load(Relaxed) + 1, Relaxed);
    dolock(mp, gp);
}

/// Undoes [`lock_internal`].
pub(crate) fn unlock_internal(gp: &'static G) {
    let mp = getm();
    mp.locked_int
        .store(mp.locked_int.load(Relaxed) - 1, Relaxed);
    dounlock(mp, gp);
}

fn dolock(mp: &'static M, gp: &'static G) {
    mp.lockedg.set(Some(gp));
    gp.lockedm.set(Some(mp));
}

fn dounlock(mp: &'static M, gp: &'static G) {
    if mp.locked_ext.load(Relaxed) != 0 || mp.locked_int.load(Relaxed) != 0 {
        return;
    }
    mp.lockedg.set(None);
    gp.lockedm.set(None);
}

/// The M's goroutine is not runnable: gives the P away and sleeps until it is and the M is lent
/// a P for it, or until the run is over. Go's `stoplockedm`.
pub fn stoplockedm(mp: &'static M) -> Wake {
    if mp.p.get().is_some() {
        // SAFETY: mp is the calling thread's.
        let pp = unsafe { releasep(mp) };
        (stage().handoffp)(pp);
    }
    SCHED.lock().nmidlelocked += 1;
    (stage().m_idle)(mp);
    mpark(mp)
}

/// `gp` is locked to another M, which sleeps in [`stoplockedm`]: give it our P, and sleep.
/// Go's `startlockedm`.
pub(crate) fn startlockedm(mp: &'static M, gp: &'static G) {
    let Some(locked) = gp.lockedm.get() else {
        throw("startlockedm: not locked");
    };
    if std::ptr::eq(locked, mp) {
        throw("startlockedm: locked to me");
    }
    SCHED.lock().nmidlelocked -= 1;
    // SAFETY: mp is the calling thread's.
    let pp = unsafe { releasep(mp) };
    locked.nextp.set(Some(pp));
    locked.park.wakeup();
    // `schedule` looks at `attention` in either case.
    let (Wake::Up | Wake::Over) = stopm(mp);
}

/// The goroutine that ended was locked to `mp`: its thread must not run another. The P goes
/// to another M. `locked_ext` stays: if that M needs a thread, it must not be a copy of this
/// one (golang/go#28979).
pub(crate) fn abandon(mp: &'static M) {
    mp.lockedg.set(None);
    // SAFETY: mp is the calling thread's.
    (stage().handoffp)(unsafe { releasep(mp) });
}
