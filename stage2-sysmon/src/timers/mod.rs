//! Timers belong to Ps: each P keeps those that were set by goroutines that ran on it, and
//! looks at them whenever it looks for work. Mirrors `addtimer`, `checkTimers`, `runtimer`
//! and `timeSleepUntil` of `time.go` and `proc.go`.
//!
//! Before Go 1.14 timers were kept apart from the Ps, in up to 64 buckets with a goroutine
//! each, and each one that was due meant a switch to that goroutine, often on another thread.
//! Here a P that is busy asks between two goroutines if something is due: one load while it has
//! no timers, and a look at the clock while it has.
//!
//! A timer that is set must be looked at in time. If every M without work sleeps, one of them
//! sleeps for all timers; the protocol between that sleeper and an earlier timer is told in
//! `asleep/sleeper.rs`.
//!
//! Tests: `timers`; loom: `tests/loom/src/poller.rs`.

pub(crate) mod context;
pub(crate) mod heap;
pub(crate) mod sleep;
pub(crate) mod tick;

use crate::asleep::eventfd::{netpoll_break, wake_net_poller};
use crate::asleep::sleeper::SLEEPER;
use crate::table::words::{OF_TIMERS, OfP, of_p};
use crate::timers::heap::{Heap, Placed};
use stage1_coop::rt::arch::getm;
use stage1_coop::rt::gmp::{
    ATTENTION_LEAVE, Each, G, GRUNNABLE, GWAITING, P, SCHED, allp, casgstatus,
};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::rt::queues::{Order, runqput};
use stage1_coop::rt::sched::wakep;
use stage1_coop::rt::trace;
use stage1_coop::rt::word::Word;
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The time of a timer that is not there.
pub const NEVER: u64 = u64::MAX;

/// `p.attention`: the P has timers.
pub const P_ATTENTION_TIMERS: u32 = 1;

/// What happens when a timer is due.
pub(crate) enum Fire {
    /// This goroutine can go on.
    Ready(&'static G),
    /// A channel gets a value, or a function is called; the number says whether that is still
    /// meant.
    Shared(Arc<dyn SharedAlarm>, u32),
    /// A deadline may be over; the number says whether it is still meant.
    Alarm(&'static dyn Alarm, u32),
}

// The four children of an entry are in two cache lines.
const _: () = assert!(size_of::<(u64, Fire)>() == 32);

/// What lives for ever and has a timer: the deadline of a descriptor. Timers need to know no
/// more of it. Go's timer has a function, an argument and a number (`f`, `arg`, `seq`).
pub(crate) trait Alarm: Sync {
    /// Where the timer is in the heap of its P.
    fn place(&self) -> &Word;
    /// The timer with this number is due.
    fn fire(&'static self, seq: u32, now: u64);
}

/// What has a timer and ends with its last owner: a `Timer`, a `Ticker`.
pub(crate) trait SharedAlarm: Send + Sync {
    /// Where the timer is in the heap of its P.
    fn place(&self) -> &Word;
    /// The timer with this number was due at `when`.
    fn fire(self: Arc<Self>, seq: u32, when: u64, now: u64);
}

impl Placed for Fire {
    #[inline]
    fn placed(&self, place: usize) {
        match self {
            // A sleep cannot be taken back.
            Fire::Ready(_) => {}
            Fire::Shared(alarm, _) => alarm.place().set(place),
            Fire::Alarm(alarm, _) => alarm.place().set(place),
        }
    }
}

/// The timers of one P.
pub struct Timers {
    /// Go's `timersLock`. It comes before `sched.lock`.
    lock: Lock,
    heap: UnsafeCell<Heap<Fire>>,
    /// When the earliest is due, [`NEVER`] if there is none. Written under the lock, read by
    /// all without it (relaxed: the barriers are those of `asleep/sleeper.rs`). Go's
    /// `timer0When`.
    first: AtomicU64,
}

// SAFETY: `heap` is only touched in `with`, under the lock; what is in it may be sent.
unsafe impl Sync for Timers {}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            lock: Lock::new(),
            heap: UnsafeCell::new(Heap::new()),
            first: AtomicU64::new(NEVER),
        }
    }
}

/// The timers of each P.
// SAFETY: no other part of this crate uses the word.
pub(crate) static TIMERS: Each<OfP, Timers> = unsafe { Each::at(OF_TIMERS) };

/// Lets `f` change the timers of `pp`, and publishes the earliest for those that look without
/// the lock.
fn with<R>(pp: &'static P, f: impl FnOnce(&mut Heap<Fire>) -> R) -> R {
    let timers = TIMERS.of(of_p(pp));
    let _held = timers.lock.lock();
    // SAFETY: the lock is held, and `f` cannot come here again: nothing that is called with a
    // heap in hand sets a timer.
    let heap = unsafe { &mut *timers.heap.get() };
    let result = f(heap);
    let first = heap.first();
    timers.first.store(first.unwrap_or(NEVER), Relaxed);
    let set = pp.attention.has(P_ATTENTION_TIMERS);
    if first.is_some() && !set {
        pp.attention.raise(P_ATTENTION_TIMERS);
    } else if first.is_none() && set {
        pp.attention.lower(P_ATTENTION_TIMERS);
    }
    result
}

/// How many timers `pp` has. Takes their lock.
pub fn timers_of(pp: &'static P) -> usize {
    let timers = TIMERS.of(of_p(pp));
    let _held = timers.lock.lock();
    // SAFETY: the lock is held.
    unsafe { &*timers.heap.get() }.len()
}

/// When the earliest timer of `pp` is due; [`NEVER`] if there is none.
pub fn first_of(pp: &'static P) -> u64 {
    TIMERS.of(of_p(pp)).first.load(Relaxed)
}

/// When the earliest of all timers is due; [`NEVER`] if there is none. Go's `timeSleepUntil`.
pub fn time_sleep_until() -> u64 {
    allp().iter().map(first_of).min().unwrap_or(NEVER)
}

/// The P whose timers the caller sets: its own, or any if it has none.
pub(crate) fn my_p() -> &'static P {
    getm().p.get().unwrap_or(&allp()[0])
}

/// Whether the Ms of this run look at the timers of `pp`. The Ps of a run are one list, and those of
/// earlier ones are never freed.
pub(crate) fn is_of_this_run(pp: &'static P) -> bool {
    allp().as_ptr_range().contains(&std::ptr::from_ref(pp))
}

/// Sets a timer of `pp`. Go's `addtimer`.
pub(crate) fn addtimer(pp: &'static P, when: u64, fire: Fire) {
    put(pp, when, fire);
    announce(when);
}

/// The first half of [`addtimer`], which may be done with a lock in hand.
pub(crate) fn put(pp: &'static P, when: u64, fire: Fire) {
    with(pp, |heap| heap.push(when, fire));
}

/// The second half: an M must look at it in time.
pub(crate) fn announce(when: u64) {
    wake_net_poller(when);
    if getm().p.get().is_none() {
        // The P with the timer may be idle, and all Ms asleep.
        wakep();
    }
}

/// A timer was taken away, or a goroutine does not wait for its descriptor any more. If that was
/// the last one, the M in the poller sleeps for nothing and hides a deadlock: it gets up and
/// looks for itself.
pub(crate) fn one_reason_less() {
    if SLEEPER.sleeps_for_timers_at_most() && time_sleep_until() == NEVER {
        netpoll_break();
    }
}

/// `pp` is about to become idle: an M that sleeps in the poller must sleep for its timers, too.
pub(crate) fn mind_timers_of(pp: &'static P) {
    let when = first_of(pp);
    if when != NEVER {
        wake_net_poller(when);
    }
}

/// Takes the timer that keeps its place in `place` away from `pp`, unless it has fired or is
/// about to. In Go's `deltimer` it is only marked, and stays in the heap until a P finds it at
/// the top. Here whatever is in a heap is wanted, so `checkdead` and the sleeper may count on
/// it.
pub(crate) fn deltimer(pp: &'static P, place: &Word) {
    with(pp, |heap| heap.remove(place.get()));
}

/// As [`deltimer`], if it is due; returns it and its time.
pub(crate) fn take_due(pp: &'static P, place: &Word, now: u64) -> Option<(u64, Fire)> {
    with(pp, |heap| {
        let due = heap.when(place.get())? <= now;
        due.then(|| heap.remove(place.get()))?
    })
}

// ANCHOR: checktimers
/// Runs the timers of `pp` that are due; returns whether there were any. The caller has some
/// P, perhaps another: what becomes runnable goes into *its* queue. Go's `checkTimers`.
pub fn checktimers(pp: &'static P) -> bool {
    let first = first_of(pp);
    if first == NEVER {
        return false;
    }
    let now = nanotime();
    if first > now {
        return false;
    }
    let mut woken = 0;
    while run_due(pp, now, &mut woken) {}
    if woken > 0 {
        wake_for_the_rest();
    }
    true
}
// ANCHOR_END: checktimers

/// Timers that are taken out of a heap under one lock.
const BATCH: usize = 32;

/// Runs timers that are due, up to a batch; returns whether there may be more, and counts the
/// goroutines that it makes ready. What timers are for is done without the lock. Go's
/// `runtimer`.
fn run_due(pp: &'static P, now: u64, woken: &mut usize) -> bool {
    let mut due: [Option<(u64, Fire)>; BATCH] = [const { None }; BATCH];
    let n = with(pp, |heap| {
        let mut n = 0;
        while n < BATCH
            && let Some(timer) = heap.pop_due(now)
        {
            due[n] = Some(timer);
            n += 1;
        }
        n
    });
    for (when, fire) in due.into_iter().map_while(|timer| timer) {
        match fire {
            Fire::Ready(gp) => {
                wake_sleeper(gp, *woken == 0);
                *woken += 1;
            }
            Fire::Alarm(alarm, seq) => alarm.fire(seq, now),
            Fire::Shared(alarm, seq) => alarm.fire(seq, when, now),
        }
    }
    n == BATCH
}

/// Puts a goroutine whose time has come into the caller's queue. The first of a look goes
/// before all others, as in Go, where each one does, so that the last comes first. Here those
/// that are due at the same look run in the order of their times.
fn wake_sleeper(gp: &'static G, first: bool) {
    let Some(own) = getm().p.get() else {
        throw("checkTimers: no p");
    };
    trace::go_unblock(gp);
    // SAFETY: its timer was set by its `unlockf`, and the M that takes it off the heap is the
    // one waker.
    unsafe { casgstatus::<GWAITING, GRUNNABLE>(gp) };
    runqput(own, gp, first);
}

/// An M that ran timers is about to choose a goroutine. If there is more than one, another M
/// may help. Go wakes one in any case, which then often finds nothing; where two threads share a
/// CPU the one with the timers waits for it, up to a few milliseconds.
fn wake_for_the_rest() {
    let queued = getm().p.get().map_or(0, |pp| pp.runq.len());
    if queued > 0 || SCHED.runqsize.load(Relaxed) > 0 {
        wakep();
    }
}

/// The row `p_slow` of this stage: a P that has timers asks for those that are due, before
/// it looks at its queue.
pub fn p_slow(pp: &'static P) {
    checktimers(pp);
}

/// The row `stealwork` of this stage: the four passes of stage 1, and after the last one the
/// timers of all Ps. Their owner may be in a long slice, or asleep.
pub fn stealwork(pp: &'static P, order: Order) -> Option<(&'static G, bool)> {
    if let Some(found) = (stage1_coop::STAGE.stealwork)(pp, order) {
        return Some(found);
    }
    let mut ran = false;
    for id in order {
        if SCHED.attention.has(ATTENTION_LEAVE) {
            // What ran may have filled our queue, so look there all the same.
            break;
        }
        ran |= checktimers(&allp()[id as usize]);
    }
    if ran { pp.runq.get() } else { None }
}
