//! The event log: what the scheduler did, when, and to whom. Go's vocabulary, plus what
//! Go's tracer leaves out: who asked for a preemption, and what became of the request.
//!
//! Each M writes events into its own buffer, one writer and no lock; a reader comes when
//! the run is over. Off, an event is one predictable branch. Mirrors `trace.go`; the text
//! form is explained in *Before you begin*.

mod buffer;
mod chrome;
pub mod gov2;
mod in_go;
mod kinds;
mod lost;
pub(crate) mod map;
mod scribe;
mod text;

pub(crate) use buffer::Buffer;
pub use buffer::Event;
pub use kinds::{KINDS, Kind, WaitReason, legend};
pub use lost::TRACE_LOST;
pub(crate) use scribe::{ask, finish, pending, thread};

use crate::arch::getm_opt;
use crate::runtime2::{G, M, P, allm, gomaxprocs, stage};
use crate::{config, os};
use kinds::*;
use safepoint_lockstep::{self as lab, say};
use std::io::{ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// Whether an event must be looked at: a trace is written, or lockstep needs its ticks.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether events are kept.
static KEEP: AtomicBool = AtomicBool::new(false);
/// Where the run's clock began (free-running).
static START: AtomicU64 = AtomicU64::new(0);
static OUTPUT: Mutex<Option<Output>> = Mutex::new(None);
/// Where the trace goes when the run is over.
pub(crate) struct Output {
    pub form: Form,
    pub sink: Box<dyn Write + Send>,
    pub name: String,
}

/// The forms of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Text,
    Chrome,
    Go,
}

/// Prepares for a run. Events are kept when there is somewhere to put them.
///
/// # Errors
/// One line for the user.
pub(crate) fn start(output: Option<Output>) -> Result<(), String> {
    let keep = output.is_some();
    KEEP.store(output.is_some(), Relaxed);
    START.store(os::monotonic(), Relaxed);
    ON.store(output.is_some() || map::is_open() || lab::enabled(), SeqCst);
    *OUTPUT.lock().expect("no panic while it is held") = output;
    if keep {
        scribe::start(write_output)?;
    }
    Ok(())
}

/// The run is over: the trace is written, and nothing is kept any more.
pub(crate) fn end() {
    finish();
    scribe::join();
    for m in allm() {
        m.trace.free();
    }
}

/// On the thread that writes the trace. Returns false if it is lost.
fn write_output() -> bool {
    let output = OUTPUT.try_lock().ok().and_then(|mut output| output.take());
    output.is_none_or(write)
}

fn write(mut output: Output) -> bool {
    let portable = lab::portable();
    let mut events: Vec<(u64, usize, Event)> = allm()
        .flat_map(|m| {
            let id = m.id.get();
            m.trace.events().map(move |e| (e.time, id, e))
        })
        .collect();
    // A stable sort: the events of one M keep their order.
    events.sort_by_key(|&(time, m, _)| (time, m));
    let dropped: u64 = allm().map(|m| m.trace.dropped()).sum();
    let run = Run {
        stage: stage().name,
        program: config::program(),
        procs: gomaxprocs(),
        seed: config::seed(),
        portable,
        dropped,
    };
    let rendered = match output.form {
        Form::Text => text::render(&run, &events).into_bytes(),
        Form::Chrome => chrome::render(&run, &events).into_bytes(),
        Form::Go => gov2::render(&run, &events),
    };
    // In pieces: a death that waits for us sees that it goes on.
    let written = rendered.chunks(64 << 10).try_for_each(|piece| {
        os::last_resort::written();
        output.sink.write_all(piece)
    });
    match written.and_then(|()| output.sink.flush()) {
        Ok(()) => true,
        // The reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => true,
        Err(error) => {
            say!(
                "SAFEPOINT_TRACE={}: the trace is lost: {error}",
                output.name
            );
            false
        }
    }
}

/// What a rendered trace says about its run.
pub(crate) struct Run {
    pub stage: &'static str,
    pub program: String,
    pub procs: usize,
    pub seed: Option<u64>,
    pub portable: lab::Portable,
    pub dropped: u64,
}

/// Whether events are looked at: the branch that remains when tracing is off.
#[inline(always)]
pub fn on() -> bool {
    ON.load(Relaxed)
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
    let Some(mp) = getm_opt() else { return };
    let time = if lab::enabled() {
        lab::event()
    } else {
        os::monotonic() - START.load(Relaxed)
    };
    if KEEP.load(Relaxed) || map::is_open() {
        let event = Event {
            time,
            kind,
            args,
            p: mp.p.get().map_or(-1, |p| p.id.get() as i32),
            g: mp.curg.get().map_or(0, |g| g.goid.get() as u32),
            flow,
        };
        map::record(mp.id.get(), &event);
        if KEEP.load(Relaxed) {
            mp.trace.push(event);
        }
    }
    if lab::enabled() {
        lab::pass();
    }
}

fn words(text: &'static str) -> (u64, u64) {
    (text.as_ptr() as u64, text.len() as u64)
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
    emit(kind, [gp.goid.get() as u64, 0, 0], 0);
    if !inherit {
        pp.slice_start.store(stamp(), Relaxed);
    }
}

/// A goroutine goes on with another P: its slice there begins now.
pub fn slice_begins(pp: &P) {
    if on() {
        pp.slice_start.store(stamp(), Relaxed);
    }
}

/// The run's clock, for the length of a slice.
fn stamp() -> u64 {
    if lab::enabled() {
        lab::now()
    } else {
        os::monotonic() - START.load(Relaxed)
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

/// Somebody asks what runs on `pp` to yield.
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
