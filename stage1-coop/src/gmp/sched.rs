//! What all Ms share: `sched` with its lock, the list of Ms, and the Ps of the run. Mirrors
//! `schedt`, `allm` and `allp` of `runtime2.go`.
//!
//! Tests: `waking`, `handoff`.

use crate::gmp::attention::Attention;
use crate::gmp::g::G;
use crate::gmp::m::M;
use crate::gmp::p::P;
use crate::gmp::searchers::Searchers;
use crate::order::{Order, RandomOrder};
use crate::os::{Lock, Note};
use crate::word::Link;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};

/// What the whole scheduler shares: Go's `schedt`.
pub struct Sched {
    lock: Lock,
    inner: UnsafeCell<SchedInner>,
    /// Idle Ps. Changed under the lock, read anywhere (see `searchers.rs` for the order).
    pub npidle: AtomicU32,
    /// Ms that search for work. Go's `nmspinning`.
    pub searchers: Searchers,
    /// Length of the global queue: changed under the lock, read anywhere (relaxed: a hint).
    pub runqsize: AtomicU32,
    /// What `schedule` must look at before its queue, as bits; 0 nearly always.
    pub attention: Attention,
    /// Number of the last goroutine.
    pub goidgen: AtomicUsize,
    /// Ms whose threads have not left the run.
    pub live: AtomicU32,
    /// Where an M that leaves says so, to the one that ran `main` to its end ...
    pub left: Note,
    /// ... and to M0, which waits for all of them.
    pub all_left: Note,
    /// All Ms, newest first.
    pub allm: Link<M>,
    /// Threads without a P that are making a goroutine runnable. A new run waits until there
    /// are none: see `ready_from_outside`.
    pub outside: AtomicU32,
}

// SAFETY: `inner` is only reached through `Sched::lock`.
unsafe impl Sync for Sched {}

/// Threads that a run may have unless it says otherwise: Go's number.
pub const MAX_THREADS: i32 = 10_000;

/// The part of [`Sched`] that its lock protects.
pub struct SchedInner {
    /// Idle Ms, last in first out.
    pub midle: Option<&'static M>,
    /// How many.
    pub nmidle: u32,
    /// Ms that sleep until the goroutine which is locked to them can run. Below 0 for a
    /// moment when it can before its M has gone to sleep.
    pub nmidlelocked: i32,
    /// Ms that were made for one function and run no goroutines.
    pub nmsys: i32,
    /// Ms whose thread has ended before the run, and that have no other yet.
    pub nmfreed: i32,
    /// Those of them whose thread does not touch them any more, last in first out: the next
    /// thread gets one of these. Go frees them (`sched.freem`).
    pub freem: Option<&'static M>,
    /// Ms made so far; the number of the next new one.
    pub mnext: usize,
    /// Ms that there may be at once.
    pub maxmcount: i32,
    /// Idle Ps, last in first out.
    pub pidle: Option<&'static P>,
    /// First and last of the global queue.
    pub runqhead: Option<&'static G>,
    /// See `runqhead`.
    pub runqtail: Option<&'static G>,
    /// Every G that was ever made.
    pub allgs: Vec<&'static G>,
}

/// The scheduler of this process.
pub static SCHED: Sched = Sched {
    lock: Lock::new(),
    inner: UnsafeCell::new(SchedInner {
        midle: None,
        nmidle: 0,
        nmidlelocked: 0,
        nmsys: 0,
        nmfreed: 0,
        freem: None,
        mnext: 0,
        maxmcount: MAX_THREADS,
        pidle: None,
        runqhead: None,
        runqtail: None,
        allgs: Vec::new(),
    }),
    npidle: AtomicU32::new(0),
    searchers: Searchers::new(),
    runqsize: AtomicU32::new(0),
    attention: Attention::new(),
    goidgen: AtomicUsize::new(0),
    live: AtomicU32::new(0),
    left: Note::new(),
    all_left: Note::new(),
    allm: Link::none(),
    outside: AtomicU32::new(0),
};

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
