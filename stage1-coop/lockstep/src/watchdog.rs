//! The watchdog: what to do about compiled code that never reaches a tick.
//!
//! A loop that calls nothing has no place where the virtual clock could move, and the
//! compiler decides how long it takes. If such a loop is *endless* that does not matter:
//! whenever the real time at which we notice it, the virtual state is the same. So a timer
//! on the thread's own processor time samples it; after two periods without a tick in a
//! goroutine's own code the goroutine is *declared* to spin: its clock jumps past the
//! horizon and the baton goes on, inside the handler.
//!
//! A *finite* loop that comes near that time is another matter: a faster machine would not
//! have declared it. Such a trace is marked as not portable.
//!
//! Once declared, a goroutine need not prove again that it spins: whenever it gets the baton, it
//! runs for a moment of real time and is declared again. The kernel looks at a thread's
//! processor time only at its own ticks, which are milliseconds apart, so that moment has a
//! timer of its own, on the machine's clock. What was declared is the goroutine's, not the
//! thread's: `interrupt.rs` says how it moves.
//!
//! Tests: `interrupted::a_loop_that_a_signal_stops_gives_the_same_trace_each_time`,
//! `interrupted::a_loop_that_ends_after_it_was_declared_is_told_on_whatever_thread`,
//! `bad_input::lockstep::a_trace_says_when_a_loop_s_length_decides_it`.

use crate::baton::{self, Portable, not_portable};
use crate::{sys, trap};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// Processor time between two looks. A loop that reaches no tick for one whole period is
/// *near*; after the second it is declared.
const PERIOD_NS: u64 = 20_000_000;
/// Real time from when a declared goroutine goes on until it is declared again. Enough for many
/// turns of its loop: it may wait for what another thread has just written.
const AGAIN_NS: u64 = 50_000;
/// The same after a look that found it outside `gotext`, so that a slow machine gets out of
/// there, too.
const ONCE_MORE_NS: u64 = 1_000_000;
/// Virtual time that a declared goroutine is moved on, at least.
const DECLARED_NS: u64 = 1_000_000;
/// Looks outside a goroutine's own code, without a tick, after which a line says so: 30 s of
/// processor time in one call.
const OUTSIDE_LOOKS: u32 = 1_500;
const OUTSIDE: &[u8] =
    b"lockstep: a call outside the goroutines' own code has taken 30 s of processor time; the others wait for it\n";
/// The same for a loop without a check while no other actor can run: 2 s.
const ALONE_LOOKS: u32 = 100;
const ALONE: &[u8] =
    b"lockstep: a loop without a check has taken 2 s of processor time, and nobody else can run; if it never ends, neither will this run\n";

/// What the watchdog keeps for one actor. Written by the actor's own thread only, and by its
/// signal handlers.
pub struct Watch {
    /// The kernel's timers plus one, 0 while there are none: on the thread's processor time for
    /// ever, and on the machine's clock once for each time that a declared goroutine goes on.
    period: AtomicUsize,
    again: AtomicUsize,
    ticks: AtomicU64,
    /// `ticks` at the last look.
    seen: AtomicU64,
    /// No tick in at least one period.
    near: AtomicBool,
    /// The goroutine on this thread has been declared to spin and has not ticked since.
    declared: AtomicBool,
    /// A handler of the runtime's runs: what it does is no tick of the code that it interrupted.
    handler: AtomicBool,
    /// Looks in a row that found the thread outside `gotext` without a tick.
    outside: AtomicU32,
    /// Looks in a row that found it in `gotext` without a tick, and no other thread ready.
    alone: AtomicU32,
}

impl Watch {
    pub const fn new() -> Watch {
        Watch {
            period: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            ticks: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            near: AtomicBool::new(false),
            declared: AtomicBool::new(false),
            handler: AtomicBool::new(false),
            outside: AtomicU32::new(0),
            alone: AtomicU32::new(0),
        }
    }
}

static PREVIOUS: std::sync::Mutex<Option<libc::sigaction>> = std::sync::Mutex::new(None);

pub fn install() -> Result<(), String> {
    let old = sys::install(libc::SIGVTALRM, on_look)?;
    *PREVIOUS.lock().expect("no panic while it is held") = Some(old);
    Ok(())
}

pub fn uninstall() {
    if let Some(old) = PREVIOUS.lock().expect("no panic while it is held").take() {
        sys::reinstall(libc::SIGVTALRM, &old);
    }
}

/// Starts watching the calling thread.
pub fn begin(watch: &Watch) {
    watch.ticks.store(0, Relaxed);
    watch.seen.store(u64::MAX, Relaxed);
    watch.near.store(false, Relaxed);
    watch.declared.store(false, Relaxed);
    watch.handler.store(false, Relaxed);
    watch.outside.store(0, Relaxed);
    watch.alone.store(0, Relaxed);
    create(
        &watch.again,
        libc::CLOCK_MONOTONIC,
        "on the machine's clock",
    );
    let processor = libc::CLOCK_THREAD_CPUTIME_ID;
    create(&watch.period, processor, "on a thread's processor time");
    arm(&watch.period, PERIOD_NS, PERIOD_NS);
}

/// Creates a timer that signals the calling thread.
fn create(timer: &AtomicUsize, clock: libc::clockid_t, which: &str) {
    // SAFETY: a zeroed sigevent is a valid value of the type.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = libc::SIGVTALRM;
    event.sigev_value.sival_ptr = std::ptr::from_ref(timer).cast_mut().cast();
    event.sigev_notify_thread_id = sys::thread_id();
    let mut made: libc::timer_t = std::ptr::null_mut();
    // SAFETY: both structs are ours; the timer signals this thread only.
    let rc = unsafe { libc::timer_create(clock, &mut event, &mut made) };
    if rc != 0 {
        crate::die(
            &baton::config(),
            format_args!(
                "cannot create a timer {which}: {}",
                std::io::Error::last_os_error()
            ),
        );
    }
    timer.store(made as usize + 1, Relaxed);
}

/// Stops watching the calling thread.
pub fn end(watch: &Watch) {
    for timer in [&watch.period, &watch.again] {
        let timer = timer.swap(0, Relaxed);
        if timer != 0 {
            // SAFETY: the timer was created by `begin` and is deleted once.
            unsafe { libc::timer_delete((timer - 1) as libc::timer_t) };
        }
    }
}

/// The timer fires in so many nanoseconds, and then every `interval`, or never again if that is 0.
fn arm(timer: &AtomicUsize, ns: u64, interval: u64) {
    let timer = timer.load(Relaxed);
    if timer == 0 {
        return;
    }
    let time = |ns| libc::timespec {
        tv_sec: 0,
        tv_nsec: ns as i64,
    };
    let setting = libc::itimerspec {
        it_interval: time(interval),
        it_value: time(ns),
    };
    // SAFETY: the timer lives (`end` clears it first), the setting is ours.
    unsafe {
        libc::timer_settime(
            (timer - 1) as libc::timer_t,
            0,
            &setting,
            std::ptr::null_mut(),
        );
    }
}

/// The actor reached a tick, unless it is in a handler.
#[inline]
pub fn tick(watch: &Watch) {
    if in_handler(watch) {
        return;
    }
    watch
        .ticks
        .store(watch.ticks.load(Relaxed).wrapping_add(1), Relaxed);
    if watch.near.load(Relaxed) || watch.declared.load(Relaxed) {
        late_tick(watch);
    }
}

/// A tick after a long time without one: the loop was finite, so its length, which the
/// compiler and the machine decide, has entered the clock (or nearly has).
#[cold]
fn late_tick(watch: &Watch) {
    not_portable(Portable::NearWatchdog);
    watch.near.store(false, Relaxed);
    watch.declared.store(false, Relaxed);
}

/// Whether a handler of the runtime's runs on the calling thread.
#[inline]
pub fn in_handler(watch: &Watch) -> bool {
    watch.handler.load(Relaxed)
}

/// Says whether one runs, and returns what was said before.
pub fn set_handler(watch: &Watch, runs: bool) -> bool {
    watch.handler.swap(runs, Relaxed)
}

/// The goroutine on this thread leaves it in the middle of its code. Returns whether it was
/// declared to spin.
pub fn take_off(watch: &Watch) -> bool {
    watch.declared.swap(false, Relaxed)
}

/// The goroutine on this thread, which was declared to spin, is about to go on.
pub fn goes_on(watch: &Watch) {
    watch.declared.store(true, Relaxed);
    arm(&watch.again, AGAIN_NS, 0);
}

/// Counts a look, and writes the line when there were `looks` in a row.
fn says_after(counter: &AtomicU32, looks: u32, line: &'static [u8]) {
    if counter.fetch_add(1, Relaxed) + 1 == looks {
        // SAFETY: async-signal-safe; the line lives for ever.
        unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
    }
}

/// Whether there was no tick since the last look.
fn has_stood_still(watch: &Watch) -> bool {
    let ticks = watch.ticks.load(Relaxed);
    let still = watch.seen.swap(ticks, Relaxed) == ticks;
    if !still {
        watch.outside.store(0, Relaxed);
        watch.alone.store(0, Relaxed);
    }
    still
}

extern "C" fn on_look(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let (Some(me), Some(actor)) = (trap::me(), baton::actor()) else {
        return;
    };
    let _errno = sys::KeepErrno::new();
    let watch = &actor.watch;
    // SAFETY: we are in an SA_SIGINFO handler, this is its siginfo, and a timer's has a value.
    let timer: *const AtomicUsize = unsafe { (*info).si_value() }.sival_ptr.cast();
    let again = std::ptr::eq(timer, &watch.again);
    if again {
        // A goroutine that was to be declared may have left the thread meanwhile. Then this must not
        // count as a look at the next one.
        if !watch.declared.load(Relaxed) {
            return;
        }
    } else if !has_stood_still(watch) {
        return;
    }
    // SAFETY: as above, and this is its context.
    let pc = unsafe { sys::pc(context) };
    if !(baton::config().in_gotext)(pc) {
        // A long call of std, say. Nothing can be done about it: a holder of a lock of std's
        // must go on. It costs no virtual time.
        if again {
            arm(&watch.again, ONCE_MORE_NS, 0);
        } else {
            says_after(&watch.outside, OUTSIDE_LOOKS, OUTSIDE);
        }
        return;
    }
    watch.outside.store(0, Relaxed);
    if !baton::others_ready() {
        // No actor waits for the baton, so its length does not matter, whatever it is.
        if !again {
            says_after(&watch.alone, ALONE_LOOKS, ALONE);
        }
        return;
    }
    if !watch.near.load(Relaxed) && !watch.declared.load(Relaxed) {
        watch.near.store(true, Relaxed);
        return;
    }
    // Declared. The interrupted code is the goroutine's own, so it holds no lock of ours
    // and is not inside the allocator.
    watch.near.store(false, Relaxed);
    watch.declared.store(true, Relaxed);
    let clock = baton::later(actor.clock.load(Relaxed), DECLARED_NS);
    let past = baton::later(actor.horizon.load(Relaxed), 1);
    actor.clock.store(clock.max(past), Relaxed);
    baton::hand_over_blocked(me, actor.clock.load(Relaxed));
    goes_on(watch);
}
