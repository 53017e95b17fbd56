//! `m.locks`: how many locks of the runtime the calling thread holds. A word of the thread, so
//! that counting is one instruction, and no goroutine can change threads in the middle of it.
//! The word itself is declared in `tls.rs`.
//!
//! Tests: `preemption`.

use std::arch::asm;

/// `m.locks++` of the calling thread's M: one instruction, so that no migration can come
/// between finding M and adding.
#[inline(always)]
pub fn locks_inc() {
    // SAFETY: touches this thread's own counter. It is a compiler barrier too (no
    // `nomem`): nothing that the section guards moves out of it.
    unsafe { asm!("inc dword ptr fs:[go_tls_locks@tpoff]", options(nostack)) }
}

/// `m.locks--`.
#[inline(always)]
pub fn locks_dec() {
    // SAFETY: as for `locks_inc`.
    unsafe { asm!("dec dword ptr fs:[go_tls_locks@tpoff]", options(nostack)) }
}

/// `m.locks` of the calling thread.
#[inline(always)]
pub(crate) fn locks() -> i32 {
    let n: i32;
    // SAFETY: reads this thread's own counter.
    unsafe {
        asm!("mov {:e}, fs:[go_tls_locks@tpoff]", out(reg) n, options(nostack, preserves_flags, readonly));
    }
    n
}
