//! Memory of ended goroutines goes back to the system.
//!
//! The stack of a goroutine that has ended keeps its pages for the next one, which is what
//! makes goroutines cheap. After a burst that is too much: a million stacks keep 4 GiB. So,
//! as soon as thousands of them are free, a thread of its own looks every few seconds how
//! many were not needed since its last look, and gives their pages back, a few at a time.
//! It is no M: nothing waits for it, no limit counts it, and if it cannot be made, the memory
//! stays. Mirrors `bgscavenge` of `mgcscavenge.go`, for stacks. Not in lockstep, where no
//! time passes that the system would know of.
//!
//! Tests: below; `ends::the_memory_of_a_burst_goes_back_to_the_system`. Model:
//! `tests/loom/src/scavenge.rs`.

use crate::os;
use crate::stack::burst::Call;
use crate::stack::slots::{self, SLOT};
use safepoint_lockstep as lab;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Free stacks from which on it begins: 16 MiB at least.
pub(crate) const BEGIN: usize = 4096;
/// Free stacks that keep their pages in any case.
pub(crate) const KEEP: usize = 1024;
/// Milliseconds during which a stack must not have been needed. A program that makes a million
/// goroutines again and again should find their pages there.
static UNUSED_MS: AtomicU64 = AtomicU64::new(5_000);
/// Stacks whose pages are given back in one go; then it sleeps for a millisecond, so that
/// others get a core, and their page faults a turn.
const AT_ONCE: usize = 256;

struct State {
    thread: Option<JoinHandle<()>>,
    stop: bool,
    /// Many are free again: see `burst.rs`.
    many: Call,
}

static STATE: Mutex<State> = Mutex::new(State {
    thread: None,
    stop: false,
    many: Call::new(),
});
static WAKE: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Thousands of stacks are free: the thread is woken, or made. Returns false if it cannot be
/// made now. Holds no lock of the runtime's.
#[cold]
pub(crate) fn begin() -> bool {
    if lab::enabled() {
        return true;
    }
    let mut state = state();
    if state.thread.is_some() {
        state.many.raise();
        WAKE.notify_one();
        return true;
    }
    if state.stop || os::may_be_changed() {
        return false;
    }
    let mask = os::block_all_signals();
    let made = std::thread::Builder::new()
        .name("scavenger".to_owned())
        .stack_size(256 << 10)
        .spawn(scavenger);
    os::restore_mask(&mask);
    state.thread = made.ok();
    state.thread.is_some()
}

/// Gives back what is not needed until the run is over. Go's `bgscavenge`.
fn scavenger() {
    while sleep(Some(Duration::from_millis(UNUSED_MS.load(Relaxed)))) {
        let mut surplus = slots::surplus();
        while surplus > 0 {
            let slots = slots::take_coldest(surplus.min(AT_ONCE));
            surplus = if slots.is_empty() {
                0
            } else {
                surplus - slots.len()
            };
            give_back(slots);
            if !sleep(Some(Duration::from_millis(1))) {
                return;
            }
        }
        if slots::few_are_free() && !sleep(None) {
            return;
        }
    }
}

/// Sleeps; returns false when the run is over. Without a time, until many are free again.
fn sleep(time: Option<Duration>) -> bool {
    let mut state = state();
    if state.stop {
        return false;
    }
    if time.is_some() || !state.many.is_up() {
        let time = time.unwrap_or(Duration::MAX);
        let woken = WAKE.wait_timeout(state, time);
        state = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
    state.many.lower();
    !state.stop
}

/// The run is over: ends the thread, and gives back all that is too much at once. All Ms have
/// left.
pub(crate) fn stop() {
    let thread = {
        let mut state = state();
        state.stop = true;
        WAKE.notify_all();
        state.thread.take()
    };
    if let Some(thread) = thread {
        let _ = thread.join();
    }
    if slots::too_many_are_free() {
        give_back(slots::take_coldest(usize::MAX));
    }
    let mut state = state();
    state.stop = false;
    state.many.lower();
}

/// Gives the pages of these slots back. Neighbors go in one call.
fn give_back(mut slots: Vec<u32>) {
    slots.sort_unstable();
    let mut rest = &slots[..];
    while let Some(&first) = rest.first() {
        let from = slots::slot_base(first as usize);
        let n = rest
            .iter()
            .enumerate()
            .take_while(|&(i, &slot)| slots::slot_base(slot as usize) == from + i * SLOT)
            .count();
        if let Some(lo) = NonNull::new(from as *mut u8) {
            // SAFETY: the slots are free, and in no list but ours. The guard pages among
            // them stay guard pages.
            unsafe { os::mem::discard(lo, n * SLOT) };
        }
        rest = &rest[n..];
    }
    slots::put_clean(slots);
}

/// As if a stack were unneeded after `ms` milliseconds; for tests.
#[doc(hidden)]
pub fn give_back_after(ms: u64) {
    UNUSED_MS.store(ms, Relaxed);
}

/// Held by a unit test that has a run, or must have none beside it.
#[cfg(test)]
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;

    /// A burst ends between the thread's look, which found few free stacks, and its sleep. That
    /// is the only call of `begin` for this burst.
    #[test]
    fn a_call_that_comes_before_the_thread_sleeps_is_heard() {
        let _no_run = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        state().thread = Some(std::thread::spawn(|| ()));
        assert!(begin());
        let asleep = std::thread::spawn(|| sleep(None));
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !asleep.is_finished() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let heard = asleep.is_finished();
        stop();
        assert!(heard, "the thread sleeps, and nothing will wake it");
        assert!(asleep.join().is_ok_and(|goes_on| goes_on));
        assert!(!state().many.is_up(), "heard once");
    }
}
