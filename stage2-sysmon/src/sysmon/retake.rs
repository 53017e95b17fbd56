//! What sysmon looks for in each round: goroutines whose time is up, and Ps that are unused
//! in a system call. Mirrors `retake` of `proc.go`.
//!
//! Sysmon is a sampler. It does not know when a slice or a call began; it only sees that
//! since its last look a counter has moved, or has not. A slice that it sees for the first
//! time is stamped with *now*, so the ten milliseconds begin then, and end at the first look
//! after they are over: a slice is between 10 and somewhat over 20 ms long.
//!
//! Tests: `handoff`, those about slices and calls;
//! `sysmon::slices::a_goroutine_that_runs_for_too_long_is_asked_by_nobody_s_hand`; loom:
//! `tests/loom/src/syscall.rs`, `tests/loom/src/wired.rs`, `tests/loom/src/checkdead.rs`.

use crate::checkdead::incidlelocked;
use crate::syscall::callp::CallStatus;
use crate::syscall::wired;
use crate::table::events;
use crate::table::rows::rows;
use crate::table::words::{OF_SYSMON, OfP, of_p};
use stage1_coop::rt::gmp::{Each, P, PRUNNING, PSYSCALL, SCHED, allp};
use stage1_coop::rt::stack::preemptone;
use stage1_coop::rt::stage::stage;
use stage1_coop::rt::word::Word;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nanoseconds that a goroutine may run before it is asked to yield. Go's
/// `forcePreemptNS`.
pub const FORCE_PREEMPT_NS: u64 = 10_000_000;
/// Nanoseconds after which a P is taken out of a system call even if no M needs it.
pub const SYSCALL_NS: u64 = 10_000_000;

/// What sysmon saw of a P when it looked last. Only sysmon writes it (with the policy of
/// `slices.rs` the P's owner, too). Go's `sysmontick`.
pub struct Sysmontick {
    /// `p.schedtick` then.
    pub schedtick: Word,
    /// When that was seen first.
    pub schedwhen: AtomicU64,
    /// `p.syscalltick` then.
    pub syscalltick: Word,
    /// When that was seen first.
    pub syscallwhen: AtomicU64,
}

impl Default for Sysmontick {
    /// Nothing seen yet: no tick has these numbers. In Go they begin at 0, and so the first
    /// call of a P's life does not get its whole round.
    fn default() -> Sysmontick {
        Sysmontick {
            schedtick: Word::new(usize::MAX),
            schedwhen: AtomicU64::new(0),
            syscalltick: Word::new(usize::MAX),
            syscallwhen: AtomicU64::new(0),
        }
    }
}

/// The note of each P.
// SAFETY: no other part of this crate uses the word.
pub(super) static SYSMONTICK: Each<OfP, Sysmontick> = unsafe { Each::at(OF_SYSMON) };

/// Sysmon's note about `pp`.
pub fn sysmontick(pp: &'static P) -> &'static Sysmontick {
    SYSMONTICK.of(of_p(pp))
}

// ANCHOR: retake
/// The row `retake` of this stage: one look at all Ps. Returns how many were taken out of a
/// system call.
pub fn retake(now: u64) -> u32 {
    let mut taken = 0;
    for pp in allp() {
        let seen = sysmontick(pp);
        // A glance (relaxed) suffices: nothing here relies on what the owner wrote before it.
        // When the state is another one by now, `preemptone` asks in vain, and `take` fails in
        // its exchange, which is what acquires the P. A tick that is read late gives a call one
        // round more or less.
        let status = pp.status.get();
        // In a call of the newer form, in which the P keeps its M.
        let keeps_p = status == PRUNNING && wired::in_call(pp);
        let mut slice_is_over = false;
        if status == PRUNNING || status == PSYSCALL {
            let tick = pp.schedtick.load(Relaxed) as usize;
            if seen.schedtick.get() != tick {
                seen.schedtick.set(tick);
                seen.schedwhen.store(now, Relaxed);
            } else if seen.schedwhen.load(Relaxed) + FORCE_PREEMPT_NS <= now {
                // A goroutine in a system call is not asked: of the older form the P has no M
                // then, and of the newer one `preemptone` sees the state.
                preemptone(pp);
                slice_is_over = true;
            }
        }
        if status == PSYSCALL || keeps_p {
            let tick = of_p(pp).syscalltick.get();
            if !slice_is_over && seen.syscalltick.get() != tick {
                // Another call than last time. Give it a whole round.
                seen.syscalltick.set(tick);
                seen.syscallwhen.store(now, Relaxed);
            } else if (rows().retake_syscall)(pp, now) && take(pp, keeps_p) {
                taken += 1;
            }
        }
    }
    taken
}
// ANCHOR_END: retake

// ANCHOR: three_conditions
/// The row `retake_syscall` of this stage. A P is worth taking if it has work in its queue;
/// if nothing else is there for new work, neither a searching M nor an idle P; and
/// in the end anyhow, because a P in a call keeps sysmon from its deep sleep.
pub fn retake_syscall(pp: &'static P, now: u64) -> bool {
    !pp.runq.is_empty()
        || SCHED.searchers.count() + SCHED.npidle.load(Relaxed) == 0
        || sysmontick(pp).syscallwhen.load(Relaxed) + SYSCALL_NS <= now
}
// ANCHOR_END: three_conditions

/// Takes `pp` out of its system call, if it is still there, and hands it off.
///
/// This is the thief's side of the protocols in `syscall/callp.rs` and `syscall/callg.rs`.
fn take(pp: &'static P, keeps_p: bool) -> bool {
    // `checkdead` does not count sysmon among the Ms. If it takes the only P, and at this moment
    // the goroutine comes back and queues, its M sees all Ms asleep, and that would look like
    // the end. So count one sleeping M less while the P is on its way.
    incidlelocked(-1);
    let won = if keeps_p {
        wired::take_out(pp)
    } else {
        pp.status.take_from_call()
    };
    if won {
        // No other thread can reach the P: it is in no list. The event first, the counter
        // afterwards: the M that comes back from the call waits for the counter, so its events
        // come after ours.
        events::proc_steal(pp);
        of_p(pp).syscalltick.bump();
        (stage().handoffp)(pp);
    }
    incidlelocked(1);
    won
}
