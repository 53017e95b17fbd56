//! A signal that a later stage uses in every run, and that the program may have a handler for as
//! well.
//!
//! Signals of one number merge while they are pending, so nobody can tell whose one was. The
//! stage therefore takes none away: each goes to the program's handler first, which sees the
//! thread as it was interrupted, and then to the stage's. Go hands on what it did not send
//! itself (`sigfwdgo`), because it compares more than the number.
//!
//! When the run is over, the program's handler is back, unless the program has installed
//! another one meanwhile. That one may call ours, as the one that it found; then a later run
//! finds it in place, and has it called: a circle. While a program's handler runs, `g` is
//! therefore [`BESIDE`], and a signal that finds this goes to what was there before the circle.
//! It also means that a check in the program's handler finds a G that was never asked, instead
//! of the goroutine whose stack it is not on.
//!
//! Tests: `signals`.

use super::action::{Handled, Handler, calls, current};
use super::signal::{install_for_the_run, is_free};
use crate::arch::{getg, setg};
use crate::gmp::G;
use safepoint_lockstep::{KeepErrno, in_handler};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};

/// The G of a thread on which a handler of the program's runs.
static BESIDE: G = G::new();

/// A stage's handler for one signal, chained to the program's. One for each signal.
///
/// ```
/// use stage1_coop::rt::os::Chained;
///
/// static URGENT: Chained = Chained::new(libc::SIGURG, on_urgent);
///
/// extern "C" fn on_urgent(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
/// ```
pub struct Chained {
    signal: i32,
    handler: Handler,
    /// What was there when the handler was installed.
    old: Handled,
    /// It has been installed in some run.
    known: AtomicBool,
    /// What was there before the program put something over our handler.
    below: Handled,
    /// It may have done so. `below` does not change any more.
    covered: AtomicBool,
}

/// One more than the largest number of a signal.
const SIGNALS: usize = 65;
static BY_NUMBER: [AtomicPtr<Chained>; SIGNALS] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; SIGNALS];

impl Chained {
    /// A handler that is not installed. It must be async-signal-safe, may be called on any
    /// thread of the process, and also when there is no run: by a handler that the program has
    /// put over it. All signals are blocked while it runs, and it need not keep `errno`.
    pub const fn new(signal: i32, handler: Handler) -> Chained {
        Chained {
            signal,
            handler,
            old: Handled::nothing(),
            known: AtomicBool::new(false),
            below: Handled::nothing(),
            covered: AtomicBool::new(false),
        }
    }

    /// Installs the handler for the rest of the run. From here on each signal of this number is
    /// handed on to the handler that was there (with all signals blocked and the stack of the
    /// M's signals, whatever its own flags ask for), and then comes to ours. What ignored the
    /// signal, or left it to the default, gets none. Does nothing if it is in place already.
    ///
    /// # Errors
    /// The kernel's; or there is no run.
    pub fn install(&'static self) -> io::Result<()> {
        let number = self.signal as usize;
        let place = BY_NUMBER
            .get(number)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        place.store(std::ptr::from_ref(self).cast_mut(), SeqCst);
        let (known, earlier) = (self.known.load(Relaxed), Handled::nothing());
        earlier.set(&self.old);
        let done = install_for_the_run(self.signal, on_chained, at_end, |seen| {
            if calls(seen, on_chained) {
                return false;
            }
            let new = match is_free(seen) {
                true => Handled::nothing(),
                false => Handled::by(seen),
            };
            // Only a program that has seen our handler can have put something over it.
            if known && !new.is(&earlier) && !self.covered.load(Relaxed) {
                self.below.set(&earlier);
                self.covered.store(true, Relaxed);
            }
            // Before the handler is in place: it reads this.
            self.old.set(&new);
            true
        });
        self.known.store(true, Relaxed);
        match done? || self.is_in_place() {
            true => Ok(()),
            false => Err(io::Error::other("there is no run")),
        }
    }

    /// Whether the signal still comes to us first. If not, the program has installed a handler
    /// of its own in the middle of the run, which may or may not call ours. Async-signal-safe.
    pub fn is_in_place(&self) -> bool {
        calls(&current(self.signal), on_chained)
    }
}

/// The run is over. What still calls our handler is a handler over it.
fn at_end() {
    for place in &BY_NUMBER {
        // SAFETY: null, or stored from a `&'static Chained`.
        if let Some(own) = unsafe { place.load(Relaxed).as_ref() }
            && own.covered.load(Relaxed)
        {
            own.old.set(&own.below);
        }
    }
}

extern "C" fn on_chained(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let _errno = KeepErrno::new();
    let Some(place) = BY_NUMBER.get(signal as usize) else {
        return;
    };
    // SAFETY: null, or stored from a `&'static Chained`.
    let Some(own) = (unsafe { place.load(Acquire).as_ref() }) else {
        return;
    };
    let g = getg();
    let next = match std::ptr::eq(g, &BESIDE) {
        true => &own.below,
        false => &own.old,
    };
    // In lockstep nothing in here is a tick of what was interrupted.
    in_handler(|| {
        // SAFETY: the stand-in has no stack: its guard is 0, so a check in the program's handler
        // passes.
        unsafe { setg(&BESIDE) };
        // SAFETY: this is a handler of the signal with its arguments, and `install` got what is
        // called here from the kernel, for this signal.
        unsafe { next.call(signal, info, context) };
        // SAFETY: what was interrupted is `g`'s, and goes on when we return.
        unsafe { setg(g) };
        (own.handler)(signal, info, context);
    });
}
