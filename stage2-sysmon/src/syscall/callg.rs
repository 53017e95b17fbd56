//! What a system call does with the goroutine's state: the newer form, Go 1.26's. The word
//! itself is stage 1's (`gstatus.rs`); `wired.rs` is its user.
//!
//! # The race for the goroutine's state
//!
//! In the older form (`callp.rs`) the P has no owner during the call, and each way takes one
//! exchange to get it back. Here `p.m` and `PRUNNING` stay as they are, so an undisturbed call
//! costs two exchanges, in and out, which the goroutine's state needs anyway. The price is
//! paid by a thief.
//!
//! Participants: the M in the call; a thief, which is sysmon or an M that comes back from a
//! call and has lost its P; the M that gets the P next.
//!
//! The M, on its way in (`reentersyscall_wired`):
//!
//! 1. notes the P in `m.oldp` and its tick in `m.syscalltick`, marks the call as one of this
//!    form, and empties `m.p`;
//! 2. exchanges `GRUNNING` for `GSYSCALL`. From here on a thief may come.
//!
//! The thief (`take_out`):
//!
//! 1. sets the bit `GSCAN` on the state `GSYSCALL`
//!    ([`hold_in_call`](HeldStatus::hold_in_call)). While it is set, the goroutine cannot
//!    leave its call: so the M stands still, and the thief may act as if it were the M;
//! 2. looks whether the goroutine is still on that M, with that P, in a call of this form. All
//!    may have changed before step 1; now nothing does;
//! 3. if so, empties `p.m` and makes the P idle: it owns it;
//! 4. clears the bit (the drop of [`Held`]).
//!
//! The M, on its way out (`exitsyscall_wired`):
//!
//! 1. exchanges `GSYSCALL` for `GRUNNING`, as often as it takes
//!    ([`leave_call`](HeldStatus::leave_call)): that fails while the bit is set;
//! 2. looks whether `p.m` is still this M. If not, it has lost the P.
//!
//! `m.p` is empty during the call, as in the older form. All of the runtime reads `m.p` as
//! "this P is mine": to wake a goroutine is to put it into the queue of `m.p`. A thief may take
//! the P at any moment, so a call that wakes a goroutine must not find it there, or two threads
//! would move one ring's `tail`. Go leaves `m.p` as it is because nothing of Go runs between
//! enter and exit. Here a closure does.
//!
//! What the orderings carry: every exchange is both a release and an acquire. Entering
//! releases, and the thief's step 1 acquires: the thief sees what the M did as the P's owner.
//! The thief's step 4 releases, and the way out acquires: the M sees that its P is gone.
//!
//! Model: `tests/loom/src/wired.rs` runs this file, and shows what the release, the mark and the
//! empty `m.p` are for. Tests: `wired::the_p_of_a_call_that_blocks_runs_others`,
//! `wired::a_call_that_wakes_goroutines_leaves_the_p_alone`.

use stage1_coop::rt::gmp::{GRUNNING, GSCAN, GSYSCALL, GStatus};

/// `GSYSCALL` with the bit.
const HELD: u32 = GSYSCALL | GSCAN;

/// The transitions that this stage adds to a goroutine's state.
pub trait HeldStatus {
    /// Holds the goroutine in its system call, if it is in one and no other thread holds it.
    /// Go's `castogscanstatus`.
    fn hold_in_call(&self) -> Option<Held<'_>>;
    /// The goroutine leaves its call. While a thief holds it, calls `wait`, again and again.
    ///
    /// # Safety
    /// On that goroutine, which is in its call and runs on with a P.
    unsafe fn leave_call(&self, wait: impl FnMut());
}

// ANCHOR: held_status
impl HeldStatus for GStatus {
    #[inline]
    fn hold_in_call(&self) -> Option<Held<'_>> {
        // SAFETY: the bit changes nothing about the goroutine, and goes when `Held` is dropped.
        unsafe { self.try_change::<GSYSCALL, HELD>() }.then(|| Held(self))
    }

    #[inline]
    unsafe fn leave_call(&self, wait: impl FnMut()) {
        // SAFETY: the caller's promise.
        if !unsafe { self.try_change::<GSYSCALL, GRUNNING>() } {
            // SAFETY: the same.
            unsafe { leave_when_let(self, wait) };
        }
    }
}

/// A thief holds it. Out of the way: what has to be kept over a call would cost every call
/// registers.
#[cold]
#[inline(never)]
unsafe fn leave_when_let(status: &GStatus, mut wait: impl FnMut()) {
    loop {
        wait();
        // SAFETY: the promise of `leave_call`'s caller.
        if unsafe { status.try_change::<GSYSCALL, GRUNNING>() } {
            return;
        }
    }
}

/// A goroutine that cannot leave its system call before this is dropped.
#[must_use = "the goroutine can leave its call when this is dropped"]
pub struct Held<'a>(&'a GStatus);

impl Drop for Held<'_> {
    /// Go's `casfrom_Gscanstatus`.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a `Held` is only made by the thread that has set the bit.
        unsafe { self.0.settle::<HELD, GSYSCALL>() };
    }
}
// ANCHOR_END: held_status
