//! The rows that this stage adds to the table, for later stages and for exercises: their types,
//! and how they are found. `ROWS` in `lib.rs` fills them. They travel in the table's `more`;
//! [`rows`] finds them there by their type.
//!
//! All but the trampoline are called in a signal handler, so what fills them takes no lock,
//! allocates nothing, and comes to no guard check.
//!
//! Tests: `asynchronous`, one for each row.

use crate::table::context::Context;
use stage2_sysmon::rt::gmp::{G, M};
use stage2_sysmon::rt::last_words::throw;
use stage2_sysmon::rt::stage::stage;

/// The decisions of this stage, one row each, as in stage 1's table.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Called in the handler with the goroutine (or `g0`) that the signal has interrupted: is
    /// there a request for it, and does it run? Go's `wantAsyncPreempt`.
    pub want_async_preempt: fn(gp: &'static G) -> bool,
    /// Called in the handler if there is, with the program counter and the stack pointer: may it
    /// be stopped here, or why not? Go's `isAsyncSafePoint`.
    pub is_async_safe_point: fn(gp: &'static G, pc: usize, sp: usize) -> Result<(), &'static str>,
    /// Called in the handler if it may: changes its registers as if it had just called `target`.
    /// Go's `sigctxt.pushCall`.
    pub push_call: fn(context: &mut Context, target: usize),
    /// Where the goroutine finds itself then: saves every register, yields, and brings them back.
    /// Go's `asyncPreempt`.
    pub async_preempt: unsafe extern "C" fn(),
    /// Called in the handler after a refusal, with the reason. In Go nothing happens here: the
    /// next request comes from sysmon.
    pub refused: fn(mp: &'static M, why: &'static str),
}

/// The rows of the run: the first table of this type in the stage's `more`.
pub fn rows() -> &'static Rows {
    let found = stage().more.iter().find_map(|table| table.downcast_ref());
    match found {
        Some(rows) => rows,
        None => throw("a stage without the rows of stage 3"),
    }
}
