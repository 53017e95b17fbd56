//! What a signal does, for the whole process: to read it, to change it, and to call what was
//! there before.
//!
//! Tests: `signals`, `last_words::faults::a_handler_without_siginfo_is_called`,
//! `last_words::runs::handlers_masks_and_signal_stacks_are_put_back`.

use std::sync::atomic::{AtomicUsize, Ordering::*};

/// A handler that sees the whole of it.
pub type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// What a signal does now. Async-signal-safe.
pub(super) fn current(signal: i32) -> libc::sigaction {
    // SAFETY: a zeroed sigaction is a valid value; without a new action nothing changes.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now);
        now
    }
}

/// Installs `handler` and returns what was there, or why the kernel (or a filter in front of
/// it) refuses. All signals are blocked while it runs, and it has the M's signal stack.
pub(super) fn install(signal: i32, handler: Handler) -> std::io::Result<libc::sigaction> {
    // SAFETY: a zeroed sigaction is a valid value of the type.
    let (mut new, mut old): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    new.sa_sigaction = handler as *const () as usize;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: both structs are ours; the handlers that come here are async-signal-safe.
    let refused = unsafe {
        libc::sigfillset(&mut new.sa_mask);
        libc::sigaction(signal, &new, &mut old) != 0
    };
    if refused {
        return Err(std::io::Error::last_os_error());
    }
    Ok(old)
}

/// Whether an action calls this handler.
pub(super) fn calls(action: &libc::sigaction, handler: Handler) -> bool {
    action.sa_sigaction == handler as *const () as usize
}

/// Whether an action calls nothing: it is the default, or ignores the signal.
pub(super) fn calls_nothing(action: &libc::sigaction) -> bool {
    matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
}

/// The handler of an action, in one word, so that a handler on another thread never sees half
/// of a change: its address, and in the highest bit, which no address has, whether it sees the
/// whole of a signal (`SA_SIGINFO`) or only the number. 0 for none.
pub(super) struct Handled(AtomicUsize);

const WHOLE: usize = 1 << (usize::BITS - 1);

impl Handled {
    pub(super) const fn nothing() -> Handled {
        Handled(AtomicUsize::new(0))
    }

    /// What `action` calls.
    pub(super) fn by(action: &libc::sigaction) -> Handled {
        if calls_nothing(action) {
            return Handled::nothing();
        }
        let whole = action.sa_flags & libc::SA_SIGINFO != 0;
        let bit = if whole { WHOLE } else { 0 };
        Handled(AtomicUsize::new(action.sa_sigaction | bit))
    }

    /// From now on the same as `other`.
    pub(super) fn set(&self, other: &Handled) {
        self.0.store(other.0.load(Relaxed), SeqCst);
    }

    /// Whether both call the same.
    pub(super) fn is(&self, other: &Handled) -> bool {
        self.0.load(Relaxed) == other.0.load(Relaxed)
    }

    /// Calls it. Async-signal-safe as far as it is.
    ///
    /// # Safety
    /// In a handler of `signal`, with its arguments, and what the kernel called for this signal
    /// was this.
    pub(super) unsafe fn call(
        &self,
        signal: i32,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) {
        match self.0.load(SeqCst) {
            0 => {}
            // SAFETY: the address of a handler of this form: its action's flags said so.
            word if word & WHOLE != 0 => unsafe {
                std::mem::transmute::<usize, Handler>(word & !WHOLE)(signal, info, context);
            },
            // SAFETY: likewise.
            word => unsafe {
                std::mem::transmute::<usize, extern "C" fn(i32)>(word)(signal);
            },
        }
    }
}
