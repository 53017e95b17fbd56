//! SIGURG gets its handler, for as long as there is a run. Mirrors `initsig` and `initSigmask` of
//! `signal_unix.go`; the chapter is *Signals*.
//!
//! Why this signal: the C library does not use it, debuggers pass it on without a word, it is
//! ignored unless there is a handler, and a program that wants it for itself, for the urgent
//! data of a socket, is rare. Such a program keeps its handler: every SIGURG goes there, too.
//! Signals of one number merge while they are pending, so it cannot be known whose one was.
//!
//! A thread may have been told to block it by the program that started this one, or by this one
//! before the run. The Ms unblock it; what the calling thread blocked, it blocks again after the
//! run.
//!
//! Tests: `asynchronous`.

use crate::ask::preempt_m::when_unanswered;
use crate::signal::handler::sigtrampgo;
use stage2_sysmon::rt::os::{Chained, never_block, say};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// What interrupts a thread. Go's `sigPreempt`.
pub const SIG_PREEMPT: i32 = libc::SIGURG;

static CHAINED: Chained = Chained::new(SIG_PREEMPT, sigtrampgo);

/// The signal mask that the process was given, and what it was told to do with SIGURG, before
/// `main` or anything of Rust's has run. Go's `initSigmask`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BeforeMain {
    /// Blocked signals: bit `n - 1` for number `n`.
    pub mask: u64,
    /// The address of SIGURG's handler, `SIG_DFL` or `SIG_IGN`.
    pub handler: usize,
}

static MASK: AtomicU64 = AtomicU64::new(0);
static HANDLER: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Looks, and changes nothing.
#[ctor::ctor(unsafe)]
fn note() {
    // SAFETY: zeroed structures are valid values; without new ones nothing changes. Only libc is
    // called: std may not be ready.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(SIG_PREEMPT, std::ptr::null(), &mut action);
        let blocked = (1..=64).filter(|&n| libc::sigismember(&mask, n) == 1);
        MASK.store(blocked.fold(0, |bits, n| bits | 1 << (n - 1)), Relaxed);
        HANDLER.store(action.sa_sigaction, Relaxed);
    }
}

/// What the process was given.
pub fn before_main() -> BeforeMain {
    BeforeMain {
        mask: MASK.load(Relaxed),
        handler: HANDLER.load(Relaxed),
    }
}

/// It was said in this run that the program has replaced the handler.
static SAID: AtomicBool = AtomicBool::new(false);

/// A run begins, on its first M: the handler is there until it ends.
///
/// # Errors
/// The kernel's.
pub(crate) fn initsig() -> std::io::Result<()> {
    SAID.store(false, Relaxed);
    when_unanswered(say_if_replaced);
    never_block(SIG_PREEMPT);
    CHAINED.install()
}

/// No signal lands: is it because the program has installed a handler of its own meanwhile?
fn say_if_replaced() {
    if !CHAINED.is_in_place() && !SAID.swap(true, Relaxed) {
        say!(
            "SIGURG has another handler since the run began: goroutines that check nothing are not \
             preempted any more (install it before the run, and both are called)"
        );
    }
}
