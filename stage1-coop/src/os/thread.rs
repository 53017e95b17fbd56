//! New threads, and what becomes of those that end. Mirrors `newosproc`: the thread is created
//! with all signals blocked, so that none can arrive before it has a signal stack and knows
//! its M.
//!
//! Tests: `threads`, `bad_input::system::without_threads_the_program_ends_with_go_s_words`.

use super::{block_all_signals, mem, restore_mask};
use crate::arch::getm_opt;
use crate::gmp::M;
use nix::sys::signal::SigSet;
use safepoint_lockstep as lab;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Address space for the stack of an M's scheduler and of everything that runs on `g0`
/// (a goroutine dump symbolises there).
const G0_STACK: usize = 1 << 20;

/// What a thread of the runtime does: the scheduler hands it in.
static BODY: OnceLock<fn(&'static M)> = OnceLock::new();

/// Threads do this from now on. The first call counts.
pub(crate) fn set_thread_body(body: fn(&'static M)) {
    let _ = BODY.set(body);
}

/// How often a thread is asked for that the kernel refuses with EAGAIN: the shortage may pass,
/// and so does an `exec` that another thread is in the middle of (Go 1.15 keeps the two apart
/// by `execLock`). Each time a millisecond later, 210 in all. Go's `retryOnEAGAIN`, which
/// 1.15 does not have.
const TRIES: u64 = 20;

/// Starts a thread that is the M `mp`. Go's `newosproc`.
///
/// # Errors
/// The kernel's, when it has no more threads or memory; nothing was changed then.
pub(crate) fn newosproc(mp: &'static M) -> Result<(), std::io::Error> {
    // Not faster than threads end: otherwise those that are at their end pile up.
    ends(None);
    let actor = lab::enabled().then(lab::register);
    HAS_THREADS.store(true, Relaxed);
    // Held until the handle is there: a thread that ends at once waits for it.
    let mut place = mp.thread.lock().expect("no panic while it is held");
    let mask = block_all_signals();
    let made = as_m0(|| {
        let mut tries = 0;
        loop {
            match spawn(mp, actor) {
                Err(e) if e.raw_os_error() == Some(libc::EAGAIN) && tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(tries));
                }
                made => break made,
            }
        }
    });
    restore_mask(&mask);
    match made {
        Ok(handle) => {
            *place = Some(handle);
            Ok(())
        }
        Err(error) => {
            if let Some(actor) = actor {
                lab::unregister(actor);
            }
            Err(error)
        }
    }
}

fn spawn(mp: &'static M, actor: Option<lab::ActorId>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("m{}", mp.id.get()))
        .stack_size(G0_STACK)
        .spawn(move || {
            if let Some(actor) = actor {
                lab::enter(actor);
            }
            if let Some(body) = BODY.get() {
                body(mp);
            }
            if actor.is_some() {
                lab::leave();
            }
        })
}

/// The last thread that has come to its end. Until it is joined, the C library keeps its
/// stack.
static ENDED: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// The calling thread, whose handle is `mine`, is about to end: it waits for the end of the
/// one before it, and the next will wait for its own. So at most one thread is left that has
/// ended and still has its stack, and waiting for that one means waiting for all. That is
/// what a caller with `None` does: before a new thread is made, and when the run is over.
///
/// In lockstep the caller holds the baton while it waits. The thread before it has handed the
/// baton on, so it needs nothing any more.
pub(crate) fn ends(mine: Option<JoinHandle<()>>) {
    let before = std::mem::replace(
        &mut *ENDED.lock().unwrap_or_else(PoisonError::into_inner),
        mine,
    );
    if let Some(before) = before {
        // A panic of such a thread has ended the process already (`no_panic`).
        let _ = before.join();
    }
}

/// The signal mask of the thread that called `run`: every M gets it, without those that no M
/// blocks.
static MASK: Mutex<Option<SigSet>> = Mutex::new(None);

/// Signals that no M of the run blocks: bit `n - 1` for number `n`.
static NEVER_BLOCKED: AtomicU64 = AtomicU64::new(0);
/// The run has asked for a second thread, which may have its mask already.
static HAS_THREADS: AtomicBool = AtomicBool::new(false);

/// A run begins: remembers the caller's signal mask for all its threads.
pub(crate) fn note_mask() {
    let mask = block_all_signals();
    restore_mask(&mask);
    *MASK.lock().unwrap_or_else(PoisonError::into_inner) = Some(mask);
    NEVER_BLOCKED.store(0, Relaxed);
    HAS_THREADS.store(false, Relaxed);
}

/// No M of this run blocks the signal `number`, whatever mask the caller of `run` had: a stage
/// that sends it to Ms needs it answered. To be called in the row `minit` of the run's first M,
/// which has its mask when the row returns, as every other. Threads that goroutines make
/// inherit it. So a program that blocks the signal to take it by `sigwait` or a signalfd misses
/// what the kernel gives to one of these threads.
///
/// # Panics
/// If the run has more than one thread already, or there is no such signal.
pub fn never_block(number: i32) {
    assert!(
        !HAS_THREADS.load(Relaxed),
        "never_block: there are threads that block it already"
    );
    assert!(
        (1..=64).contains(&number),
        "never_block: no signal has the number {number}"
    );
    NEVER_BLOCKED.fetch_or(1 << (number - 1), Relaxed);
}

/// The signal mask that every M runs with.
pub(crate) fn run_mask() -> SigSet {
    let mask = *MASK.lock().unwrap_or_else(PoisonError::into_inner);
    let mut mask = *mask.unwrap_or_else(SigSet::empty).as_ref();
    let never = NEVER_BLOCKED.load(Relaxed);
    for number in (1..=64).filter(|number| never >> (number - 1) & 1 != 0) {
        // SAFETY: the set is ours.
        unsafe { libc::sigdelset(&mut mask, number) };
    }
    // SAFETY: a set that the kernel has filled in, with fewer signals.
    unsafe { SigSet::from_sigset_t_unchecked(mask) }
}

/// Whether the kernel's idea of the calling thread may not be that of the thread which called
/// `run`: a goroutine is locked to it, or it is not the runtime's at all.
pub(crate) fn may_be_changed() -> bool {
    getm_opt().is_none_or(|mp| mp.locked_ext.load(Relaxed) != 0)
}

/// Timer slack of the thread that called `run`, in nanoseconds: how much later than asked for
/// the kernel may wake a sleeping thread.
static TIMER_SLACK: AtomicI64 = AtomicI64::new(0);

/// Remembers the caller's timer slack for all threads of the run.
pub(crate) fn note_timer_slack() {
    TIMER_SLACK.store(timer_slack(), Relaxed);
}

/// Makes a thread with the timer slack of M0, which it gets from its maker: the maker may be
/// one that has to be woken exactly.
fn as_m0<R>(make: impl FnOnce() -> R) -> R {
    let (own, m0) = (timer_slack(), TIMER_SLACK.load(Relaxed));
    if own == m0 {
        return make();
    }
    set_timer_slack(m0);
    let made = make();
    set_timer_slack(own);
    made
}

/// The calling thread's timer slack.
fn timer_slack() -> i64 {
    // SAFETY: PR_GET_TIMERSLACK has no arguments, and its answer is the call's value. The raw
    // call, because the C library's answers with an `int`.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_TIMERSLACK) }
}

fn set_timer_slack(ns: i64) {
    // SAFETY: PR_SET_TIMERSLACK takes a number and concerns the calling thread only.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_TIMERSLACK, ns) };
}

/// Whether there is address space for one more stack with its guard page: the C library gives
/// the same error for no threads and for no room.
pub(crate) fn room_for_a_stack() -> bool {
    let Ok(base) = mem::reserve(G0_STACK + mem::PAGE) else {
        return false;
    };
    // SAFETY: the lowest page of a mapping that we have just made, and then all of it.
    unsafe {
        let room = mem::protect(base).is_ok();
        mem::release(base, G0_STACK + mem::PAGE);
        room
    }
}

/// The kernel's number of the calling thread. Go's `gettid`.
pub(crate) fn this_thread_id() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}
