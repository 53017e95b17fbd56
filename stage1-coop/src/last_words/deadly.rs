//! Signals that end the process. By default they do it at once, and then a trace that was
//! asked for is an empty file. So while a run keeps one, their handler has it written first;
//! then the signal does what it would have done, and whoever waits for the process sees the
//! same status. Without a trace only SIGABRT has a handler, which says where it came from.
//!
//! Whoever has a handler of its own keeps it, and a signal that is ignored stays ignored.
//!
//! A handler may interrupt anything. It tells the thread that writes the trace, and returns,
//! or waits for the end if the code that it interrupted cannot go on. Mirrors
//! `dieFromSignal` of `signal_unix.go`.

use crate::arch;
use crate::last_words::panics;
use crate::os::signal::{current, install};
use crate::os::{exit_now, last_resort, this_thread_id};
use crate::trace;
use safepoint_lockstep::say_bytes;
use std::fmt::Write;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// Those whose default is to end the process, without the faults of `signal.rs` and SIGKILL.
const DEADLY: [i32; 20] = [
    libc::SIGABRT,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGPROF,
    libc::SIGVTALRM,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGSYS,
    libc::SIGTRAP,
    libc::SIGILL,
    libc::SIGFPE,
];

/// Installs the handler for every deadly signal that nobody else handles, as far as it is
/// needed; returns what was there.
pub(crate) fn watch() -> Vec<(i32, libc::sigaction)> {
    // SIGRTMIN and those behind it are the program's; the C library keeps two before it.
    DEADLY
        .into_iter()
        .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
        .filter(|&signal| signal == libc::SIGABRT || trace::pending())
        .filter(|&signal| current(signal).sa_sigaction == libc::SIG_DFL)
        .filter_map(|signal| Some((signal, install(signal, on_deadly).ok()?)))
        .collect()
}

/// Whether an action is the handler of this file: as good as none.
pub(crate) fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_deadly as *const () as usize
}

extern "C" fn on_deadly(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: `__errno_location` gives this thread's errno; whom we interrupt may be about
    // to read it.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel gives an SA_SIGINFO handler a valid siginfo; a signal that a process
    // sent says which, and getpid has no arguments.
    let own = unsafe { (*info).si_code == libc::SI_TKILL && (*info).si_pid() == libc::getpid() };
    if signal == libc::SIGABRT && own {
        abort();
    } else if tell(signal) {
        last_resort::start(|| ());
        // What raised these cannot go on: it would do the same again, or see a call fail
        // that should have ended it.
        if matches!(
            signal,
            libc::SIGILL | libc::SIGFPE | libc::SIGSYS | libc::SIGXFSZ
        ) {
            wait_for_the_end();
        }
    } else {
        default_after_return(signal);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// A signal that is to end the process when the trace is written; 0 for none.
static TOLD: AtomicI32 = AtomicI32::new(0);

/// The process is to end by `signal` when the trace is written. Returns false if there is
/// nothing to wait for: no trace, or a second signal, which does not wait for the first one.
///
/// The thread that writes looks for a signal after it has said that it is done, and we look
/// whether it is after we have left one: so one of us sees the other.
fn tell(signal: i32) -> bool {
    // A child between `fork` and `exec` has no such thread.
    trace::ask() && TOLD.compare_exchange(0, signal, SeqCst, SeqCst).is_ok() && trace::ask()
}

/// The trace is written. Called by the thread that wrote it.
pub(crate) fn die_if_told() {
    let signal = TOLD.load(SeqCst);
    if signal != 0 {
        die_of(signal);
    }
}

/// The signal that is about to end the process, or 0.
pub(crate) fn told() -> i32 {
    TOLD.load(SeqCst)
}

/// The program, std or libc has called `abort` on this thread.
fn abort() {
    if trace::thread() != this_thread_id() && !panics::dying() {
        panics::begin_dying();
        if arch::on_goroutine() {
            let gp = arch::getg();
            let mut line = crate::last_words::fault::Line::new();
            let _ = write!(
                line,
                "SIGABRT: abort\n\ngoroutine {} [running]:\n",
                gp.goid.get()
            );
            let _ = writeln!(line, "{}(...)", crate::trace::Escaped(gp.name.get()));
            say_bytes(line.bytes());
        }
        trace::finish();
    }
    default_after_return(libc::SIGABRT);
}

/// The signal does what it does by default as soon as the handler has returned.
fn default_after_return(signal: i32) {
    // SAFETY: both calls are async-signal-safe; the signal is blocked until the handler
    // returns.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

fn wait_for_the_end() -> ! {
    loop {
        // SAFETY: pause has no arguments; any signal ends it.
        unsafe { libc::pause() };
    }
}

/// Ends the process as `signal` does by default. Async-signal-safe.
pub(crate) fn die_of(signal: i32) -> ! {
    // SAFETY: all of these are async-signal-safe, and the set is ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
    // Not by default, then: somebody has a handler again.
    exit_now(128 + signal)
}
