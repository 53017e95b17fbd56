//! A death has a limit. A dying thread may need something that is never free again: a lock whose
//! owner stands still, the allocator, a reader for its words, a disk. So from the first word
//! on an alarm clock runs. When it has rung `RINGS` times in a row, and in between no line
//! was said, no part of the trace written and no processor time used by the threads that are at it,
//! it ends the process with what is there: by status 2, or by the signal that is about to end
//! it.
//!
//! The clock is SIGALRM, because a handler is all that runs then for sure. In a dying process
//! nothing else needs it. Nothing of Go corresponds to it.
//!
//! Tests: `last_words::readers`,
//! `last_words::throws::a_lock_that_nobody_gives_back_costs_the_list_only`.

use super::{exit_now, this_thread_id};
use safepoint_lockstep::{self as lab, said, say_bytes};
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// Seconds between two rings.
const RING: u32 = 3;
/// Rings in a row without any progress that are the end.
const RINGS: u32 = 2;
/// Nanoseconds of processor time between two rings that are progress.
const BUSY: u64 = 1_000_000;

/// A thread is changing what SIGALRM does.
const CHANGING: u32 = 1;
const OFF: u32 = 0;
const ON: u32 = 2;
static STATE: AtomicU32 = AtomicU32::new(OFF);

/// What SIGALRM did before.
struct Old(UnsafeCell<MaybeUninit<libc::sigaction>>);
// SAFETY: written by what takes `STATE` from OFF to CHANGING, read by what takes it from ON
// to CHANGING.
unsafe impl Sync for Old {}
static OLD: Old = Old(UnsafeCell::new(MaybeUninit::zeroed()));

/// `fn()`: what is said before the end, by the thread that set the clock.
static WORDS: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// A thread whose work is progress: its number, and its processor time at the last ring.
struct Watched {
    thread: AtomicI32,
    cpu: AtomicU64,
}
/// The thread that dies, or prints because it was asked to.
static SPEAKER: Watched = Watched {
    thread: AtomicI32::new(0),
    cpu: AtomicU64::new(0),
};
/// The thread that writes the trace.
static SCRIBE: Watched = Watched {
    thread: AtomicI32::new(0),
    cpu: AtomicU64::new(0),
};

static AT: AtomicU64 = AtomicU64::new(0);
static SAID: AtomicU32 = AtomicU32::new(0);
static WRITTEN: AtomicU32 = AtomicU32::new(0);
static SEEN_WRITTEN: AtomicU32 = AtomicU32::new(0);
/// Rings in a row without progress.
static SILENT: AtomicU32 = AtomicU32::new(0);
/// The first ring only looks.
static FIRST: AtomicBool = AtomicBool::new(true);

/// Sets the clock, unless it runs. `words` says what has begun, if that was not said yet; it
/// is called in a signal handler. Async-signal-safe.
pub fn start(words: fn()) {
    if STATE
        .compare_exchange(OFF, CHANGING, SeqCst, SeqCst)
        .is_ok()
    {
        WORDS.store(words as *mut (), SeqCst);
        SILENT.store(0, Relaxed);
        FIRST.store(true, Relaxed);
        // SAFETY: a zeroed sigaction is a valid value; both functions are async-signal-safe;
        // the old action has a place of its own, which is ours now.
        unsafe {
            let mut new: libc::sigaction = std::mem::zeroed();
            new.sa_sigaction = on_alarm as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigfillset(&mut new.sa_mask);
            libc::sigaction(libc::SIGALRM, &new, OLD.0.get().cast());
            libc::alarm(RING);
        }
        STATE.store(ON, SeqCst);
    }
}

/// The calling thread is the one that speaks, and hears the clock whatever its mask.
/// Async-signal-safe.
pub(crate) fn watch_me() {
    SPEAKER.thread.store(this_thread_id(), SeqCst);
    // SAFETY: the set is ours; a zeroed one is empty.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
}

/// Another thread is to speak: its work is progress. Async-signal-safe.
pub fn watch(thread: i32) {
    SPEAKER.thread.store(thread, SeqCst);
}

/// This thread writes the trace: its work is progress, too.
pub(crate) fn watch_scribe(thread: i32) {
    SCRIBE.thread.store(thread, SeqCst);
}

/// The process does not die after all: SIGALRM does again what it did before.
pub fn cancel() {
    while STATE.load(SeqCst) == CHANGING {
        // A handler on another thread is between two steps of `start`.
        std::thread::yield_now();
    }
    if STATE.compare_exchange(ON, CHANGING, SeqCst, SeqCst).is_ok() {
        // SAFETY: `start` has written the old action, and it is not written in this state.
        unsafe {
            libc::alarm(0);
            let old = (*OLD.0.get()).assume_init_ref();
            libc::sigaction(libc::SIGALRM, old, std::ptr::null_mut());
        }
        STATE.store(OFF, SeqCst);
    }
}

/// A part of the trace is written.
pub(crate) fn written() {
    WRITTEN.fetch_add(1, Relaxed);
}

extern "C" fn on_alarm(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: `__errno_location` gives this thread's errno, which the interrupted code may be
    // about to read; alarm takes a number.
    unsafe {
        let errno = *libc::__errno_location();
        if goes_on() {
            libc::alarm(RING);
            *libc::__errno_location() = errno;
            return;
        }
    }
    lab::last_words();
    let words = WORDS.load(SeqCst);
    if !words.is_null() {
        // SAFETY: only ever stored from a `fn()`.
        unsafe { std::mem::transmute::<*mut (), fn()>(words)() };
    }
    say_bytes(
        b"\nruntime: the dump does not go on: what it needs is held by a thread that stands still\n",
    );
    match TOLD.load(SeqCst) {
        0 => exit_now(2),
        signal => die_of(signal),
    }
}

/// Whether there is still hope. A ring that comes much too late says nothing: the whole
/// process stood still, and not only its death.
fn goes_on() -> bool {
    let now = clock(libc::CLOCK_MONOTONIC);
    let late = now.saturating_sub(AT.swap(now, Relaxed)) > u64::from(RING + 1) * 1_000_000_000;
    let spoke = changed(&SAID, said());
    let wrote = changed(&SEEN_WRITTEN, WRITTEN.load(Relaxed));
    // In lockstep a thread that waits for a lock is busy, so being busy is no progress there.
    let busy = SPEAKER.busy() && !lab::enabled();
    let renders = SCRIBE.busy();
    if FIRST.swap(false, Relaxed) || late || spoke || wrote || busy || renders {
        SILENT.store(0, Relaxed);
        return true;
    }
    SILENT.fetch_add(1, Relaxed) + 1 < RINGS
}

fn changed(seen: &AtomicU32, now: u32) -> bool {
    seen.swap(now, Relaxed) != now
}

impl Watched {
    fn busy(&self) -> bool {
        let thread = self.thread.load(Relaxed);
        if thread == 0 {
            return false;
        }
        // The kernel's number for the processor clock of another thread: the complement of
        // its number, and three bits that say which clock.
        let cpu = clock(!thread << 3 | 6);
        cpu > self.cpu.swap(cpu, Relaxed) + BUSY
    }
}

/// Nanoseconds of a clock of the system's; 0 if there is no such clock. Async-signal-safe.
fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours.
    match unsafe { libc::clock_gettime(id, &mut time) } {
        0 => time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        _ => 0,
    }
}

/// A signal that is to end the process when the trace is written; 0 for none.
static TOLD: AtomicI32 = AtomicI32::new(0);

/// The process is to end by `signal`. Returns false if it is to end by another one already.
pub(crate) fn tell(signal: i32) -> bool {
    TOLD.compare_exchange(0, signal, SeqCst, SeqCst).is_ok()
}

/// The trace is written. Called by the thread that wrote it.
pub(crate) fn die_if_told() {
    let signal = TOLD.load(SeqCst);
    if signal != 0 {
        die_of(signal);
    }
}

/// Ends the process as `signal` does by default. Async-signal-safe.
fn die_of(signal: i32) -> ! {
    // SAFETY: all of these are async-signal-safe, and the set is ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
    }
    // Not by default, then: there is a handler again.
    exit_now(128 + signal)
}
