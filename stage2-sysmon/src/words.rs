//! What this stage keeps in an M and a P beside what stage 1 put there: which of the four
//! `ext` words is whose. Go has all of it as fields of `m` and `p` in `runtime2.go`.
//!
//! Words that a system call touches lie in the structure itself, because two of them are
//! read and written around every call. What only sysmon and the timers need lies apart, one
//! box for each P, found through one word.

use crate::netpoll;
use crate::retake::Sysmontick;
use crate::timers::Timers;
use stage1_coop::rt::gmp::{M, P, allp};
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::word::Word;
use std::sync::atomic::{Ordering::*, fence};

// Of a P.
const P_SYSCALLTICK: usize = 0;
const P_OTHERS: usize = 1;
// Of an M.
const M_OLDP: usize = 0;
const M_SYSCALLTICK: usize = 1;
const M_WIRED: usize = 2;

/// What a P has beside its words. Never freed, as the P itself.
#[derive(Default)]
pub struct POthers {
    /// What sysmon saw when it last looked.
    pub sysmontick: Sysmontick,
    /// Its timers.
    pub timers: Timers,
}

/// The row `minit` of this stage: the run's first thread gives every P its [`POthers`], before
/// there is anybody who could ask for them.
pub fn minit(mp: &'static M) {
    if mp.id.get() != 0 {
        return;
    }
    netpoll::init();
    for pp in allp() {
        let others: &'static POthers = Box::leak(Box::default());
        // With the one in `others`: whoever reads the word sees what it leads to.
        fence(Release);
        pp.ext[P_OTHERS].set(std::ptr::from_ref(others) as usize);
    }
}

/// What `pp` has beside its words.
pub fn others(pp: &'static P) -> &'static POthers {
    let address = pp.ext[P_OTHERS].get() as *const POthers;
    fence(Acquire);
    // SAFETY: the word is 0 or was written by `init`, once, from a reference to a box that is
    // never freed. The fences order the making of the box before our look at it; on x86-64
    // they cost nothing.
    match unsafe { address.as_ref() } {
        Some(others) => others,
        None => throw("a P that no run of this stage knows"),
    }
}

/// Counts the system calls of a P that are over, and those that cost their M the P: as long
/// as it stands still, it is the same call. *owner* of the P, and who takes it away before
/// anybody else can get it. Go's `p.syscalltick`.
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
pub(crate) fn wired(mp: &M) -> &Word {
    &mp.ext[M_WIRED]
}
