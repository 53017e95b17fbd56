//! Last words: a panic that nobody caught, and a broken invariant of the runtime. Mirrors
//! `panic.go` (`preprintpanics`, `throw`, `fatalthrow`). The text forms are Go's, and so is
//! the exit status, 2.

use crate::arch::{getg, locks, on_goroutine};
use crate::gmp::*;
use crate::last_words::dump;
use crate::life::config::{Traceback, traceback};
use crate::os;
use crate::trace;
use safepoint_lockstep::say;
use std::any::Any;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering::*};

/// The kernel's number of the thread that dies, 0 for none.
static DYING: AtomicI32 = AtomicI32::new(0);

/// The first thread that dies speaks; a second one waits for the end, and one that dies
/// while it speaks ends at once. Async-signal-safe.
pub(crate) fn begin_dying() {
    // No preemption from here on.
    crate::arch::locks_inc();
    let me = os::this_thread_id();
    match DYING.compare_exchange(0, me, SeqCst, SeqCst) {
        Ok(_) => {
            safepoint_lockstep::last_words();
            os::last_resort::watch_me();
            os::last_resort::start(|| ());
        }
        Err(who) if who == me => {
            trace::finish();
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

/// Whether it is this M's thread that does so.
pub fn dying_on(mp: &M) -> bool {
    dying() && DYING.load(SeqCst) == mp.procid.load(Relaxed)
}

/// Makes every M stand still, as far as they can be made to: those that run goroutines stop
/// at their next check. Go's `freezetheworld`.
fn freezetheworld() {
    SCHED.attention.fetch_or(ATTENTION_FREEZE, SeqCst);
    for _ in 0..5 {
        if !crate::stack::preempt::preemptall() {
            break;
        }
        os::usleep(1000);
    }
}

/// What lockstep calls before it ends the process, perhaps in a signal handler.
pub(crate) fn save_the_trace() {
    safepoint_lockstep::last_words();
    os::last_resort::watch_me();
    os::last_resort::start(|| ());
    trace::finish();
}

/// Saves the trace and ends the process with status 2.
pub(crate) fn die() -> ! {
    trace::finish();
    if traceback() == Traceback::Crash {
        std::process::abort();
    }
    os::exit_now(2)
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
    if traceback() > Traceback::None {
        if on_goroutine() {
            dump::running(getg());
        }
        // With a lock of the runtime held, the list of goroutines cannot be trusted.
        if !was_locked {
            freezetheworld();
            (stage().throw_dump)();
        }
    }
    die()
}

/// Somebody outside wants to know where everybody is, and that it ends: `first`, all
/// goroutines, and `last`. On an M's own stack, not on a goroutine's.
pub fn die_with_all_goroutines(first: &str, last: &str) -> ! {
    begin_dying();
    say!("{first}");
    if traceback() > Traceback::None {
        freezetheworld();
        (stage().throw_dump)();
        say!("\n{last}");
    }
    die()
}

/// The row `throw_dump` of this stage: every goroutine but the one that runs.
pub fn throw_dump() {
    dump::others(getg());
}

/// An uncaught panic has reached the goroutine's entry: std's hook has printed its message
/// and perhaps a backtrace; now Go's form. Go's `preprintpanics` and `fatalpanic`.
pub(crate) fn preprintpanics(payload: &(dyn Any + Send)) -> ! {
    fatalpanic(getg(), &message_of(payload))
}

/// Prints Go's form of `gp`'s last panic, and ends the process. Go's `fatalpanic`.
fn fatalpanic(gp: &'static G, message: &str) -> ! {
    begin_dying();
    // std's message has named the thread, which says nothing.
    say!(
        "in goroutine {} ({})",
        gp.goid.get(),
        trace::Escaped(gp.name.get())
    );
    say!("panic: {message}");
    if traceback() > Traceback::None {
        dump::panicked(gp);
        if traceback() >= Traceback::All {
            freezetheworld();
            dump::others(gp);
        }
    }
    die()
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

/// A panic that nobody caught on the third party's thread.
pub(crate) fn third_party_panicked(payload: &(dyn Any + Send)) -> ! {
    begin_dying();
    say!("panic: {}", message_of(payload));
    say!("\nthe third party, a thread without a processor [running]");
    die()
}

/// The text of a panic. Further lines are indented, so that none can pass for the next part
/// of the message.
fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = if let Some(s) = payload.downcast_ref::<&str>() {
        s
    } else if let Some(s) = payload.downcast_ref::<String>() {
        s.as_str()
    } else {
        "(a value that is no text)"
    };
    text.replace('\n', "\n\t")
}

/// Remembers where a goroutine's panic began, before it unwinds: called for every panic of
/// the process, in front of the hook that was there. One that cannot unwind ends here: after
/// the hook std would abort, without a trace and without a word about the goroutine.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !on_goroutine() || dying() {
                return previous(info);
            }
            let gp = getg();
            let text = message_of(info.payload());
            let why = why_no_unwinding(&text);
            if why.is_none() {
                dump::remember_here(gp, text);
            }
            previous(info);
            if let Some(why) = why {
                cannot_unwind(gp, why);
            }
        }));
    });
}

/// Why a panic cannot unwind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NoUnwinding {
    /// A destructor panicked while another panic unwinds.
    InCleanup,
    /// It came to a function that lets none through, or the program is built without.
    Forbidden,
}

/// What std knows and does not tell (`PanicHookInfo::can_unwind` is not stable), by its words.
/// Should they change, std aborts, and the handler of SIGABRT has the last word.
fn why_no_unwinding(text: &str) -> Option<NoUnwinding> {
    match text {
        "panic in a destructor during cleanup" => Some(NoUnwinding::InCleanup),
        "panic in a function that cannot unwind" => Some(NoUnwinding::Forbidden),
        _ if cfg!(panic = "abort") => Some(NoUnwinding::Forbidden),
        _ => None,
    }
}

/// The goroutine's last panic is the end, where it is: on `g0`, since the stack may be full.
fn cannot_unwind(gp: &'static G, why: NoUnwinding) -> ! {
    let [last, before] = dump::remembered(gp);
    let message = match why {
        NoUnwinding::InCleanup => format!("{before}\n\tpanic: {last}"),
        NoUnwinding::Forbidden => last,
    };
    crate::arch::systemstack(|| fatalpanic(gp, &message));
    unreachable!("the process has ended")
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
