//! What forbids to stop a goroutine at the instruction where a signal has found it. Mirrors
//! `isAsyncSafePoint` of `preempt.go`; the chapter is *May it be stopped here?*.
//!
//! Go's compiler writes down which of its instructions are safe, and the runtime refuses its own
//! code. Rust's compiler writes nothing down, so the rule is turned round: stopped is only what
//! runs in `gotext`, the goroutines' own code; what runs anywhere else may hold a lock of the C
//! library, be inside the allocator, or have the address of a thread's variable in a register.
//! What of that is *inlined* into `gotext` is found in the machine code: `unsafe_points.rs`.
//!
//! Each veto has a name, which the trace shows and a counter counts.
//!
//! Tests: `asynchronous`, one for each name.

use crate::safepoint::unsafe_points::{Place, look_up};
use crate::table::words::own;
use stage2_sysmon::rt::arch::{getm, in_gotext};
use stage2_sysmon::rt::gmp::G;
use stage2_sysmon::rt::stack::{SAVE_SIZE, lowest, why_not_preempt_m};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// It is not a goroutine that was interrupted, or not the one that this M runs.
pub const G0: &str = "g0";
/// The goroutine does not count as running: it is in a system call, or its stack grows.
pub const STATUS: &str = "status";
/// The instruction is other people's code.
pub const NOT_GOTEXT: &str = "not-gotext";
/// It is the slow path of a check, which belongs to no function; the flag is met there anyway.
pub const NO_FUNCTION: &str = "no-function";
/// Its function touches a variable of the thread's.
pub const THREAD: &str = "thread";
/// There is too little stack for the registers.
pub const STACK: &str = "stack";
/// The tiles of AMX are in use, which the frame has no room for.
pub const AMX: &str = "amx";
/// Return addresses are checked by the processor, so none can be put on the stack.
pub const SHADOW_STACK: &str = "shadow-stack";

/// All reasons: these, and those of `why_not_preempt_m`.
pub const VETOES: [&str; 13] = [
    G0,
    STATUS,
    NOT_GOTEXT,
    NO_FUNCTION,
    THREAD,
    "locks",
    "mallocing",
    "preemptoff",
    "p-not-running",
    "unwinding",
    STACK,
    AMX,
    SHADOW_STACK,
];

/// The 128 bytes below the stack pointer that a function may use as it likes, and the address
/// to go back to.
const BELOW: usize = 128 + 8;
/// What `async_preempt` pushes: the frame pointer, the flags, 14 registers.
const PUSHED: usize = 16 * 8;
/// What it may lose by aligning the area for the other registers.
const ALIGN: usize = 64;
/// For `async_preempt2`, down to the switch to `g0`. It takes 128 in a dev build.
const REST: usize = 1_024;

/// Bytes that must be left of a stack for its goroutine to be stopped. Go's `asyncPreemptStack`.
pub fn async_preempt_stack() -> usize {
    BELOW + PUSHED + SAVE_SIZE.get() as usize + ALIGN + REST
}

// ANCHOR: is_async_safe_point
/// The row `is_async_safe_point` of this stage. Async-signal-safe.
///
/// # Errors
/// The name of what forbids it.
pub fn is_async_safe_point(gp: &'static G, pc: usize, sp: usize) -> Result<(), &'static str> {
    let mp = getm();
    if !mp.curg.is(gp) {
        return Err(G0);
    }
    if let Some(why) = why_not_preempt_m(mp) {
        return Err(why);
    }
    // Against the bottom of the slot: `lo` only says where checks fail, and code without checks
    // uses what is below. A handler of the program's own runs on another stack.
    if sp > gp.stack.hi.get() || sp < lowest(gp) + async_preempt_stack() {
        return Err(STACK);
    }
    if !in_gotext(pc) {
        return Err(NOT_GOTEXT);
    }
    match look_up(pc) {
        Place::NoFunction => return Err(NO_FUNCTION),
        Place::ThreadLocal => return Err(THREAD),
        Place::Fine => {}
    }
    if own(mp).is_some_and(|own| own.xstate.load(Relaxed) & TILES != 0) {
        return Err(AMX);
    }
    Ok(())
}
// ANCHOR_END: is_async_safe_point

/// Bits of `XSTATE_BV`: the configuration of the tiles of AMX, and their data.
const TILES: u64 = 1 << 17 | 1 << 18;

/// How often each was the reason in this run, and the last one any other: a row's that an
/// exercise or a later stage has replaced.
static COUNTS: [AtomicU64; VETOES.len() + 1] = [const { AtomicU64::new(0) }; VETOES.len() + 1];

fn counter(why: &str) -> &'static AtomicU64 {
    let at = VETOES.iter().position(|&veto| veto == why);
    &COUNTS[at.unwrap_or(VETOES.len())]
}

/// How often `why` was the reason of a refusal in this run.
pub fn refused(why: &str) -> u64 {
    counter(why).load(Relaxed)
}

/// One more. Async-signal-safe.
pub(crate) fn count(why: &str) {
    counter(why).fetch_add(1, Relaxed);
}

/// A run begins.
pub(crate) fn reset() {
    for n in &COUNTS {
        n.store(0, Relaxed);
    }
}
