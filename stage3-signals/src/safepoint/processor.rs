//! What the processor may have that the injected call cannot live with: a second stack that holds
//! nothing but return addresses, and compares. With it on, the `ret` at the end of `async_preempt`
//! would be a fault, because no `call` was made. It is off for Rust's programs today, and the
//! kernel turns it on for a thread only where the C library asks; so one question at the start is
//! enough. (The tiles of AMX are another such thing; whether they are in use is asked of each
//! signal's own frame, in `vetoes.rs`.)
//!
//! Tests: `asynchronous`.

use std::arch::asm;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The next run finds a shadow stack. For tests: no machine that they run on has one.
pub fn pretend_shadow_stack() {
    PRETENDED.store(true, Relaxed);
}
static PRETENDED: AtomicBool = AtomicBool::new(false);

/// Whether the calling thread has a shadow stack.
pub(crate) fn has_shadow_stack() -> bool {
    let mut top = 0_u64;
    // SAFETY: reads a pointer; a processor without it takes the instruction for a `nop`, which
    // leaves the register as it was.
    unsafe { asm!("rdsspq {}", inout(reg) top, options(nomem, nostack, preserves_flags)) };
    top != 0 || PRETENDED.swap(false, Relaxed)
}
