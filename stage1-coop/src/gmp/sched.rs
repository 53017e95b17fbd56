//! What all Ms share: `sched` with its lock, the list of Ms, and the Ps of the run. Mirrors
//! `schedt`, `allm` and `allp` of `runtime2.go`.
//!
//! Tests: `waking`, `handoff`.

use crate::gmp::attention::Attention;
use crate::gmp::g::G;
use crate::gmp::m::M;
use crate::gmp::p::P;
use crate::gmp::record;
use crate::gmp::searchers::Searchers;
use crate::order::{Order, RandomOrder};
use crate::os::{Lock, Note};
use crate::word::Link;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};

record! {
    /// What the whole scheduler shares: Go's `schedt`.
    pub struct Sched {
        lock: Lock = Lock::new(),
        inner: UnsafeCell<SchedInner> = UnsafeCell::new(SchedInner::new()),
        /// Idle Ps. Changed under the lock, read anywhere (see `searchers.rs` for the order).
        pub npidle: AtomicU32 = AtomicU32::new(0) => each_run,
        /// Ms that search for work. Go's `nmspinning`.
        pub searchers: Searchers = Searchers::new() => each_run,
        /// Length of the global queue: changed under the lock, read anywhere (relaxed: a hint).
        pub runqsize: AtomicU32 = AtomicU32::new(0) => each_run,
        /// What `schedule` must look at before its queue, as bits; 0 nearly always. The last
        /// run's bit stays until the next one is ready for threads that wake its goroutines.
        pub attention: Attention = Attention::new(),
        /// Number of the last goroutine.
        pub goidgen: AtomicUsize = AtomicUsize::new(0) => each_run,
        /// Ms whose threads have not left the run.
        pub live: AtomicU32 = AtomicU32::new(0) => each_run,
        /// Where an M that leaves says so, to the one that ran `main` to its end ...
        pub left: Note = Note::new() => each_run,
        /// ... and to M0, which waits for all of them.
        pub all_left: Note = Note::new() => each_run,
        /// All Ms, newest first.
        pub allm: Link<M> = Link::none() => each_run,
        /// Threads without a P that are making a goroutine runnable. A new run waits until there
        /// are none: see `ready_from_outside`.
        pub outside: AtomicU32 = AtomicU32::new(0),
    }
    /// The scheduler before the first run.
    fn new();
    /// A new run begins. What is under the lock begins with [`SchedInner::reset`].
    pub(crate) fn reset();
}

// SAFETY: `inner` is only reached through `Sched::lock`.
unsafe impl Sync for Sched {}

/// Threads that a run may have unless it says otherwise: Go's number.
pub const MAX_THREADS: i32 = 10_000;

record! {
    /// The part of [`Sched`] that its lock protects.
    pub struct SchedInner {
        /// Idle Ms, last in first out.
        pub midle: Option<&'static M> = None,
        /// How many.
        pub nmidle: u32 = 0,
        /// Ms that sleep until the goroutine which is locked to them can run. Below 0 for a
        /// moment when it can before its M has gone to sleep.
        pub nmidlelocked: i32 = 0,
        /// Ms that were made for one function and run no goroutines.
        pub nmsys: i32 = 0,
        /// Ms whose thread has ended before the run, and that have no other yet.
        pub nmfreed: i32 = 0,
        /// Those of them whose thread does not touch them any more, last in first out: the next
        /// thread gets one of these. Go frees them (`sched.freem`).
        pub freem: Option<&'static M> = None,
        /// Ms made so far; the number of the next new one.
        pub mnext: usize = 0,
        /// Ms that there may be at once.
        pub maxmcount: i32 = MAX_THREADS,
        /// Idle Ps, last in first out.
        pub pidle: Option<&'static P> = None,
        /// First and last of the global queue.
        pub runqhead: Option<&'static G> = None,
        /// See `runqhead`.
        pub runqtail: Option<&'static G> = None,
        /// Every G that was ever made.
        pub allgs: Vec<&'static G> = Vec::new(),
    }
    /// Without goroutines and threads.
    fn new();
}

/// The scheduler of this process.
pub static SCHED: Sched = Sched::new();

/// A word that a new run finds as the first one did. While it is written, no M uses it.
trait EachRun {
    /// The word holds what `first` holds.
    fn each_run(&self, first: Self);
}

impl EachRun for AtomicU32 {
    fn each_run(&self, first: AtomicU32) {
        self.store(first.into_inner(), SeqCst);
    }
}

impl EachRun for AtomicUsize {
    fn each_run(&self, first: AtomicUsize) {
        self.store(first.into_inner(), SeqCst);
    }
}

impl<T> EachRun for Link<T> {
    fn each_run(&self, first: Link<T>) {
        self.store(first.get(), SeqCst);
    }
}

impl EachRun for Searchers {
    fn each_run(&self, _none: Searchers) {
        self.reset();
    }
}

impl EachRun for Note {
    fn each_run(&self, _clear: Note) {
        self.clear();
    }
}

/// The scheduler, locked. Not under it: functions with a check (see `Lock::raw_unlock`).
pub struct SchedGuard {
    /// Not Send: the count of locks that it raised is the thread's.
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl Drop for SchedGuard {
    fn drop(&mut self) {
        SCHED.lock.raw_unlock();
    }
}

impl Sched {
    /// Takes `sched.lock`.
    pub fn lock(&'static self) -> SchedGuard {
        self.lock.raw_lock();
        SchedGuard {
            _not_send: std::marker::PhantomData,
        }
    }

    /// Takes `sched.lock`, unless it is held for longer than `ms` milliseconds.
    pub(crate) fn lock_within(&'static self, ms: u32) -> Option<SchedGuard> {
        self.lock.raw_lock_within(ms).then(|| SchedGuard {
            _not_send: std::marker::PhantomData,
        })
    }
}

impl std::ops::Deref for SchedGuard {
    type Target = SchedInner;
    fn deref(&self) -> &SchedInner {
        // SAFETY: the guard holds the lock.
        unsafe { &*SCHED.inner.get() }
    }
}

impl std::ops::DerefMut for SchedGuard {
    fn deref_mut(&mut self) -> &mut SchedInner {
        // SAFETY: the guard holds the lock, and is borrowed mutably.
        unsafe { &mut *SCHED.inner.get() }
    }
}

impl SchedInner {
    /// A new run begins, with at most so many threads at once. The Gs stay: they are used again.
    pub(crate) fn reset(&mut self, maxmcount: i32) {
        *self = SchedInner {
            maxmcount,
            allgs: std::mem::take(&mut self.allgs),
            ..SchedInner::new()
        };
    }

    /// How many Ms have a thread, or are about to get one. Go's `mcount`.
    pub fn mcount(&self) -> i32 {
        self.mnext as i32 - self.nmfreed
    }
}

impl M {
    /// `m.locks` and `m.mallocing`, which are words of its thread; zeros if it has none any
    /// more. The lock keeps the thread from ending meanwhile.
    pub fn locks_and_mallocing(&self, _sched: &SchedInner) -> (i32, i32) {
        // SAFETY: null, or the words of a thread that takes the address away under
        // `sched.lock` before it ends; the caller holds it.
        let words = unsafe { self.tls.load(Acquire).as_ref() };
        words.map_or((0, 0), |words| {
            (words.locks.load(Relaxed), words.mallocing.load(Relaxed))
        })
    }
}

/// What a run has of Ps. Made once per run and never freed.
struct Procs {
    ps: &'static [P],
    order: RandomOrder,
}
static NO_PROCS: Procs = Procs {
    ps: &[],
    order: RandomOrder::new(),
};
/// One word, so that no reader pairs the address of one list with the length of another.
static PROCS: AtomicPtr<Procs> = AtomicPtr::new((&raw const NO_PROCS).cast_mut());

#[inline]
fn procs() -> &'static Procs {
    // SAFETY: only ever set from a `&'static Procs`. Acquire, for a thread that is not of
    // the runtime: it may see the list of a run that it did not see start.
    unsafe { &*PROCS.load(Acquire) }
}

/// All Ps of the run. Go's `allp`.
#[inline]
pub fn allp() -> &'static [P] {
    procs().ps
}

/// Makes `count` idle Ps and the order in which thieves visit them.
pub(crate) fn make_allp(count: usize) {
    let ps: Vec<P> = (0..count).map(P::new).collect();
    let mut order = RandomOrder::new();
    order.reset(count as u32);
    let procs: &'static Procs = Box::leak(Box::new(Procs {
        ps: Vec::leak(ps),
        order,
    }));
    PROCS.store(std::ptr::from_ref(procs).cast_mut(), Release);
}

/// The order of all Ps for the random number `i`.
#[inline]
pub(crate) fn steal_order(i: u32) -> Order {
    procs().order.start(i)
}

/// Number of Ps. Go's `gomaxprocs`.
#[inline]
pub fn gomaxprocs() -> usize {
    allp().len()
}

/// All Ms, newest first; also those without a thread, whose events a trace still needs. Go's
/// `allm`, which has only [`living`] ones.
pub fn allm() -> impl Iterator<Item = &'static M> {
    std::iter::successors(SCHED.allm.load(Acquire), |m| m.alllink.load(Acquire))
}

/// The Ms that have a thread, or are about to get one, newest first.
pub fn living() -> impl Iterator<Item = &'static M> {
    allm().filter(|m| !m.freed.load(Acquire))
}
