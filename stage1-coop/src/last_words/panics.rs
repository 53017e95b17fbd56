//! A panic that no code caught, and what follows the message of a `throw`: goroutines, with the
//! world frozen as far as it can be. Mirrors `panic.go` (`preprintpanics`, `fatalpanic`) and
//! `freezetheworld` of `proc.go`; the end itself is in `throw.rs`.
//!
//! Tests: `last_words::panics`.

use crate::arch::{getg, getm, locks, on_goroutine, systemstack};
use crate::gmp::{ATTENTION_FREEZE, G, M, SCHED};
use crate::last_words::dump;
use crate::os;
use crate::stack::preempt::preemptall;
use crate::stage::stage;
use crate::throw::{
    Traceback, begin_dying, die, dying, dying_thread, message_of, panic_holding_locks, traceback,
};
use crate::trace;
use safepoint_lockstep::say;
use std::any::Any;
use std::sync::Once;
use std::sync::atomic::Ordering::*;

/// Whether it is this M's thread that does so.
pub fn dying_on(mp: &M) -> bool {
    dying() && dying_thread() == mp.procid.load(Relaxed)
}

/// Makes every M stand still, as far as they can be made to: those that run goroutines stop
/// at their next check. Go's `freezetheworld`.
fn freezetheworld() {
    SCHED.attention.raise(ATTENTION_FREEZE);
    for _ in 0..5 {
        if !preemptall() {
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

/// The user wants to know where all goroutines are, and that it ends: `first`, all
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

/// What `throw` prints after its message: the goroutine that speaks, and all others.
pub(crate) fn dump_after_throw(was_locked: bool) {
    if on_goroutine() {
        dump::running(getg());
    }
    // With a lock of the runtime held, the list of goroutines cannot be trusted.
    if !was_locked {
        freezetheworld();
        (stage().throw_dump)();
    }
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

/// A panic that was not caught on the third party's thread.
pub(crate) fn third_party_panicked(payload: &(dyn Any + Send)) -> ! {
    begin_dying();
    say!("panic: {}", message_of(payload));
    say!("\nthe third party, a thread without a processor [running]");
    die()
}

/// Remembers where a goroutine's panic began, before it unwinds: called for every panic of
/// the process, in front of the hook that was there. One that cannot unwind ends here: after
/// the hook std would abort, without a trace and without a word about the goroutine.
///
/// One under a lock of the runtime (an assertion, an index) is a broken invariant, as on `g0`,
/// and must not unwind: half of a decision was taken. Go's `gopanic` looks at `m.locks`, too. The
/// hook that was there is not asked: it might need the lock.
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
            if holds_a_lock() {
                let place = info
                    .location()
                    .map_or(String::new(), |at| format!("\n\tat {at}"));
                panic_holding_locks(format_args!("{text}{place}"));
            }
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

/// Whether the goroutine holds a lock of the runtime: `m.locks` without the sections of
/// `acquirem`, which a panic may leave.
fn holds_a_lock() -> bool {
    i64::from(locks()) > i64::from(getm().sections.load(Relaxed))
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
    systemstack(|| fatalpanic(gp, &message));
    unreachable!("the process has ended")
}
