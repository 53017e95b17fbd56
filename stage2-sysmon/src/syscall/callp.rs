//! What a system call does with `p.status`: the older form, Go 1.15's. The word itself is
//! stage 1's (`pstatus.rs`); `enter.rs`, `exit.rs` and `sysmon/retake.rs` are its users. The
//! newer form (`wired.rs`) takes a P by stage 1's `release` instead, under the goroutine's bit.
//!
//! # The race for `p.status`
//!
//! Most calls return within a microsecond, so entering must cost next to nothing: no lock,
//! and no thread is woken.
//!
//! Participants: the M in the call; sysmon; an M that comes back from a longer call; the M
//! that gets the P next.
//!
//! The M, on its way in (`reentersyscall`):
//!
//! 1. notes the P in `m.oldp` and its tick in `m.syscalltick`, and empties `m.p` and `p.m`;
//! 2. stores `PSYSCALL` ([`enter_call`](CallStatus::enter_call)). From here on the P belongs
//!    to no M, and whichever takes it first has it.
//!
//! A taker ([`take_from_call`](CallStatus::take_from_call)) is one of three:
//!
//! * the same M, back from its call (`exitsyscall_fast`): nothing happened, it runs on;
//! * sysmon, when the call takes long and the P is of use elsewhere (`retake`);
//! * another M whose own P was taken, because this P was *its* P once and is in a call again
//!   now. That is fair: it is in a hurry, and the one in the call is not.
//!
//! 1. It exchanges `PSYSCALL` for `PIDLE`. Exactly one taker succeeds. It is the P's owner
//!    then: the P is on no list, and no other M has it.
//! 2. It records the theft (if it is one), and *then* counts `p.syscalltick` up.
//! 3. It gives the P to an M: itself, or another (`handoffp`).
//!
//! An M that lost its P reads `p.syscalltick`, which only ever means "not the same call any
//! more"; while a trace is written it waits for step 2, so that its events come after the
//! thief's.
//!
//! What the orderings carry:
//!
//! * The store of `PSYSCALL` is a release, and the exchange an acquire. So the taker sees all
//!   that the M did while it was the owner: the ring's `tail` and `runnext`, `schedtick`, and
//!   that `p.m` is empty.
//! * An exchange that fails reads nothing that anything depends on, so it is relaxed.
//! * The M's own side, `m.oldp` and `m.syscalltick`, is written before the store and read by
//!   the same thread afterwards; it needs no ordering.
//!
//! Model: `tests/loom/src/syscall.rs` runs this file, and shows what the release is for.
//! Tests: `handoff::retake::every_call_gets_a_whole_round`, `sysmon::calls`.

use stage1_coop::rt::gmp::{PIDLE, PRUNNING, PSYSCALL, PStatus};

/// The transitions that this stage adds to a P's state.
pub trait CallStatus {
    /// The owner lets go: its M is in a system call from now on.
    ///
    /// # Safety
    /// The caller owns the P, and uses nothing of it before it has it back.
    unsafe fn enter_call(&self);
    /// Whether the P is in a call: a glance.
    #[must_use]
    fn in_call(&self) -> bool;
    /// Takes the P out of its call, if it is in one. Exactly one caller gets true, and owns it.
    #[must_use = "another thread may have been first"]
    fn take_from_call(&self) -> bool;
}

// ANCHOR: call_status
impl CallStatus for PStatus {
    /// A store and no exchange: the owner is the only writer. Release.
    #[inline]
    unsafe fn enter_call(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.set::<PRUNNING, PSYSCALL>() };
    }

    #[inline]
    fn in_call(&self) -> bool {
        self.get() == PSYSCALL
    }

    /// The glance before the exchange leaves the cache line where it is when the P is gone.
    /// The exchange is an acquire even for the M whose P it was: the P may have been elsewhere
    /// and have come back into a call, and then another M was its last owner.
    #[inline]
    fn take_from_call(&self) -> bool {
        // SAFETY: a P in a call may be taken; its M finds out by this same exchange.
        self.in_call() && unsafe { self.try_change::<PSYSCALL, PIDLE>() }
    }
}
// ANCHOR_END: call_status
