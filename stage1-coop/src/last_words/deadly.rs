//! Signals that end the process. By default they do it at once, and then a trace that was
//! asked for is an empty file. So while a run keeps one, their handler has it written first;
//! then the signal does what it would have done, and a parent that waits for the process sees the
//! same status. Without a trace only SIGABRT has a handler, which says where it came from.
//!
//! A program that has a handler of its own keeps it, and a signal that is ignored stays ignored.
//!
//! A handler may interrupt anything. It tells the thread that writes the trace, and returns,
//! or waits for the end if the code that it interrupted cannot go on. Mirrors
//! `dieFromSignal` of `signal_unix.go`.
//!
//! Tests: `last_words::signals`.

use crate::arch;
use crate::last_words::fault::{Line, goroutine_fault};
use crate::os::{Hands, last_resort, this_thread_id};
use crate::throw::{begin_dying, dying};
use crate::trace;
use safepoint_lockstep::say_bytes;
use std::fmt::Write;

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

/// What the handlers of `os/signal.rs` do.
pub(crate) fn hands() -> Hands {
    Hands {
        fault: goroutine_fault,
        save: trace::finish,
        deadly: on_deadly,
    }
}

/// The deadly signals that are to be handled, as far as it is needed.
pub(crate) fn signals() -> impl Iterator<Item = i32> {
    // SIGRTMIN and those behind it are the program's; the C library keeps two before it.
    DEADLY
        .into_iter()
        .chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
        .filter(|&signal| signal == libc::SIGABRT || trace::pending())
}

extern "C" fn on_deadly(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: `__errno_location` gives this thread's errno; the interrupted code may be about
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

/// The process is to end by `signal` when the trace is written. Returns false if there is
/// nothing to wait for: no trace, or a second signal, which does not wait for the first one.
///
/// The thread that writes looks for a signal after it has said that it is done, and we look
/// whether it is after we have left one: so one of us sees the other.
fn tell(signal: i32) -> bool {
    // A child between `fork` and `exec` has no such thread.
    trace::ask() && last_resort::tell(signal) && trace::ask()
}

/// The program, std or libc has called `abort` on this thread.
fn abort() {
    if trace::thread() != this_thread_id() && !dying() {
        begin_dying();
        if arch::on_goroutine() {
            let gp = arch::getg();
            let mut line = Line::new();
            let _ = write!(
                line,
                "SIGABRT: abort\n\ngoroutine {} [running]:\n",
                gp.goid.get()
            );
            let _ = writeln!(line, "{}(...)", trace::Escaped(gp.name.get()));
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
