//! The event log: what the scheduler did, when, and to which goroutine. Go's vocabulary, plus what
//! Go's tracer leaves out: which thread asked for a preemption, and what became of the request.
//!
//! What an event is, what it does, and how it is read and written is in the crate
//! `safepoint-trace`. Here is what records: each M writes events into its own buffer, one writer
//! and no lock; a thread of the trace's own reads them, when the run is over or while it goes
//! on. Off, an event is one predictable branch. Mirrors `trace.go`; the text form is explained in
//! *How to read a trace*.
//!
//! Tests: `traces`, `chrome`, `gotrace`.

mod bell;
mod buffer;
mod clock;
mod lost;
pub(crate) mod map;
mod scribe;
mod waitreason;
mod writer;

pub(crate) use buffer::{Buffer, Keep};
pub use lost::TRACE_LOST;
pub use safepoint_trace::{Escaped, KINDS, Kind, Record, legend};
pub(crate) use scribe::{ask, finish, pending, thread};
pub use waitreason::WaitReason;

use crate::arch::getm_opt;
use crate::gmp::{G, M, P, allm};
use safepoint_lockstep as lab;
use safepoint_trace::{
    Form, GO_BLOCK, GO_CREATE, GO_END, GO_PREEMPT, GO_SCHED, GO_START, GO_START_NEXT, GO_UNBLOCK,
    Header, POLL_HIT, PREEMPT, PROC_START, PROC_STOP, STACK_GROW, STEAL, THREAD_START, USER_LOG,
    words,
};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};

/// What an event means, as bits; 0: it is not wanted.
static FLAGS: AtomicU8 = AtomicU8::new(0);
/// It is kept for the trace.
const KEEPS: u8 = 1;
/// Its line goes into the map.
const MAPS: u8 = 2;
/// It moves the clock of lockstep.
const TICKS: u8 = 4;
/// There are stacks without a guard page: the one that is in use is looked at.
const STACKS: u8 = 8;
/// When the run began, in ticks.
static START: AtomicU64 = AtomicU64::new(0);

/// Where the trace goes.
pub(crate) struct Output {
    pub form: Form,
    pub sink: Box<dyn Write + Send>,
    pub name: String,
    pub keep: Keep,
    /// How many of the last events, if these are kept.
    pub last: usize,
}

/// Prepares for a run. Events are kept when there is somewhere to put them; `header` is what
/// their trace says about the run.
///
/// # Errors
/// One line for the user.
pub(crate) fn start(output: Option<Output>, header: impl FnOnce() -> Header) -> Result<(), String> {
    let maps = map::is_open();
    clock::choose(maps);
    START.store(clock::ticks(), Relaxed);
    let flag = |on, bit| if on { bit } else { 0 };
    let flags = flag(output.is_some(), KEEPS)
        | flag(maps, MAPS)
        | flag(lab::enabled(), TICKS)
        | flag(LOOK.get().is_some(), STACKS);
    // Before there is a thread that writes: it may find at once that it cannot, and then nothing
    // is to be kept.
    FLAGS.store(flags, SeqCst);
    if let Some(output) = output {
        let (keep, last) = (output.keep, output.last);
        buffer::shape(keep, last);
        scribe::start(output, header(), keep, last)?;
    }
    Ok(())
}

/// Looks at the stack of the goroutine on an M.
static LOOK: OnceLock<fn(&'static M)> = OnceLock::new();

/// From now on the stack of each goroutine that does something is looked at.
pub(crate) fn look_at_stacks(look: fn(&'static M)) {
    let _ = LOOK.set(look);
    FLAGS.fetch_or(STACKS, SeqCst);
}

/// The run is over: the trace is written, and nothing is kept any more.
pub(crate) fn end() {
    finish();
    scribe::join();
    for m in allm() {
        m.trace.free();
    }
}

/// Whether events are kept.
pub(crate) fn keeps() -> bool {
    FLAGS.load(Relaxed) & KEEPS != 0
}

/// No event is kept from here on.
fn stop_keeping() {
    FLAGS.fetch_and(!KEEPS, SeqCst);
    buffer::close();
}

/// Whether events are looked at: the branch that remains when tracing is off.
#[inline(always)]
pub fn on() -> bool {
    FLAGS.load(Relaxed) != 0
}

/// Out of the way: the fast path keeps a load, a test and a jump, and no room on the stack.
#[cold]
#[inline(never)]
fn outlined(f: impl FnOnce()) {
    f();
}

/// Records an event of the calling thread's M. In lockstep this is where time passes and
/// where another thread may get its turn.
#[cold]
#[inline(never)]
pub fn emit(kind: &'static Kind, args: [u64; 3], flow: u32) {
    record(kind, args, flow);
    pass();
}

/// Records an event in the handler of a signal, on an M; elsewhere it does nothing.
/// `interrupted` is what was the thread's G when the handler began: if that is a goroutine, and
/// no M's `g0`, its number is in the event's column. The P is the one that the M has just then.
/// Whatever was interrupted may stand between an event and the change that it tells of, also
/// between taking the event's place and filling it, so the kind's effect must be one of those
/// for which the columns prove nothing ([`Effect::in_handler`](safepoint_trace::Effect)).
/// Async-signal-safe.
#[cold]
#[inline(never)]
pub fn emit_in_handler(kind: &'static Kind, args: [u64; 3], flow: u32, interrupted: &G) {
    let Some(mp) = getm_opt() else { return };
    let flags = FLAGS.load(Relaxed) & !STACKS;
    if flags != 0 {
        fill(mp, flags, kind, args, flow, || {
            interrupted.goid.get() as u32
        });
        pass();
    }
}

/// In lockstep, another thread may get its turn.
fn pass() {
    if lab::enabled() && getm_opt().is_some() {
        lab::pass();
    }
}

/// The goroutine that did what the event says. It did not start itself: the M did that.
fn subject(mp: &M, kind: &'static Kind) -> u32 {
    if kind.effect.starts() {
        return 0;
    }
    mp.curg.get().map_or(0, |g| g.goid.get() as u32)
}

/// Records an event and returns when it happened, in ticks.
#[inline]
fn record(kind: &'static Kind, args: [u64; 3], flow: u32) -> u64 {
    let Some(mp) = getm_opt() else { return 0 };
    let flags = FLAGS.load(Relaxed);
    if flags & STACKS != 0 {
        if let Some(look) = LOOK.get() {
            look(mp);
        }
        if flags == STACKS {
            return 0;
        }
    }
    fill(mp, flags, kind, args, flow, || subject(mp, kind))
}

/// Takes a place for the event and fills it; returns when that was. `g` is the goroutine that
/// did it.
#[inline(always)]
fn fill(
    mp: &'static M,
    flags: u8,
    kind: &'static Kind,
    args: [u64; 3],
    flow: u32,
    g: impl FnOnce() -> u32,
) -> u64 {
    // First a place and then the time: what others do not see yet is later than what they see.
    let place = match flags & KEEPS {
        0 => None,
        _ => mp.trace.take(),
    };
    // SAFETY: who emits a text passes the two words of a `&'static str`, as `words` makes them.
    let mut event = unsafe { Record::new(kind, args) };
    event.time = match flags & TICKS {
        0 => clock::ticks(),
        _ => lab::event(),
    };
    event.p = mp.p.get().map_or(-1, |p| p.id.get() as i32);
    event.g = g();
    event.flow = flow;
    if let Some(place) = place {
        place.write(&event);
    }
    if flags & (MAPS | TICKS) != 0 {
        to_others(mp, event, flags);
    }
    event.time
}

/// The event for the map, and what lockstep lets the trace's thread know.
#[cold]
#[inline(never)]
fn to_others(mp: &M, event: Record, flags: u8) {
    if flags & MAPS != 0 {
        let from = match flags & TICKS {
            0 => START.load(Relaxed),
            _ => 0,
        };
        let mut event = event;
        event.time = event.time.saturating_sub(from);
        map::record(mp.id.get(), &event);
    }
    if flags & TICKS != 0 {
        scribe::low_water(lab::low_water());
    }
}

/// A P got an M.
#[inline]
pub(crate) fn proc_start(pp: &P) {
    if on() {
        outlined(|| {
            emit(&PROC_START, [pp.id.get() as u64, 0, 0], 0);
        });
    }
}

/// A P lost its M: there is nothing to run.
#[inline]
pub(crate) fn proc_stop(pp: &P) {
    if on() {
        outlined(|| {
            emit(&PROC_STOP, [pp.id.get() as u64, 0, 0], 0);
        });
    }
}

/// A thread is made.
#[inline]
pub(crate) fn thread_start(mp: &M) {
    if on() {
        outlined(|| {
            emit(&THREAD_START, [mp.id.get() as u64, 0, 0], 0);
        });
    }
}

/// A goroutine was made.
#[inline]
pub(crate) fn go_create(gp: &G) {
    if on() {
        outlined(|| {
            let (ptr, len) = words(gp.name.get());
            emit(&GO_CREATE, [gp.goid.get() as u64, ptr, len], 0);
        });
    }
}

/// A goroutine gets the processor.
#[inline]
pub(crate) fn go_start(pp: &P, gp: &G, inherit: bool) {
    if on() {
        go_start_on(pp, gp, inherit);
    }
}

#[cold]
#[inline(never)]
fn go_start_on(pp: &P, gp: &G, inherit: bool) {
    let kind = if inherit { &GO_START_NEXT } else { &GO_START };
    let time = record(kind, [gp.goid.get() as u64, 0, 0], 0);
    if !inherit {
        pp.slice_start.store(time, Relaxed);
    }
    pass();
}

/// A goroutine goes on with another P: its slice there begins now.
pub fn slice_begins(pp: &P) {
    if on() {
        pp.slice_start.store(stamp(), Relaxed);
    }
}

/// The run's clock in ticks, for the length of a slice.
fn stamp() -> u64 {
    if lab::enabled() {
        lab::now()
    } else {
        clock::ticks()
    }
}

/// A goroutine has finished.
#[inline]
pub(crate) fn go_end(_gp: &G) {
    if on() {
        outlined(|| {
            emit(&GO_END, [0; 3], 0);
        });
    }
}

/// A goroutine lets others run.
#[inline]
pub(crate) fn go_sched(_gp: &G) {
    if on() {
        outlined(|| {
            emit(&GO_SCHED, [0; 3], 0);
        });
    }
}

/// A goroutine heeded a request to yield, and in which way.
#[inline]
pub fn go_preempt(gp: &G, how: &'static str) {
    if on() {
        outlined(|| {
            let (ptr, len) = words(how);
            emit(&GO_PREEMPT, [ptr, len, 0], gp.preempt_flow.load(Relaxed));
        });
    }
}

/// A guard check met a request and refused it.
#[inline]
pub(crate) fn poll_hit(gp: &G, why: &'static str) {
    if on() {
        outlined(|| {
            let (ptr, len) = words(why);
            emit(&POLL_HIT, [ptr, len, 0], gp.preempt_flow.load(Relaxed));
        });
    }
}

/// What runs on `pp` is asked to yield.
#[inline]
pub(crate) fn preempt_requested(pp: &P, gp: &G, flow: u32) {
    if on() {
        outlined(|| {
            let ran = stamp().saturating_sub(pp.slice_start.load(Relaxed));
            emit(
                &PREEMPT,
                [pp.id.get() as u64, gp.goid.get() as u64, ran],
                flow,
            );
        });
    }
}

/// A goroutine parks.
#[inline]
pub(crate) fn go_block(_gp: &G, reason: WaitReason) {
    if on() {
        outlined(|| {
            let (ptr, len) = words(reason.name());
            emit(&GO_BLOCK, [ptr, len, 0], 0);
        });
    }
}

/// A parked goroutine may run again.
#[inline]
pub fn go_unblock(gp: &G) {
    if on() {
        outlined(|| {
            emit(&GO_UNBLOCK, [gp.goid.get() as u64, 0, 0], 0);
        });
    }
}

/// A goroutine's stack grew.
#[inline]
pub(crate) fn stack_grow(_gp: &G, size: usize) {
    if on() {
        outlined(|| {
            emit(&STACK_GROW, [size as u64 / 1024, 0, 0], 0);
        });
    }
}

/// A P took work from another.
#[inline]
pub(crate) fn steal(_pp: &P, victim: &P, n: u32) {
    if on() {
        outlined(|| {
            emit(&STEAL, [victim.id.get() as u64, u64::from(n), 0], 0);
        });
    }
}

/// A line of the user's own in the trace, of at most three words of text that live for
/// ever. Go's `trace.Log`.
pub fn user_log(text: &'static str) {
    if on() {
        outlined(|| {
            let (ptr, len) = words(text);
            emit(&USER_LOG, [ptr, len, 0], 0);
        });
    }
}
