//! The words that this stage adds to an M and a P: which of the four `ext` words is whose. Go
//! has all of them as fields of `m` and `p` in `runtime2.go`.
//!
//! Words that a system call touches are in the structure itself, because two of them are
//! read and written around every call. What only sysmon and the timers need is apart, a box for
//! each P behind one word ([`EachP`]).
//!
//! Tests: `sysmon`, `timers`, `netpoll`.

use stage1_coop::rt::gmp::{ATTENTION_FREEZE, ATTENTION_STOP, M, P, allp};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::word::Word;
use std::marker::PhantomData;
use std::sync::atomic::{
    Ordering::{Acquire, Release},
    fence,
};

// Of a P.
const P_SYSCALLTICK: usize = 0;
pub(crate) const P_TIMERS: usize = 1;
pub(crate) const P_SYSMONTICK: usize = 2;
// Of an M.
const M_OLDP: usize = 0;
const M_SYSCALLTICK: usize = 1;
const M_WIRED: usize = 2;

/// The bits of `sched.attention` that mean that the run ends or the process dies.
pub(crate) const ATTENTION_OVER: u32 = ATTENTION_STOP | ATTENTION_FREEZE;

/// A word of every P that leads to a box of its own. Boxes are never freed, as Ps are not.
pub(crate) struct EachP<T: 'static> {
    word: usize,
    what: PhantomData<fn() -> T>,
}

impl<T: Default + Sync> EachP<T> {
    /// # Safety
    /// Nothing else uses this word of a P.
    pub(crate) const unsafe fn at(word: usize) -> EachP<T> {
        let what = PhantomData;
        EachP { word, what }
    }

    /// A run begins, and there is one thread: gives every P a box.
    pub(crate) fn make(&self) {
        for pp in allp() {
            let own: &'static T = Box::leak(Box::default());
            // With the one in `of`: a thread that reads the word sees what it leads to.
            fence(Release);
            pp.ext[self.word].set(std::ptr::from_ref(own) as usize);
        }
    }

    /// The box of `pp`.
    pub(crate) fn of(&self, pp: &'static P) -> &'static T {
        let address = pp.ext[self.word].get() as *const T;
        fence(Acquire);
        // SAFETY: the word is 0 or was written by `make`, from a reference to a box of this
        // type that is never freed: `at` was promised that nothing else writes it. The fences
        // order the making of the box before our look at it; on x86-64 they cost nothing.
        match unsafe { address.as_ref() } {
            Some(own) => own,
            None => throw("a P that no run of this stage knows"),
        }
    }
}

/// Counts the system calls of a P that are over, and those that cost their M the P: as long
/// as it stands still, it is the same call. *owner* of the P, and a thief before any other M
/// can get the P. Go's `p.syscalltick`.
#[inline]
pub fn syscalltick(pp: &P) -> &Word {
    &pp.ext[P_SYSCALLTICK]
}

/// The P that an M had when it entered the system call that it is in, or (newer form) was in
/// last. *owner*, its own thread; others read it for a trace. Go's `m.oldp`.
#[inline]
pub fn oldp(mp: &M) -> Option<&'static P> {
    let address = mp.ext[M_OLDP].get() as *const P;
    // SAFETY: the word is 0 or was written by `set_oldp` from a reference to a P, which is
    // never freed.
    unsafe { address.as_ref() }
}

/// Sets [`oldp`].
#[inline]
pub(crate) fn set_oldp(mp: &M, pp: Option<&'static P>) {
    mp.ext[M_OLDP].set(pp.map_or(0, |pp| std::ptr::from_ref(pp) as usize));
}

/// The P's [`syscalltick`] when the M entered its system call. *owner*, its own thread.
/// Go's `m.syscalltick`.
#[inline]
pub fn m_syscalltick(mp: &M) -> &Word {
    &mp.ext[M_SYSCALLTICK]
}

/// Whether the M is in a system call of the newer form, in which it keeps its P. *owner*,
/// its own thread; a thief reads it while the goroutine's state has the bit `GSCAN`.
#[inline]
pub(crate) fn in_wired_call(mp: &M) -> &Word {
    &mp.ext[M_WIRED]
}
