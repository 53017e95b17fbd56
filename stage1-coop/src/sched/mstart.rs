//! The first and the last thing a thread does as an M. Mirrors `mstart`, `minit` and `mexit`
//! of `proc.go` and `os_linux.go`.
//!
//! Tests: `last_words::runs::handlers_masks_and_signal_stacks_are_put_back`,
//! `threads::a_thread_that_has_ended_leaves_nothing_behind`.

use crate::arch::{default_fp_controls, setg, setm, tls};
use crate::gmp::{M, SCHED};
use crate::os::{self, NoSignalStack};
use crate::sched::leave::{after_main, has_left};
use crate::sched::schedule::scheduler;
use crate::sched::wake::acquirep;
use crate::stage::stage;
use crate::throw::{no_panic, out_of_memory, refused, throw};
use nix::sys::signal::SigSet;
use std::sync::atomic::Ordering::*;

/// What a thread was before it became an M, to be put back.
pub(crate) struct Before {
    signal_stack: os::SignalStack,
    mask: SigSet,
}

/// The calling thread becomes the M `mp`, with `mp.g0` as its G. Go's `minit`.
pub(crate) fn minit(mp: &'static M) -> Before {
    let words = tls();
    words.locks.store(0, Relaxed);
    words.mallocing.store(0, Relaxed);
    mp.procid.store(os::this_thread_id(), Release);
    mp.g0.m.set(Some(mp));
    // SAFETY: this is the thread of mp, which begins.
    unsafe { mp.g0.atomicstatus.set_g0() };
    mp.g0.name.set("g0");
    setm(Some(mp));
    // SAFETY: the thread's own stack is `g0`'s.
    unsafe { setg(&mp.g0) };
    mp.tls.store(std::ptr::from_ref(words).cast_mut(), Release);
    let signal_stack = os::minit_signals().unwrap_or_else(|error| match error {
        NoSignalStack::Memory(what, error) => out_of_memory(what, error),
        NoSignalStack::Refused(error) => refused(format_args!("a signal stack"), &error),
    });
    let (lo, hi) = signal_stack.bounds();
    mp.signal_stack.lo.set(lo);
    mp.signal_stack.hi.set(hi);
    (stage().minit)(mp);
    // Last, as in Go: a signal that comes from here on finds all that its handler needs. A new
    // thread has blocked them all so far, and the first M those of the program's.
    let mask = os::set_mask(&os::run_mask());
    Before { signal_stack, mask }
}

/// The calling thread is no M any more. Go's `unminit`.
pub(crate) fn unminit(mp: &'static M, before: Before) {
    os::block_all_signals();
    (stage().unminit)(mp);
    mp.signal_stack.lo.set(0);
    mp.signal_stack.hi.set(0);
    os::unminit_signals(before.signal_stack);
    {
        // A reader holds this lock, and afterwards the thread may end, and another thread of
        // the system get its number.
        let _sched = SCHED.lock();
        mp.tls.store(std::ptr::null_mut(), Release);
        mp.procid.store(0, Release);
    }
    setm(None);
    os::restore_mask(&before.mask);
}

/// Body of every thread that the runtime makes. Go's `mstart`.
pub(crate) fn mstart(mp: &'static M) {
    no_panic(|| mstart1(mp));
}

/// Go's `mstart1`.
fn mstart1(mp: &'static M) {
    // The kernel gave the thread its maker's, which may be a goroutine's own.
    default_fp_controls();
    let before = minit(mp);
    let mstartfn = mp
        .mstartfn
        .lock()
        .expect("no panic while it is held")
        .take();
    let seat = mstartfn.is_some();
    if let Some(f) = mstartfn {
        f();
    }
    if let Some(pp) = mp.nextp.swap(None, Relaxed) {
        // SAFETY: this thread is mp; its maker gave the P to it alone.
        unsafe { acquirep(mp, pp) };
        scheduler(mp);
    } else if !seat {
        throw("mstart: nothing to do");
    }
    mexit(mp, before, seat);
}

/// The M runs nothing any more: it leaves the counts. Go's `mexit`, its middle.
pub(crate) fn retire(mp: &'static M, seat: bool) {
    {
        let mut sched = SCHED.lock();
        sched.nmfreed += 1;
        sched.nmsys -= i32::from(seat);
    }
    (stage().m_idle)(mp);
}

/// The thread of `mp` leaves the run. Go's `mexit`.
fn mexit(mp: &'static M, before: Before, seat: bool) {
    retire(mp, seat);
    after_main(mp);
    let thread = mp.thread.lock().expect("no panic while it is held").take();
    unminit(mp, before);
    {
        // From here on `mp` is the next thread's.
        let mut sched = SCHED.lock();
        mp.freed.store(true, Release);
        mp.schedlink.set(sched.freem);
        sched.freem = Some(mp);
    }
    os::ends(thread);
    has_left();
}
