//! How many use a descriptor: counts, in one word, from which the last user learns that it is
//! the last. Mirrors the reference count of `fdMutex` of Go's package `internal/poll`.
//!
//! Go's process is one run; ours may have several, and a goroutine that is inside an operation
//! when its run ends never leaves it. So goroutines are counted apart from threads, and the
//! word says of which run they are. Once that run is over they are lost, and no longer count:
//! otherwise a descriptor at which one waited could never be given back to the kernel.
//!
//! Tests: below, and `netpoll::runs::a_descriptor_can_be_closed_when_the_run_of_its_goroutines_is_over`.

use crate::netpoll::epoll;
use stage1_coop::rt::arch::on_goroutine;
use stage1_coop::rt::gmp::SCHED;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, SeqCst},
};

/// Bits 0 to 27.
const GOROUTINE: u64 = 1;
const GOROUTINES: u64 = (1 << 28) - 1;
/// Bits 28 to 49: there are at most 2^22 threads.
const THREAD: u64 = 1 << 28;
const THREADS: u64 = ((1 << 22) - 1) << 28;
/// Bit 50: the descriptor is closed for new users.
const CLOSED: u64 = 1 << 50;
/// The bits above: the run of the goroutines, its low 13 bits. If 8192 runs later a count is
/// taken for one of that run, a descriptor stays open; it is not closed too early.
const RUN_SHIFT: u32 = 51;

/// Which run it is.
#[derive(Clone, Copy)]
struct Now {
    /// Its number, at the place that it has in the word.
    run: u64,
    /// All its threads have left it.
    over: bool,
}

/// Asks for the run. The poller's number moves at the beginning of a run and at its end.
#[inline]
fn now() -> Now {
    Now {
        run: u64::from(epoll::run().div_ceil(2)) << RUN_SHIFT,
        over: SCHED.live.load(SeqCst) == 0,
    }
}

/// See the module.
pub(crate) struct Users(AtomicU64);

/// What the caller counts for. It is the same when it leaves: a goroutine does not become a
/// thread in between.
fn share() -> u64 {
    if on_goroutine() { GOROUTINE } else { THREAD }
}

impl Users {
    pub(crate) const fn new() -> Users {
        Users(AtomicU64::new(0))
    }

    /// Counts the caller; false if the descriptor is closed. Not inlined, nor is
    /// [`leave`](Self::leave): goroutines park in the frames of the callers, and small ones keep
    /// stacks small.
    #[inline(never)]
    pub(crate) fn enter(&self) -> bool {
        let one = share();
        let after = |word| (word & CLOSED == 0).then(|| counted(word, one, now()));
        self.change(after).is_some()
    }

    /// Takes the caller out of the count. True: it was the last one at a closed descriptor.
    #[inline(never)]
    pub(crate) fn leave(&self) -> bool {
        let one = share();
        nobody_left(self.0.fetch_sub(one, AcqRel) - one)
    }

    /// Closes it for new users; false if it was closed before. The caller is a user.
    pub(crate) fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, AcqRel) & CLOSED == 0
    }

    /// For a descriptor that is closed, but whose last users were lost with their run before
    /// they could leave. True once: the caller is in the place of the last one.
    pub(crate) fn forget_lost(&self) -> bool {
        let after = |word| {
            let without = without_lost(word, now());
            (word & CLOSED != 0 && without != word).then_some(without)
        };
        self.change(after).is_some_and(nobody_left)
    }

    /// Replaces the word by what `f` makes of it; returns the new one, or `None` if `f` does.
    ///
    /// Acquire and release at each step: a thread that finds the goroutines of a run in the
    /// word then sees that this run has begun, so it cannot take them for those of an old one.
    #[inline]
    fn change(&self, f: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.0.load(Acquire);
        loop {
            let new = f(word)?;
            match self.0.compare_exchange_weak(word, new, AcqRel, Acquire) {
                Ok(_) => return Some(new),
                Err(other) => word = other,
            }
        }
    }
}

fn nobody_left(word: u64) -> bool {
    word & CLOSED != 0 && word & (GOROUTINES | THREADS) == 0
}

/// The word without goroutines whose run is over: all its threads have left, or there is a
/// newer run, which begins only after that.
#[inline]
fn without_lost(word: u64, now: Now) -> u64 {
    if word & GOROUTINES != 0 && (now.over || word >> RUN_SHIFT != now.run >> RUN_SHIFT) {
        return word & !GOROUTINES;
    }
    word
}

/// The word with one more user.
#[inline]
fn counted(word: u64, one: u64, now: Now) -> u64 {
    let word = without_lost(word, now) + one;
    if one == GOROUTINE {
        return word & ((1 << RUN_SHIFT) - 1) | now.run;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn run(n: u64, over: bool) -> Now {
        let run = n << RUN_SHIFT;
        Now { run, over }
    }

    #[test]
    fn goroutines_count_as_long_as_their_run() {
        let word = counted(counted(0, GOROUTINE, run(1, false)), THREAD, run(1, false));
        assert_eq!(without_lost(word, run(1, false)), word);
        for later in [run(1, true), run(2, false), run(2, true)] {
            assert_eq!(without_lost(word, later) & (GOROUTINES | THREADS), THREAD);
        }
        let next = counted(word, GOROUTINE, run(2, false));
        assert_eq!(next & (GOROUTINES | THREADS), GOROUTINE + THREAD);
        assert_eq!(without_lost(next, run(2, false)), next);
    }

    #[test]
    fn a_thread_does_not_say_whose_the_goroutines_are() {
        let word = counted(0, GOROUTINE, run(1, false));
        let word = counted(word, THREAD, run(2, false));
        assert_eq!(word & (GOROUTINES | THREADS), THREAD);
        let word = counted(word - THREAD, GOROUTINE, run(3, false));
        assert_eq!(without_lost(word, run(3, false)), word);
    }

    #[test]
    fn the_numbers_of_runs_go_round() {
        let last = run((1 << 13) - 1, false);
        let word = counted(0, GOROUTINE, last);
        assert_eq!(without_lost(word, last), word);
        let word = counted(word, GOROUTINE, run(1 << 13, false));
        assert_eq!(word, GOROUTINE);
    }

    #[test]
    fn the_last_one_of_a_closed_descriptor_is_told_once() {
        let users = Users::new();
        assert!(users.enter() && users.enter());
        assert!(!users.leave());
        assert!(users.close());
        assert!(!users.close(), "closed already");
        assert!(!users.enter());
        assert!(users.leave());
        assert!(!users.forget_lost(), "nobody was lost");
        // Another one, with a goroutine that never leaves.
        let users = Users(AtomicU64::new(GOROUTINE | CLOSED | 1 << RUN_SHIFT));
        assert!(users.forget_lost());
        assert!(!users.forget_lost(), "once");
    }
}
