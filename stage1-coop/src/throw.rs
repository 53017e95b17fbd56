//! The end of the process, where the runtime decides it: a broken invariant, no memory, no
//! thread. Mirrors `throw` and `fatalthrow` of `panic.go`, and `exit`. The text forms are
//! Go's, and so is the exit status, 2.
//!
//! Every room may end here, so this one knows of no goroutine, no trace and no dump. What is to
//! be printed after the message, and who writes the trace, is handed in when the first run
//! begins ([`LastWords`]).
//!
//! Tests: `last_words::throws`.

use crate::arch::{locks, locks_inc};
use crate::os;
use safepoint_lockstep::say;
use std::any::Any;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering::*};
use std::sync::{Mutex, OnceLock};

/// What rooms above this one do at the end of the process.
pub(crate) struct LastWords {
    /// Has the trace written, if one is kept. Async-signal-safe.
    pub save: fn(),
    /// Prints goroutines after the message of a [`throw`]. With `true`, the thread held locks
    /// of the runtime.
    pub dump: fn(bool),
}

static LAST_WORDS: OnceLock<LastWords> = OnceLock::new();

/// From now on the process ends with these. The first call counts.
pub(crate) fn set_last_words(words: LastWords) {
    let _ = LAST_WORDS.set(words);
}

/// Has the trace written, if one is kept. Async-signal-safe.
pub(crate) fn save_the_trace() {
    if let Some(words) = LAST_WORDS.get() {
        (words.save)();
    }
}

/// A broken invariant of the runtime: prints `fatal error:` and all goroutines, and ends the
/// process with status 2. Go's `throw`.
pub fn throw(message: &str) -> ! {
    throw_args(format_args!("{message}"))
}

/// As [`throw`], with a message to format.
#[cold]
pub fn throw_args(message: Arguments<'_>) -> ! {
    throw_after(format_args!(""), message)
}

/// As [`throw_args`], with something in front of it, in one piece: another M may be about to
/// die of the same.
fn throw_after(first: Arguments<'_>, message: Arguments<'_>) -> ! {
    let was_locked = locks() != 0;
    begin_dying();
    say!("{first}fatal error: {message}");
    if traceback() > Traceback::None
        && let Some(words) = LAST_WORDS.get()
    {
        (words.dump)(was_locked);
    }
    die()
}

/// Ends the process, saving the trace first. Go's `os.Exit`.
pub fn exit(status: i32) -> ! {
    save_the_trace();
    std::process::exit(status)
}

/// The kernel's number of the thread that dies, 0 for none.
static DYING: AtomicI32 = AtomicI32::new(0);

/// The first thread that dies speaks; a second one waits for the end, and one that dies
/// while it speaks ends at once. Async-signal-safe.
pub(crate) fn begin_dying() {
    // No preemption from here on.
    locks_inc();
    let me = os::this_thread_id();
    match DYING.compare_exchange(0, me, SeqCst, SeqCst) {
        Ok(_) => {
            safepoint_lockstep::last_words();
            os::last_resort::watch_me();
            os::last_resort::start(|| ());
        }
        Err(who) if who == me => {
            save_the_trace();
            os::exit_now(3)
        }
        Err(_) => loop {
            // SAFETY: pause has no arguments; any signal ends it.
            unsafe { libc::pause() };
        },
    }
}

/// Whether the process is dying: then nothing that looks wrong is news.
pub fn dying() -> bool {
    DYING.load(SeqCst) != 0
}

/// The kernel's number of the thread that dies, 0 for none.
pub(crate) fn dying_thread() -> i32 {
    DYING.load(SeqCst)
}

/// Saves the trace and ends the process with status 2.
pub(crate) fn die() -> ! {
    save_the_trace();
    if traceback() == Traceback::Crash {
        std::process::abort();
    }
    os::exit_now(2)
}

/// Runs `f`, which belongs to the runtime, on a thread's own stack. A panic in it (a row of
/// the stage table, an assertion, an index) is a broken invariant: half of a decision was
/// taken, and the M still holds its P and its place in the counts. Go's `gopanic` ends the
/// process for that reason when it finds itself on `g0`.
pub(crate) fn no_panic<R>(f: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result,
        Err(payload) => {
            let first = format_args!("panic: {}\n", message_of(payload.as_ref()));
            throw_after(first, format_args!("panic on system stack"))
        }
    }
}

/// A panic on a goroutine that holds a lock of the runtime.
#[cold]
pub(crate) fn panic_holding_locks(message: Arguments<'_>) -> ! {
    throw_after(
        format_args!("panic: {message}\n"),
        format_args!("panic holding locks"),
    )
}

/// The text of a panic. Further lines are indented, so that none can pass for the next part
/// of the message.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = if let Some(s) = payload.downcast_ref::<&str>() {
        s
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s.as_str()
    } else {
        "(a value that is no text)"
    };
    text.replace('\n', "\n\t")
}

/// How much a dying program prints: `GOTRACEBACK`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Traceback {
    /// The message only.
    None,
    /// The goroutine that died.
    Single,
    /// All goroutines.
    All,
    /// All goroutines with the runtime's own frames.
    System,
    /// As `System`, and then SIGABRT.
    Crash,
}

static TRACEBACK: Mutex<Traceback> = Mutex::new(Traceback::Single);

/// How much to print when the process dies.
pub(crate) fn traceback() -> Traceback {
    TRACEBACK.try_lock().map_or(Traceback::Single, |t| *t)
}

/// Decides how much is printed.
pub(crate) fn set_traceback(traceback: Traceback) {
    *TRACEBACK.lock().expect("no panic while it is held") = traceback;
}

/// No memory: one line, and the end.
#[cold]
pub(crate) fn out_of_memory(what: &str, error: nix::Error) -> ! {
    begin_dying();
    say!("runtime: cannot get memory for {what}: {}", error.desc());
    say!("fatal error: out of memory");
    die()
}

/// The kernel refuses something that no run can do without: one line, and the end.
#[cold]
pub(crate) fn refused(what: Arguments<'_>, error: &std::io::Error) -> ! {
    begin_dying();
    say!("runtime: the system refuses {what}: {error}");
    die()
}

/// No thread: Go's lines, and the end.
#[cold]
pub(crate) fn thread_exhaustion(have: i32, error: &std::io::Error) -> ! {
    begin_dying();
    let errno = error.raw_os_error().unwrap_or(0);
    say!("runtime: failed to create new OS thread (have {have} already; errno={errno})");
    // The C library says EAGAIN also when there is no room for the stack.
    if errno == libc::ENOMEM || (errno == libc::EAGAIN && !os::room_for_a_stack()) {
        say!(
            "runtime: no room for its stack; may need to increase the address space (ulimit -v) or the number of mappings (sysctl vm.max_map_count)"
        );
    } else if errno == libc::EAGAIN {
        say!("runtime: may need to increase max user processes (ulimit -u)");
    }
    say!("fatal error: newosproc");
    die()
}

/// More threads than the run may have: probably each waits in a call that never returns.
/// Go's `checkmcount`.
#[cold]
pub(crate) fn too_many_threads(limit: i32) -> ! {
    throw_after(
        format_args!("runtime: program exceeds {limit}-thread limit\n"),
        format_args!("thread exhaustion"),
    )
}
