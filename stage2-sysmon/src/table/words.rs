//! The words that this stage adds to an M and a P, in a block for each. Go has all of them as
//! fields of `m` and `p` in `runtime2.go`.
//!
//! Two words of each block are read and written around every system call; a call looks for a
//! block once. What only sysmon and the timers need is behind a word of the P's block, because
//! this file must not know them.
//!
//! Tests: `sysmon`, `timers`, `netpoll`.

use stage1_coop::rt::gmp::{ATTENTION_FREEZE, ATTENTION_STOP, Each, Extended, M, P};
use stage1_coop::rt::word::{Link, Word};

/// Which word of a G, an M and a P is this stage's.
const STAGE_2: usize = 0;
/// Which word of a P's block leads to its timers, and which to what sysmon notes of it.
pub(crate) const OF_TIMERS: usize = 0;
/// See [`OF_TIMERS`].
pub(crate) const OF_SYSMON: usize = 1;

/// The bits of `sched.attention` that mean that the run ends or the process dies.
pub(crate) const ATTENTION_OVER: u32 = ATTENTION_STOP | ATTENTION_FREEZE;

/// What this stage adds to a P.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct OfP {
    /// Counts the system calls of the P that are over, and those that cost their M the P: as
    /// long as it stands still, it is the same call. *owner* of the P, and a thief before any
    /// other M can get the P. Go's `p.syscalltick`.
    pub(crate) syscalltick: Word,
    ext: [Word; 2],
}

impl Extended for OfP {
    #[inline]
    fn ext(&self) -> &[Word] {
        &self.ext
    }
}

/// What this stage adds to an M. All of it is the last thread's when the M gets another one, so
/// `minit` resets it.
#[repr(align(64))]
pub(crate) struct OfM {
    /// The P that the M had when it entered the system call that it is in, or (newer form) was
    /// in last. *owner*, its own thread; others read it for a trace. Go's `m.oldp`.
    pub(crate) oldp: Link<P>,
    /// The P's `syscalltick` when the M entered its system call. *owner*, its own thread. Go's
    /// `m.syscalltick`.
    pub(crate) syscalltick: Word,
    /// Not 0: the M is in a system call of the newer form, in which it keeps its P. *owner*, its
    /// own thread; a thief reads it while the goroutine's state has the bit `GSCAN`.
    pub(crate) wired: Word,
}

impl Default for OfM {
    fn default() -> OfM {
        OfM {
            oldp: Link::none(),
            syscalltick: Word::new(0),
            wired: Word::new(0),
        }
    }
}

// SAFETY: this stage's word, and no other part of this crate writes it.
static OF_P: Each<P, OfP> = unsafe { Each::at(STAGE_2) };
// SAFETY: as above.
static OF_M: Each<M, OfM> = unsafe { Each::at(STAGE_2) };

/// What this stage adds to `pp`.
#[inline]
pub(crate) fn of_p(pp: &P) -> &'static OfP {
    OF_P.of(pp)
}

/// What this stage adds to `mp`.
#[inline]
pub(crate) fn of_m(mp: &M) -> &'static OfM {
    OF_M.of(mp)
}

/// What this stage adds to `mp`, if its thread has come as far as `minit`.
pub(crate) fn find_of_m(mp: &M) -> Option<&'static OfM> {
    OF_M.find(mp)
}

/// A run begins, and there is one thread: gives `pp` its block.
pub(crate) fn make_of_p(pp: &P) -> &'static OfP {
    OF_P.make(pp)
}

/// A thread becomes `mp`: gives it its block, or resets that of its last thread.
pub(crate) fn make_of_m(mp: &M) {
    let own = OF_M.make(mp);
    own.oldp.set(None);
    own.syscalltick.set(0);
    own.wired.set(0);
}

/// The system calls of a P that are over, and those that cost their M the P. Go's
/// `p.syscalltick`.
pub fn syscalltick(pp: &P) -> &'static Word {
    &of_p(pp).syscalltick
}

/// The P that an M had when it entered its system call; `None` outside a call. Go's `m.oldp`.
pub fn oldp(mp: &M) -> Option<&'static P> {
    find_of_m(mp).and_then(|own| own.oldp.get())
}

/// The P's [`syscalltick`] when the M entered its system call. Go's `m.syscalltick`.
pub fn m_syscalltick(mp: &M) -> &'static Word {
    &of_m(mp).syscalltick
}
