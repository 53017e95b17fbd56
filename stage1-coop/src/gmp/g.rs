//! A goroutine: a stack, and the place where it stopped. Mirrors `g` of `runtime2.go`; the
//! chapters *Two stacks and a switch* and *Many G on one M*.
//!
//! Tests: `states`, `check`.

use crate::gmp::gstatus::GStatus;
use crate::gmp::m::M;
use crate::gmp::record;
use crate::word::{Link, Text, Word};
use std::cell::UnsafeCell;
use std::mem::{MaybeUninit, offset_of};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize};

record! {
    /// A goroutine. The first fields stand where Go has them: the prologue reads
    /// `stackguard0` at offset 16. The others stand by cache line. A goroutine that has waited
    /// for long is in no cache, and being woken should fetch two lines and not four.
    #[repr(C, align(64))]
    pub struct G {
        /// Bounds of the stack; 0 while no stack is bound.
        pub stack: Stack = Stack { lo: Word::new(0), hi: Word::new(0) },
        /// What the prologue compares the stack pointer with. *owner*, and *any* may store
        /// [`STACK_PREEMPT`] (relaxed: a request that is overwritten is asked again).
        pub stackguard0: AtomicUsize = AtomicUsize::new(0),
        /// The M that runs it. *owner*
        pub m: Link<M> = Link::none(),
        /// Where it continues while it does not run.
        pub sched: Gobuf = Gobuf { sp: Word::new(0), pc: Word::new(0), bp: Word::new(0) },
        /// Asked to yield. Survives a refusal, and `execute` clears it. *owner* and *any*,
        /// relaxed.
        pub preempt: AtomicBool = AtomicBool::new(false),
        /// Why it waits, an index into the stage's reasons. *owner*
        pub waitreason: AtomicU8 = AtomicU8::new(0),
        /// Where its last panic began is remembered. *owner*
        pub panicked: AtomicBool = AtomicBool::new(false),
        /// While it unwinds it stays on its M; this says that the pin is ours. *owner*
        pub unwinding: AtomicBool = AtomicBool::new(false),
        /// Its state. Changed only by `casgstatus`.
        pub atomicstatus: GStatus = GStatus::new(),
        // The second cache line: waiting and being woken.
        /// Next in the queue or list it is in. Written by the list's owner.
        pub schedlink: Link<G> = Link::none(),
        /// The M it is locked to. *owner*
        pub lockedm: Link<M> = Link::none(),
        /// The closure's bytes; once it runs, the room of what it waits with.
        pub entry: Entry = Entry(UnsafeCell::new([MaybeUninit::uninit(); ENTRY_WORDS])),
        // The third: being made, and ending.
        /// `unsafe fn(*mut u8)` that reads the closure out of `entry` and calls it; 0 once done.
        pub entry_call: Word = Word::new(0),
        /// Number of the goroutine, from 1, never reused within a run. *owner*
        pub goid: Word = Word::new(0),
        /// Name in traces and dumps. *owner*
        pub name: Text = Text::new(),
        /// The goroutine that created it, and its name. *owner*
        pub parentgoid: Word = Word::new(0),
        /// See `parentgoid`.
        pub parentname: Text = Text::new(),
        /// Stack slot plus one, 0 for none. *owner*
        pub slot: AtomicU32 = AtomicU32::new(0),
        /// The trace's number of the last request to preempt it. *any*, relaxed.
        pub preempt_flow: AtomicU32 = AtomicU32::new(0),
        // What is rarely needed.
        /// A stack check must not happen now. *owner*
        pub throwsplit: AtomicBool = AtomicBool::new(false),
        /// It has called `goexit`, and has not come to its end. *owner*
        pub goexiting: AtomicBool = AtomicBool::new(false),
        /// Set by the waker, read when it goes on. Ordered by the run queue.
        pub param: Word = Word::new(0),
        /// Depth in bytes at which `with_frame` last put the stack pointer. *owner*
        pub ruler: Word = Word::new(0),
        /// For later stages: the rule is in `ext.rs`.
        pub ext: [Word; EXT_WORDS] = [const { Word::new(0) }; EXT_WORDS],
    }
    /// A G without a stack, in state `GIDLE`.
    pub fn new();
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

impl Default for G {
    fn default() -> G {
        G::new()
    }
}

/// A stack, in addresses. Of a goroutine's it is the usable part: `lo` grows downwards.
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

/// Later stages that there is room for in a G, an M and a P: one word each, see `ext.rs`.
pub const EXT_WORDS: usize = 3;

/// The bytes of the closure that a goroutine runs. *owner* (written before the G is first
/// queued, read on its own stack)
pub struct Entry(pub UnsafeCell<[MaybeUninit<usize>; ENTRY_WORDS]>);

/// Written to `stackguard0` to ask for preemption: larger than any stack pointer, so the
/// ordinary comparison in every prologue fails. Go's `stackPreempt`, 0xfffffffffffffade.
pub const STACK_PREEMPT: usize = -1314isize as usize;
/// Written to `stackguard0` by a `fork` in progress: growing then is a bug. Go's `stackFork`.
pub const STACK_FORK: usize = -1234isize as usize;
