//! The trace's own thread. It exists only while a run keeps a trace: it sleeps until the run is
//! over, or takes the events away while the run goes on (`SAFEPOINT_TRACE_STREAM`). What it
//! does with them is in `writer.rs`.
//!
//! The run that died is the one whose trace is wanted, and a death may come from anywhere: out
//! of a signal handler, from a thread that holds the allocator's lock, from a goroutine whose
//! stack is full. None of these can render a trace. This thread can: it is no M, it takes no
//! signal and no lock of the runtime, and it has a stack of its own. A thread that dies rings
//! the bell and waits ([`finish`]), which a signal handler may do.
//!
//! Nothing of Go corresponds to it: Go's tracer streams, and loses the rest at a crash.
//!
//! Tests: `chrome::long`, `last_words::signals`, `last_words::readers`.

use super::Output;
use super::bell::{ASKED, BELL, DONE, NONE, RUNS, STARTING, STATE, hurry};
use super::buffer::Keep;
use super::clock::{self, Anchor, Scale};
use super::lost;
use super::writer::Job;
use crate::os::{self, futex_wait, futex_wake};
use safepoint_lockstep as lab;
use safepoint_trace::Header;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

/// Counted up while it works.
static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// Events from this time on (in ticks) are left out.
static CUT: AtomicU64 = AtomicU64::new(u64::MAX);
/// In lockstep, no event before this time can come any more.
static LOW: AtomicU64 = AtomicU64::new(0);
/// The kernel's number of the thread.
static TID: AtomicI32 = AtomicI32::new(0);
/// The process that the thread belongs to: a child between `fork` and `exec` has none.
static PID: AtomicI32 = AtomicI32::new(0);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Nanoseconds between two looks while the run goes on.
const LOOK_NS: u64 = 50_000_000;
/// Nanoseconds between two looks of a thread that dies: hardly ever, because processor time
/// that it uses is a sign of life for the alarm clock that limits its death.
const DYING_LOOK_NS: u64 = 1_000_000_000;
/// A thread that dies waits for the trace as long as something moves, and then this long, if
/// the alarm clock cannot be heard.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Makes the thread, and starts the run's clock.
///
/// # Errors
/// One line, when the system has no thread for it.
pub(super) fn start(output: Output, header: Header, keep: Keep, last: usize) -> Result<(), String> {
    let scale = if lab::enabled() {
        Scale::lockstep()
    } else {
        Scale::new(Anchor::now())
    };
    CUT.store(u64::MAX, Relaxed);
    LOW.store(0, Relaxed);
    PID.store(std::process::id() as i32, Relaxed);
    lost::at_exit();
    STATE.store(STARTING, SeqCst);
    let job = Job::new(output, header, keep, last, scale);
    let mask = os::block_all_signals();
    let made = std::thread::Builder::new()
        .name("trace".to_owned())
        .spawn(move || {
            TID.store(os::this_thread_id(), SeqCst);
            os::last_resort::watch_scribe(os::this_thread_id());
            // From here on it has a part of the allocator of its own.
            drop(std::hint::black_box(vec![0_u8; 64]));
            STATE.store(RUNS, SeqCst);
            futex_wake(&STATE, i32::MAX);
            // A trace that could not be written: the job has said so.
            if !catch_unwind(AssertUnwindSafe(|| work(job))).unwrap_or(false) {
                lost::lost();
            }
            STATE.store(DONE, SeqCst);
            futex_wake(&STATE, i32::MAX);
            os::last_resort::die_if_told();
        });
    os::restore_mask(&mask);
    match made {
        Ok(handle) => {
            *THREAD.lock().unwrap_or_else(|e| e.into_inner()) = Some(handle);
            // A new thread needs locks of std's and of the allocator, and a dying thread may hold
            // them: std says that a thread's stack has overflowed under one of these.
            while STATE.load(SeqCst) == STARTING {
                futex_wait(&STATE, STARTING, None);
            }
            Ok(())
        }
        Err(error) => {
            STATE.store(NONE, SeqCst);
            Err(format!("SAFEPOINT_TRACE: no thread to write it: {error}"))
        }
    }
}

/// The thread's life. Returns whether everything was written.
fn work(mut job: Job) -> bool {
    let every = job.begin().then_some(LOOK_NS);
    loop {
        let bell = BELL.load(SeqCst);
        if over() {
            return job.rest(CUT.load(SeqCst));
        }
        if every.is_some() {
            job.piece(LOW.load(Acquire));
        }
        futex_wait(&BELL, bell, every);
    }
}

/// Asks for the trace, and does not wait for it. Returns whether it is being written now.
/// Events from here on are left out. Async-signal-safe.
pub(crate) fn ask() -> bool {
    // SAFETY: getpid has no arguments and cannot fail.
    if unsafe { libc::getpid() } != PID.load(Relaxed) {
        return false;
    }
    if STATE.load(SeqCst) == RUNS {
        if !lab::enabled() {
            CUT.fetch_min(clock::ticks() + 1, SeqCst);
        }
        super::stop_keeping();
        let _ = STATE.compare_exchange(RUNS, ASKED, SeqCst, SeqCst);
        hurry();
    }
    STATE.load(SeqCst) == ASKED
}

/// Has the trace written, if one is kept, and waits until it is. May be called from anywhere,
/// also from a signal handler, by several threads at once, and more than once.
pub(crate) fn finish() {
    // A thread that dies while it writes cannot wait for itself.
    if !ask() || TID.load(SeqCst) == os::this_thread_id() {
        return;
    }
    let (mut seen, mut since) = (PROGRESS.load(Relaxed), os::monotonic());
    while STATE.load(SeqCst) == ASKED {
        let dying = crate::throw::dying();
        futex_wait(
            &STATE,
            ASKED,
            Some(if dying { DYING_LOOK_NS } else { LOOK_NS }),
        );
        if lab::enabled() && lab::me().is_some() {
            lab::not_stuck();
        }
        let now = PROGRESS.load(Relaxed);
        if now != seen {
            (seen, since) = (now, os::monotonic());
        } else if dying && os::monotonic() - since > PATIENCE_NS {
            return;
        }
    }
}

/// The run is over, and the trace is written: the thread has ended.
pub(super) fn join() {
    let thread = THREAD.lock().unwrap_or_else(|e| e.into_inner()).take();
    if let Some(thread) = thread {
        let _ = thread.join();
    }
    STATE.store(NONE, SeqCst);
}

/// Whether the run is over for the trace.
pub(super) fn over() -> bool {
    STATE.load(SeqCst) != RUNS
}

/// The thread is at work.
#[inline]
pub(super) fn progress() {
    PROGRESS.fetch_add(1, Relaxed);
    os::last_resort::written();
}

/// The kernel's number of the thread, 0 if there was none.
pub(crate) fn thread() -> i32 {
    TID.load(SeqCst)
}

/// Whether a trace is kept that is not written yet.
pub(crate) fn pending() -> bool {
    matches!(STATE.load(SeqCst), RUNS | ASKED)
}

/// In lockstep: no event before `low` can come any more.
#[inline]
pub(super) fn low_water(low: u64) {
    LOW.store(low, Release);
}
