//! An interrupted function is made to call another one. Mirrors `sigctxt.pushCall` of
//! `signal_amd64.go`; the chapter is *A call that nobody made*.
//!
//! What a `call` instruction does is to push the address behind it, and to jump. Here the handler
//! does both in the registers that the kernel will load when it returns. Only the place differs
//! from Go's: a function that calls nothing may keep what it likes in the 128 bytes *below* its
//! stack pointer, without moving that. Go's compiler makes no use of it; Rust's does, and std was
//! compiled with it. So the address goes below these bytes, and `async_preempt` gives them back
//! when it returns.
//!
//! ```text
//!   interrupted                        in async_preempt
//!
//!   the function's frame               the function's frame
//!   ──────────────────── ◀ rsp         ────────────────────
//!   red zone, 128 bytes                red zone, 128 bytes
//!                                      ────────────────────
//!                                      address to go back to  ◀ rsp
//! ```
//!
//! Tests: `asynchronous`.

use crate::table::context::Context;

/// Bytes below the stack pointer that belong to the function which runs (System V ABI).
pub const RED_ZONE: usize = 128;

// ANCHOR: push_call
/// The row `push_call` of this stage. Async-signal-safe.
pub fn push_call(context: &mut Context, target: usize) {
    let sp = context.sp() - RED_ZONE - size_of::<usize>();
    context.store(sp, context.pc());
    context.set_sp(sp);
    context.set_pc(target);
}
// ANCHOR_END: push_call
