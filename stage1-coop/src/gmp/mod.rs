//! G, M and P: the three structures that everything else is about.
//!
//! A **G** is a goroutine: a stack and the place where it stopped. An **M** is a machine: a
//! thread of the operating system. A **P** is a processor: the right to run goroutines, and
//! the queue of those that wait for it. Exactly GOMAXPROCS Ps exist; an M must hold one to
//! run a G. Mirrors `runtime2.go`; the chapter *P, queues, stealing* draws them.
//!
//! All three live for ever once made, so the rest of the runtime passes `&'static` references
//! around. (Go frees the M of a thread that has ended; here its record stays.) Every field is an atomic; its comment says who writes it:
//!
//! * *owner*: for a G the M that runs it, or who took it off its queue; for a P the M that
//!   holds it; for an M its own thread.
//! * *lock*: under [`SCHED`]'s lock.
//! * *anybody*: with the ordering that the field's comment names.

pub(crate) mod status;

use crate::arch::Tls;
use crate::os::{Lock, Note};
use crate::queues::steal::{Order, RandomOrder};
use crate::ring::Runq;
use crate::stage::Stage;
use crate::trace::Buffer;
use crate::word::{Link, Text, Word};
use std::cell::UnsafeCell;
use std::mem::{MaybeUninit, offset_of};
use std::sync::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::*,
};
use std::thread::JoinHandle;

// The states of a G. The numbers are Go's: dumps print them, and later stages use those
// that this one does not.
/// Just allocated.
pub const GIDLE: u32 = 0;
/// On a run queue.
pub const GRUNNABLE: u32 = 1;
/// Running on an M with a P.
pub const GRUNNING: u32 = 2;
/// In a system call.
pub const GSYSCALL: u32 = 3;
/// Parked; whoever wakes it must find it through what it waits for.
pub const GWAITING: u32 = 4;
/// Unused since Go 1.4; kept because debuggers know the number.
pub const GMORIBUND: u32 = 5;
/// Finished, or not yet started; on a free list.
pub const GDEAD: u32 = 6;
/// Unused.
pub const GENQUEUE: u32 = 7;
/// Its stack is being exchanged for a larger one.
pub const GCOPYSTACK: u32 = 8;
/// Stopped itself because it was asked to.
pub const GPREEMPTED: u32 = 9;
/// A bit on top of a state: somebody holds the goroutine still.
pub const GSCAN: u32 = 0x1000;

/// Go's word for a G state, as dumps print it.
pub fn gstatus_name(status: u32) -> &'static str {
    match status & !GSCAN {
        GIDLE => "idle",
        GRUNNABLE => "runnable",
        GRUNNING => "running",
        GSYSCALL => "syscall",
        GWAITING => "waiting",
        GDEAD => "dead",
        GCOPYSTACK => "copystack",
        GPREEMPTED => "preempted",
        _ => "???",
    }
}

// The states of a P.
/// On the idle list, its queue empty.
pub const PIDLE: u32 = 0;
/// Held by an M that runs goroutines or looks for one.
pub const PRUNNING: u32 = 1;
/// Its M is in a system call.
pub const PSYSCALL: u32 = 2;
/// Stopped with the world.
pub const PGCSTOP: u32 = 3;
/// No longer used: GOMAXPROCS shrank.
pub const PDEAD: u32 = 4;

/// Written to `stackguard0` to ask for preemption: larger than any stack pointer, so the
/// ordinary comparison in every prologue fails. Go's `stackPreempt`, 0xfffffffffffffade.
pub const STACK_PREEMPT: usize = -1314isize as usize;
/// Written to `stackguard0` by a `fork` in progress: growing then is a bug. Go's `stackFork`.
pub const STACK_FORK: usize = -1234isize as usize;

/// The usable part of a goroutine's stack, in addresses: `lo` grows downwards.
#[repr(C)]
pub struct Stack {
    /// Lowest usable address. *owner*
    pub lo: Word,
    /// One past the highest. *owner*
    pub hi: Word,
}

/// Where a G continues: Go's `gobuf`.
#[repr(C)]
pub struct Gobuf {
    /// Stack pointer. *owner*
    pub sp: Word,
    /// Program counter. *owner*
    pub pc: Word,
    /// Frame pointer, where a dump starts its walk. *owner*
    pub bp: Word,
}

/// Machine words that a goroutine's closure may take before it is boxed.
pub const ENTRY_WORDS: usize = 6;
/// Words that later stages keep in each G, M and P, by their own layout.
pub const EXT_WORDS: usize = 4;

/// The bytes of the closure that a goroutine runs. *owner* (written before the G is first
/// queued, read on its own stack)
pub struct Entry(pub UnsafeCell<[MaybeUninit<usize>; ENTRY_WORDS]>);

/// A goroutine. The first fields stand where Go has them: the prologue reads
/// `stackguard0` at offset 16. The others stand by cache line. A goroutine that has waited
/// for long is in nobody's cache, and being woken should fetch two lines and not four.
#[repr(C, align(64))]
pub struct G {
    /// Bounds of the stack; 0 while no stack is bound.
    pub stack: Stack,
    /// What the prologue compares the stack pointer with. *owner*, and *anybody* may store
    /// [`STACK_PREEMPT`] (relaxed: a request that is overwritten is asked again).
    pub stackguard0: AtomicUsize,
    /// The M that runs it. *owner*
    pub m: Link<M>,
    /// Where it continues while it does not run.
    pub sched: Gobuf,
    /// Asked to yield. Survives a refusal, and `execute` clears it. *owner* and *anybody*,
    /// relaxed.
    pub preempt: AtomicBool,
    /// Why it waits, an index into the stage's reasons. *owner*
    pub waitreason: AtomicU8,
    /// Where its last panic began is remembered. *owner*
    pub panicked: AtomicBool,
    /// While it unwinds it stays on its M; this says that the pin is ours. *owner*
    pub unwinding: AtomicBool,
    /// One of the states above. Changed only by `casgstatus`.
    pub atomicstatus: AtomicU32,
    // The second cache line: waiting and being woken.
    /// Next in the queue or list it stands in. Whoever owns the list.
    pub schedlink: Link<G>,
    /// The M it is locked to. *owner*
    pub lockedm: Link<M>,
    /// The closure's bytes; once it runs, the room of what it waits with.
    pub entry: Entry,
    // The third: being made, and ending.
    /// `unsafe fn(*mut u8)` that reads the closure out of `entry` and calls it; 0 once done.
    pub entry_call: Word,
    /// Number of the goroutine, from 1, never reused within a run. *owner*
    pub goid: Word,
    /// Name in traces and dumps. *owner*
    pub name: Text,
    /// The goroutine that created it, and its name. *owner*
    pub parentgoid: Word,
    /// See `parentgoid`.
    pub parentname: Text,
    /// Stack slot plus one, 0 for none. *owner*
    pub slot: AtomicU32,
    /// The trace's number of the last request to preempt it. *anybody*, relaxed.
    pub preempt_flow: AtomicU32,
    // What is rarely needed.
    /// A stack check must not happen now. *owner*
    pub throwsplit: AtomicBool,
    /// It has called `goexit`, and has not come to its end. *owner*
    pub goexiting: AtomicBool,
    /// Set by who wakes it, read when it goes on. Ordered by the run queue.
    pub param: Word,
    /// Depth in bytes at which `with_frame` last put the stack pointer. *owner*
    pub ruler: Word,
    /// For later stages.
    pub ext: [Word; EXT_WORDS],
}

const _: () = {
    assert!(offset_of!(G, atomicstatus) < 64);
    assert!(offset_of!(G, schedlink) == 64);
    assert!(offset_of!(G, entry_call) == 128);
    assert!(size_of::<G>() == 256);
};

// SAFETY: every field but `entry` is atomic. `entry` is written by the creator before the G
// is published through a run queue; after that the goroutine itself reads the closure out of
// it, once, and then keeps there what its channel's lock protects.
unsafe impl Sync for G {}

impl G {
    /// A G without a stack, in state [`GIDLE`].
    pub const fn new() -> G {
        G {
            stack: Stack {
                lo: Word::new(0),
                hi: Word::new(0),
            },
            stackguard0: AtomicUsize::new(0),
            m: Link::none(),
            sched: Gobuf {
                sp: Word::new(0),
                pc: Word::new(0),
                bp: Word::new(0),
            },
            preempt: AtomicBool::new(false),
            waitreason: AtomicU8::new(0),
            panicked: AtomicBool::new(false),
            unwinding: AtomicBool::new(false),
            atomicstatus: AtomicU32::new(GIDLE),
            schedlink: Link::none(),
            lockedm: Link::none(),
            entry: Entry(UnsafeCell::new([MaybeUninit::uninit(); ENTRY_WORDS])),
            entry_call: Word::new(0),
            goid: Word::new(0),
            name: Text::new(),
            parentgoid: Word::new(0),
            parentname: Text::new(),
            slot: AtomicU32::new(0),
            preempt_flow: AtomicU32::new(0),
            throwsplit: AtomicBool::new(false),
            goexiting: AtomicBool::new(false),
            param: Word::new(0),
            ruler: Word::new(0),
            ext: [const { Word::new(0) }; EXT_WORDS],
        }
    }
}

impl Default for G {
    fn default() -> G {
        G::new()
    }
}

/// What a thread does instead of running goroutines: Go's `m.mstartfn`.
pub type StartFn = Box<dyn FnOnce() + Send>;

/// Decides, on `g0`, whether a goroutine really parks. Go's `waitunlockf`.
pub type UnlockFn = fn(&'static G, *mut ()) -> bool;

/// A machine: a thread of the operating system.
#[repr(C)]
pub struct M {
    /// The G of the scheduler's stack: the thread's own.
    pub g0: G,
    /// The goroutine it runs. *owner*; others read it to ask for preemption (acquire).
    pub curg: Link<G>,
    /// The P it holds. *owner*
    pub p: Link<P>,
    /// The P it will take when woken. Written by the waker, ordered by `park`.
    pub nextp: Link<P>,
    /// Number, from 0 for the thread that called `run`. Written once.
    pub id: Word,
    /// Looks for work. *owner*, or the waker before `park`.
    pub spinning: AtomicBool,
    /// Keeps preemption off while it is not empty. *owner*
    pub preemptoff: Text,
    /// Where it sleeps.
    pub park: Note,
    /// The goroutine that is locked to it. *owner*
    pub lockedg: Link<G>,
    /// Nesting of `LockOSThread` by the user, and by the runtime. *owner*
    pub locked_ext: AtomicU32,
    /// See `locked_ext`.
    pub locked_int: AtomicU32,
    /// Its goroutine ended while locked to it: the thread ends too. *owner*
    pub leaving: AtomicBool,
    /// Next idle M, next M without a thread, or next M that the template thread is to start.
    /// *lock* of that list.
    pub schedlink: Link<M>,
    /// Next of all Ms. *lock* to extend, never shortened within a run.
    pub alllink: Link<M>,
    /// Its thread has ended, and it waits for the next one. *lock*; others read it for a
    /// glance.
    pub freed: AtomicBool,
    /// Called on `g0` when the goroutine has parked; may say no. *owner*
    pub waitunlockf: Word,
    /// Its argument. *owner*
    pub waitlock: AtomicPtr<()>,
    /// State of `fastrand`. *owner*
    pub fastrand: AtomicU64,
    /// The kernel's number of the thread. Written by each thread that becomes this M.
    pub procid: AtomicI32,
    /// Sleeps on a note. *owner*; others read it for a glance.
    pub blocked: AtomicBool,
    /// The thread's own words, null while there is no thread. *owner*, which takes it away
    /// under `sched.lock`: who holds that may look.
    pub tls: AtomicPtr<Tls>,
    /// Its events.
    pub trace: Buffer,
    /// What it does instead of scheduling, taken by the thread when it starts.
    pub mstartfn: Mutex<Option<StartFn>>,
    /// The thread, for joining. Set by the creator, who holds the lock from before there is
    /// a thread; taken by the thread itself when it ends.
    pub thread: Mutex<Option<JoinHandle<()>>>,
    /// For later stages.
    pub ext: [Word; EXT_WORDS],
}

/// Stacks that a P keeps for its next goroutines.
pub const STACK_CACHE: usize = 64;

/// A processor: the right to run goroutines, and a queue of them.
#[repr(C, align(64))]
pub struct P {
    /// The queue. *owner* puts; anybody steals.
    pub runq: Runq<G>,
    /// Number, from 0.
    pub id: Word,
    /// One of the states above. Under the rules of `acquirep`, `releasep`, `pidleput`.
    pub status: AtomicU32,
    /// Turns of the scheduler that began a new time slice. *owner*; others read (relaxed).
    pub schedtick: AtomicU32,
    /// Go's `p.preempt`: a request that an asynchronous preemption answers. `schedule`
    /// clears it. Nothing sets it in this stage, whose requests go to the G alone; as in
    /// Go, the row `preempt_m` of a stage with signals does. *anybody*, relaxed.
    pub preempt: AtomicBool,
    /// What `schedule` must look at before this P's queue; 0 nearly always. *anybody*,
    /// relaxed: a bit that is seen late is seen at the next turn.
    pub attention: AtomicU32,
    /// The M that holds it. *owner*; others read it to ask for preemption (acquire).
    pub m: Link<M>,
    /// Next idle P. *lock*
    pub link: Link<P>,
    /// Dead Gs, ready to be used again. *owner*
    pub gfree: Link<G>,
    /// How many. *owner*
    pub gfree_n: Word,
    /// Slots of free stacks. *owner*
    pub stackcache: [AtomicU32; STACK_CACHE],
    /// How many. *owner*
    pub stackcache_n: Word,
    /// When the slice began, for the trace. *owner*
    pub slice_start: AtomicU64,
    /// For later stages.
    pub ext: [Word; EXT_WORDS],
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

    pub(crate) fn new(id: usize) -> M {
        M {
            g0: G::new(),
            curg: Link::none(),
            p: Link::none(),
            nextp: Link::none(),
            id: Word::new(id),
            spinning: AtomicBool::new(false),
            preemptoff: Text::new(),
            park: Note::new(),
            lockedg: Link::none(),
            locked_ext: AtomicU32::new(0),
            locked_int: AtomicU32::new(0),
            leaving: AtomicBool::new(false),
            schedlink: Link::none(),
            alllink: Link::none(),
            freed: AtomicBool::new(false),
            waitunlockf: Word::new(0),
            waitlock: AtomicPtr::new(std::ptr::null_mut()),
            fastrand: AtomicU64::new(1),
            procid: AtomicI32::new(0),
            blocked: AtomicBool::new(false),
            tls: AtomicPtr::new(std::ptr::null_mut()),
            trace: Buffer::new(),
            mstartfn: Mutex::new(None),
            thread: Mutex::new(None),
            ext: [const { Word::new(0) }; EXT_WORDS],
        }
    }
}

impl M {
    /// The M gets another thread: what the last one left behind is forgotten. Its number,
    /// its place in `allm`, its random numbers and its events stay. The caller holds
    /// `sched.lock`, has taken it off the list of free Ms, and the last thread does not
    /// touch it any more.
    pub(crate) fn reuse(&self) {
        self.curg.set(None);
        self.p.set(None);
        self.nextp.set(None);
        self.spinning.store(false, Relaxed);
        self.preemptoff.set("");
        self.park.clear();
        self.lockedg.set(None);
        self.locked_ext.store(0, Relaxed);
        self.locked_int.store(0, Relaxed);
        self.leaving.store(false, Relaxed);
        self.waitunlockf.set(0);
        self.blocked.store(false, Relaxed);
        for word in &self.ext {
            word.set(0);
        }
        // Release: who sees that it lives sees it clean.
        self.freed.store(false, Release);
    }
}

impl P {
    /// An idle P with this number, which no run knows.
    pub fn new(id: usize) -> P {
        P {
            runq: Runq::new(),
            id: Word::new(id),
            status: AtomicU32::new(PIDLE),
            schedtick: AtomicU32::new(0),
            preempt: AtomicBool::new(false),
            attention: AtomicU32::new(0),
            m: Link::none(),
            link: Link::none(),
            gfree: Link::none(),
            gfree_n: Word::new(0),
            stackcache: [const { AtomicU32::new(0) }; STACK_CACHE],
            stackcache_n: Word::new(0),
            slice_start: AtomicU64::new(0),
            ext: [const { Word::new(0) }; EXT_WORDS],
        }
    }
}

/// `sched.attention`: the run is over, every M leaves.
pub const ATTENTION_STOP: u32 = 1;
/// `sched.attention`: the process dies, every M stands still while goroutines are printed.
/// Go's `freezetheworld`.
pub const ATTENTION_FREEZE: u32 = 2;
/// The bits of `sched.attention` for which an M gives up its search for work. The others
/// are looked at by `schedule` alone.
pub const ATTENTION_LEAVE: u32 = 0xffff;

/// What the whole scheduler shares: Go's `schedt`.
pub struct Sched {
    lock: Lock,
    inner: UnsafeCell<SchedInner>,
    /// Idle Ps. Changed under the lock, read anywhere (see `wakep` for the order).
    pub npidle: AtomicU32,
    /// Ms that look for work. See `wakep`.
    pub nmspinning: AtomicU32,
    /// Length of the global queue: changed under the lock, read anywhere (relaxed: a hint).
    pub runqsize: AtomicU32,
    /// What `schedule` must look at before its queue, as bits; 0 nearly always.
    pub attention: AtomicU32,
    /// Number of the last goroutine.
    pub goidgen: AtomicUsize,
    /// Ms whose threads have not left the run.
    pub live: AtomicU32,
    /// Where an M that leaves says so, to the one that ran `main` to its end ...
    pub left: Note,
    /// ... and to M0, which waits for everybody.
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
    nmspinning: AtomicU32::new(0),
    runqsize: AtomicU32::new(0),
    attention: AtomicU32::new(0),
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

/// What decides before the first run.
static STAGE1: Stage = crate::STAGE;
static STAGE: AtomicPtr<Stage> = AtomicPtr::new((&raw const STAGE1).cast_mut());

/// What a run has of Ps. Made once per run and never freed.
struct Procs {
    ps: &'static [P],
    order: RandomOrder,
}
static NO_PROCS: Procs = Procs {
    ps: &[],
    order: RandomOrder::new(),
};
/// One word, so that nobody pairs the address of one list with the length of another.
static PROCS: AtomicPtr<Procs> = AtomicPtr::new((&raw const NO_PROCS).cast_mut());

#[inline]
fn procs() -> &'static Procs {
    // SAFETY: only ever set from a `&'static Procs`. Acquire, for a thread that is not of
    // the runtime: it may see the list of a run that it did not see start.
    unsafe { &*PROCS.load(Acquire) }
}

/// The table of the run: what this stage decides. See [`Stage`].
#[inline]
pub fn stage() -> &'static Stage {
    // SAFETY: only ever set from a `&'static Stage`.
    unsafe { &*STAGE.load(Relaxed) }
}

pub(crate) fn set_stage(stage: &'static Stage) {
    STAGE.store(std::ptr::from_ref(stage).cast_mut(), SeqCst);
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
