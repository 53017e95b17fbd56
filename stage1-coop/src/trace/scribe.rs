//! The thread that writes the trace. It exists only while a run keeps one.
//!
//! The run that died is the one whose trace is wanted, and a death may come from anywhere: out
//! of a signal handler, from a thread that holds the allocator's lock, from a goroutine whose
//! stack is full. None of these can render a trace. This thread can: it has a stack of its
//! own, takes no signal, and holds no lock while it waits. Who dies only has to tell it, and
//! to wait ([`finish`]): two steps that a signal handler may take.
//!
//! Nothing of Go corresponds to it: Go's tracer streams, and loses the rest at a crash.

use super::lost;
use crate::os;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::*};
use std::thread::JoinHandle;

/// No trace is kept.
const NOBODY: u32 = 0;
/// The thread waits.
const READY: u32 = 1;
/// Somebody wants the trace to be written.
const ASKED: u32 = 2;
/// The thread is at it.
const WRITING: u32 = 3;
/// The trace is written, as far as it could be.
const DONE: u32 = 4;
/// The thread is not there yet.
const STARTING: u32 = 5;
static STATE: AtomicU32 = AtomicU32::new(NOBODY);

/// The kernel's number of the thread.
static TID: AtomicI32 = AtomicI32::new(0);
/// The process that the thread belongs to: a child between `fork` and `exec` has none.
static PID: AtomicI32 = AtomicI32::new(0);
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);

/// Room for rendering; it is not a goroutine's.
const STACK: usize = 512 << 10;

/// Makes the thread. `write` is called once, on it: it returns false if the trace is lost.
///
/// # Errors
/// One line for the user.
pub(super) fn start(write: fn() -> bool) -> Result<(), String> {
    lost::at_exit();
    PID.store(std::process::id() as i32, SeqCst);
    STATE.store(STARTING, SeqCst);
    let mask = os::block_all_signals();
    let made = std::thread::Builder::new()
        .name("trace".into())
        .stack_size(STACK)
        .spawn(move || wait_and_write(write));
    os::restore_mask(&mask);
    match made {
        Ok(handle) => {
            *THREAD.lock().expect("no panic while it is held") = Some(handle);
            // A new thread needs locks of std's and of the allocator, and whoever dies may hold
            // them: std says that a thread's stack has overflowed under one of these.
            while STATE.load(SeqCst) == STARTING {
                os::futex_wait(&STATE, STARTING, None);
            }
            Ok(())
        }
        Err(error) => {
            STATE.store(NOBODY, SeqCst);
            Err(format!("SAFEPOINT_TRACE: no thread to write it: {error}"))
        }
    }
}

fn wait_and_write(write: fn() -> bool) {
    TID.store(os::this_thread_id(), SeqCst);
    // From here on it has a part of the allocator of its own.
    drop(std::hint::black_box(vec![0_u8; 64]));
    STATE.store(READY, SeqCst);
    os::futex_wake(&STATE, i32::MAX);
    while STATE.load(SeqCst) == READY {
        os::futex_wait(&STATE, READY, None);
    }
    STATE.store(WRITING, SeqCst);
    if !catch_unwind(AssertUnwindSafe(write)).unwrap_or(false) {
        lost::lost();
    }
    STATE.store(DONE, SeqCst);
    os::futex_wake(&STATE, i32::MAX);
    os::die_if_told();
}

/// Asks for the trace, and does not wait for it. Returns whether it is being written now, so
/// that [`os::die_if_told`] is yet to be called. Async-signal-safe.
pub(crate) fn ask() -> bool {
    // SAFETY: getpid has no arguments and cannot fail.
    if unsafe { libc::getpid() } != PID.load(SeqCst) {
        return false;
    }
    if STATE.compare_exchange(READY, ASKED, SeqCst, SeqCst).is_ok() {
        os::futex_wake(&STATE, i32::MAX);
    }
    matches!(STATE.load(SeqCst), ASKED | WRITING)
}

/// Has the trace written, if one is kept, and waits until it is. Other Ms may still run: what
/// they record from here on is left out. May be called from anywhere, also from a signal
/// handler, and by several threads at once.
pub(crate) fn finish() {
    // A thread that dies while it writes cannot wait for itself.
    if !ask() || TID.load(SeqCst) == os::this_thread_id() {
        return;
    }
    loop {
        match STATE.load(SeqCst) {
            state @ (ASKED | WRITING) => os::futex_wait(&STATE, state, None),
            _ => return,
        }
    }
}

/// The kernel's number of the thread that writes the trace, 0 if there was none.
pub(crate) fn thread() -> i32 {
    TID.load(SeqCst)
}

/// Whether a trace is kept that is not written yet.
pub(crate) fn pending() -> bool {
    !matches!(STATE.load(SeqCst), NOBODY | DONE)
}

/// The run is over, and the trace is written: the thread has ended.
pub(super) fn join() {
    let thread = THREAD.lock().ok().and_then(|mut t| t.take());
    if let Some(thread) = thread {
        let _ = thread.join();
    }
    STATE.store(NOBODY, SeqCst);
}
