//! A machine: a thread of the operating system, and what it holds. Mirrors `m` of
//! `runtime2.go`; the chapter *P, queues, stealing*.
//!
//! Tests: `threads`, `wired`.

use crate::arch::Tls;
use crate::gmp::g::{EXT_WORDS, G, Stack};
use crate::gmp::p::P;
use crate::gmp::record;
use crate::os::Note;
use crate::trace::Buffer;
use crate::word::{Link, Text, Word};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

record! {
    /// A machine: a thread of the operating system.
    #[repr(C)]
    pub struct M {
        /// The G of the scheduler's stack: the thread's own.
        pub g0: G = G::new(),
        /// The goroutine it runs. *owner*; others read it to ask for preemption (acquire).
        pub curg: Link<G> = Link::none(),
        /// The P it holds. *owner*
        pub p: Link<P> = Link::none(),
        /// The P it will take when woken. Written by the waker, ordered by `park`.
        pub nextp: Link<P> = Link::none(),
        /// Number, from 0 for the thread that called `run`. Written once.
        pub id: Word = Word::new(id),
        /// Looks for work. *owner*, or the waker before `park`.
        pub spinning: AtomicBool = AtomicBool::new(false),
        /// Keeps preemption off while it is not empty. *owner*
        pub preemptoff: Text = Text::new(),
        /// Where it sleeps.
        pub park: Note = Note::new(),
        /// The goroutine that is locked to it. *owner*
        pub lockedg: Link<G> = Link::none(),
        /// Nesting of `LockOSThread` by the user, and by the runtime. *owner*
        pub locked_ext: AtomicU32 = AtomicU32::new(0),
        /// See `locked_ext`.
        pub locked_int: AtomicU32 = AtomicU32::new(0),
        /// Sections of `acquirem` that its goroutine is in; they count in `m.locks`, too. *owner*
        pub sections: AtomicU32 = AtomicU32::new(0),
        /// Its goroutine ended while locked to it: the thread ends too. *owner*
        pub leaving: AtomicBool = AtomicBool::new(false),
        /// Next idle M, next M without a thread, or next M that the template thread is to start.
        /// *lock* of that list.
        pub schedlink: Link<M> = Link::none(),
        /// Next of all Ms. *lock* to extend, never shortened within a run.
        pub alllink: Link<M> = Link::none(),
        /// Its thread has ended, and it waits for the next one. *lock*; others read it for a
        /// glance.
        pub freed: AtomicBool = AtomicBool::new(false),
        /// Called on `g0` when the goroutine has parked; may say no. *owner*
        pub waitunlockf: Word = Word::new(0),
        /// Its argument. *owner*
        pub waitlock: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut()),
        /// State of `fastrand`. *owner*
        pub fastrand: AtomicU64 = AtomicU64::new(1),
        /// The kernel's number of the thread, 0 while there is none. *owner*, which takes it
        /// away under `sched.lock`: a thread that holds that, and reads another number, can
        /// signal the thread.
        pub procid: AtomicI32 = AtomicI32::new(0),
        /// Sleeps on a note. *owner*; others read it for a glance.
        pub blocked: AtomicBool = AtomicBool::new(false),
        /// The thread's own words, null while there is no thread. *owner*, which takes it away
        /// under `sched.lock`: a thread that holds that may look.
        pub tls: AtomicPtr<Tls> = AtomicPtr::new(std::ptr::null_mut()),
        /// The stack of its signal handlers; 0 while there is no thread. *owner*, set before the
        /// row `minit` and cleared after the row `unminit`.
        pub signal_stack: Stack = Stack { lo: Word::new(0), hi: Word::new(0) },
        /// Its events.
        pub trace: Buffer = Buffer::new(),
        /// What it does instead of scheduling, taken by the thread when it starts.
        pub mstartfn: Mutex<Option<StartFn>> = Mutex::new(None),
        /// The thread, for joining. Set by the creator, which holds the lock from before there is
        /// a thread; taken by the thread itself when it ends.
        pub thread: Mutex<Option<JoinHandle<()>>> = Mutex::new(None),
        /// For later stages: the rule is in `ext.rs`.
        pub ext: [Word; EXT_WORDS] = [const { Word::new(0) }; EXT_WORDS],
    }
    /// The M with this number, without a thread.
    pub(crate) fn new(id: usize);
}

impl M {
    /// The M gets another thread: what the last one left behind is forgotten. Its number,
    /// its place in `allm`, its random numbers, its events and the blocks of later stages stay. The caller holds
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
        self.sections.store(0, Relaxed);
        self.leaving.store(false, Relaxed);
        self.waitunlockf.set(0);
        self.blocked.store(false, Relaxed);
        // Release: a thread that sees that it lives sees it clean.
        self.freed.store(false, Release);
    }
}

/// What a thread does instead of running goroutines: Go's `m.mstartfn`.
pub type StartFn = Box<dyn FnOnce() + Send>;

/// Decides, on `g0`, whether a goroutine really parks. Go's `waitunlockf`.
pub type UnlockFn = fn(&'static G, *mut ()) -> bool;
