//! The rows that this stage adds to the table, for later stages and for exercises: their types,
//! and how they are found. `ROWS` in `lib.rs` fills them. They travel in the table's `more`;
//! [`rows`] finds them there by their type.
//!
//! Tests: `traces::generated_pages`, and one per row in `sysmon` and `handoff`.

use stage1_coop::rt::gmp::{G, P};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::Next;
use stage1_coop::rt::stage::stage;

/// The two sides of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Going in. The P was given up, and is the argument.
    Enter,
    /// Coming back, before a P is taken.
    Exit,
}

/// The decisions of this stage, one row each, as in stage 1's table.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Called by sysmon before each sleep, with the rounds in which it found nothing to do
    /// and the last sleep: how many microseconds to sleep now.
    pub sysmon_delay: fn(idle: u32, delay: u32) -> u32,
    /// Called by sysmon at the end of each round, with the time: jobs that are due whether
    /// or not they are asked for. In Go these are a collection that is forced when there
    /// was none for two minutes (`forcegc`), and giving memory back to the system (the
    /// scavenger, until Go 1.15). Stage 4 fills this slot. Here: none.
    pub sysmon_tick: fn(now: u64),
    /// Called by sysmon in each round, with the time: asks goroutines whose slice is over,
    /// takes Ps out of long system calls; returns how many it took. Go's `retake`.
    pub retake: fn(now: u64) -> u32,
    /// Called by `retake` for a P that has been in the same system call for a whole round:
    /// shall it be taken away?
    pub retake_syscall: fn(pp: &'static P, now: u64) -> bool,
    /// Called on both sides of a system call when `sched.attention` is not 0, entering when
    /// the P was given up, leaving before one is taken. The answer is asked for when
    /// leaving: may the goroutine take a P by itself?
    pub syscall_slow: fn(side: Side, pp: Option<&'static P>) -> bool,
    /// Called on `g0` when a goroutine is back from a call and found no P. Go's
    /// `exitsyscall0`.
    pub exitsyscall_slow: fn(gp: &'static G) -> Next,
    /// Called by `handoffp`: is there another reason to start an M for this P? Here: no.
    pub handoffp_gc: fn(pp: &'static P) -> bool,
    /// Called with goroutines that have just become runnable: puts each into some queue and
    /// starts Ms for them. Go's `injectglist`, its second half.
    pub injectglist: fn(list: &[&'static G]),
}

/// The rows of the run: the first table of this type in the stage's `more`.
pub fn rows() -> &'static Rows {
    let found = stage().more.iter().find_map(|table| table.downcast_ref());
    match found {
        Some(rows) => rows,
        None => throw("a stage without the rows of stage 2"),
    }
}

/// The answer of the row `syscall_slow`. Out of the way: nearly no call comes here, and what would
/// have to be kept over it would cost each of them registers.
#[cold]
#[inline(never)]
pub(crate) fn a_bit_is_set(side: Side, pp: Option<&'static P>) -> bool {
    (rows().syscall_slow)(side, pp)
}
