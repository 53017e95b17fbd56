//! Where the current goroutine is written down: `g`, one word of thread-local storage that
//! assembly reads in one instruction.
//!
//! Rust's own `thread_local!` will not do. The compiler may keep the *address* of such a
//! variable over any call, and a goroutine that yields inside that call can come back on
//! another thread, with the address of the old thread's variable in its hand. Assembly
//! with the `fs` segment reads the right word every time. Mirrors `getg` and `TLS` of
//! Go's `asm_amd64.s`; the chapter on stacks and the switch tells it.
//!
//! Tests: `check::checks_pass_on_threads_that_the_runtime_does_not_know`, `check::switch`,
//! `threads`.

use crate::gmp::{G, M};
use std::arch::{asm, global_asm};

// `go_tls_g` starts as the address of a G whose guard is 0, so that a checked function
// called on a thread that the runtime does not know passes its check. The three other
// words are this thread's M, its `locks` and its `mallocing`.
global_asm!(
    ".pushsection .tdata.go_tls,\"awT\",@progbits",
    ".p2align 5",
    ".globl go_tls_g",
    ".hidden go_tls_g",
    ".type go_tls_g,@object",
    ".size go_tls_g, 8",
    "go_tls_g: .quad {nobody}",
    ".globl go_tls_m",
    ".hidden go_tls_m",
    ".type go_tls_m,@object",
    ".size go_tls_m, 8",
    "go_tls_m: .quad 0",
    ".globl go_tls_locks",
    ".hidden go_tls_locks",
    ".type go_tls_locks,@object",
    ".size go_tls_locks, 4",
    "go_tls_locks: .long 0",
    ".globl go_tls_mallocing",
    ".hidden go_tls_mallocing",
    ".type go_tls_mallocing,@object",
    ".size go_tls_mallocing, 4",
    "go_tls_mallocing: .long 0",
    ".popsection",
    // The section of goroutines' own code. A program without a single `#[gofunc]` has no
    // such section; weak symbols then read as 0.
    ".weak __start_gotext",
    ".hidden __start_gotext",
    ".weak __stop_gotext",
    ".hidden __stop_gotext",
    nobody = sym NOBODY,
);

/// The G of a thread that runs no goroutine and belongs to no M.
static NOBODY: G = G::new();

/// The four words above, as a structure.
#[repr(C)]
pub struct Tls {
    g: std::sync::atomic::AtomicPtr<G>,
    m: std::sync::atomic::AtomicPtr<M>,
    /// `m.locks` of the thread.
    pub locks: std::sync::atomic::AtomicI32,
    /// `m.mallocing` of the thread.
    pub mallocing: std::sync::atomic::AtomicI32,
}

/// The calling thread's words. The reference is good on this thread only.
pub(crate) fn tls() -> &'static Tls {
    let p: *const Tls;
    // SAFETY: fs:0 holds the thread pointer (x86-64 TLS ABI); the symbol's offset leads to
    // the words above, laid out as `Tls`.
    unsafe {
        asm!("mov {p}, fs:[0]", "lea {p}, [{p} + go_tls_g@tpoff]", p = out(reg) p,
             options(nostack, preserves_flags, readonly));
        &*p
    }
}

/// The current G: a goroutine, an M's `g0`, or a stand-in on foreign threads. Go's `getg`.
#[inline(always)]
pub fn getg() -> &'static G {
    let g: *const G;
    // SAFETY: the word always holds the address of a G that is never freed. Not `pure`: the
    // compiler must not reuse the value of before a switch... `gp` itself does not change
    // over a switch, but `g0` does.
    unsafe {
        asm!("mov {}, fs:[go_tls_g@tpoff]", out(reg) g, options(nostack, preserves_flags, readonly));
        &*g
    }
}

// ANCHOR: getm
/// The M of the calling thread.
///
/// # Panics
/// On a thread that the runtime did not make.
#[inline(always)]
pub fn getm() -> &'static M {
    match getm_opt() {
        Some(m) => m,
        None => foreign_thread(),
    }
}

#[cold]
#[inline(never)]
fn foreign_thread() -> ! {
    panic!("this operation of the runtime needs a goroutine, and this thread runs none")
}
// ANCHOR_END: getm

/// The M of the calling thread, if it is one.
// ANCHOR: getm_opt
#[inline(always)]
pub fn getm_opt() -> Option<&'static M> {
    let m: *const M;
    // SAFETY: the word is null or the address of an M, which is never freed.
    unsafe {
        asm!("mov {}, fs:[go_tls_m@tpoff]", out(reg) m, options(nostack, preserves_flags, readonly));
        m.as_ref()
    }
}
// ANCHOR_END: getm_opt

/// The goroutine that calls, if one does. One look at the thread, so that it may stand in a
/// goroutine's own code: only goroutines have a number.
#[inline]
pub fn goroutine() -> Option<&'static G> {
    let gp = getg();
    (gp.goid.get() != 0).then_some(gp)
}

/// Whether the caller runs on a goroutine's stack: not on `g0`, not on a foreign thread, and not on
/// a G that a later stage's signal handler is for the moment.
#[inline]
pub fn on_goroutine() -> bool {
    goroutine().is_some()
}

/// From here on the calling thread is `g`'s: every guard check compares with its stack. Go's
/// `setg`.
///
/// # Safety
/// The stack pointer is on the stack of `g`, or comes there before the next guard check and
/// before anything asks for the current goroutine; until the old one is set again, nothing
/// switches stacks in its name.
pub unsafe fn setg(g: &'static G) {
    // SAFETY: writes this thread's word with the address of a G.
    unsafe {
        asm!("mov fs:[go_tls_g@tpoff], {}", in(reg) g, options(nostack, preserves_flags));
    }
}

pub(crate) fn setm(m: Option<&'static M>) {
    let p = m.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: writes this thread's word with null or the address of an M. A thread that is
    // no M gets the stand-in back.
    unsafe {
        asm!("mov fs:[go_tls_m@tpoff], {}", in(reg) p, options(nostack, preserves_flags));
    }
    if m.is_none() {
        // SAFETY: the stand-in has no stack: the guard that a check finds in it is 0.
        unsafe { setg(&NOBODY) };
    }
}
