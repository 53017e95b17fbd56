//! Dead Gs, kept for the next `go`: some with each P, the rest for all. Mirrors `gfget`, `gfput`
//! and `gfpurge` of `proc.go`; the chapter is *Many G on one M*.
//!
//! Tests: `ends::a_hundred_thousand_short_goroutines_leave_nothing_behind`.

use crate::arch::prefetch_g;
use crate::gmp::{G, P};
use crate::os::Lock;
use crate::word::{Link, Word};

/// Dead Gs that a P keeps at most; half of them go to the others then.
const GFREE_MAX: usize = 64;
const GFREE_KEEP: usize = 32;

/// Dead Gs for any P. Its own lock, as Go's `sched.gFree`: walking a list that is in no
/// cache takes a while, and an M with work to do should not wait for that.
struct Gfree {
    lock: Lock,
    head: Link<G>,
    /// How many. Written under the lock; any thread reads.
    n: Word,
}
static GFREE: Gfree = Gfree {
    lock: Lock::new(),
    head: Link::none(),
    n: Word::new(0),
};

/// Takes a dead G for `pp`. Go's `gfget`.
pub(crate) fn gfget(pp: &'static P) -> Option<&'static G> {
    if pp.gfree.get().is_none() {
        let _held = GFREE.lock.lock();
        while pp.gfree_n.get() < GFREE_KEEP
            && let Some(gp) = GFREE.head.get()
        {
            GFREE.head.set(gp.schedlink.get());
            GFREE.n.set(GFREE.n.get() - 1);
            gp.schedlink.set(pp.gfree.get());
            pp.gfree.set(Some(gp));
            pp.gfree_n.bump();
        }
    }
    let gp = pp.gfree.get()?;
    let next = gp.schedlink.get();
    pp.gfree.set(next);
    if let Some(next) = next {
        // Its turn may be soon.
        prefetch_g(next);
    }
    pp.gfree_n.set(pp.gfree_n.get() - 1);
    gp.schedlink.set(None);
    Some(gp)
}

/// Keeps a dead G for the next `go`. Go's `gfput`.
pub(crate) fn gfput(pp: &'static P, gp: &'static G) {
    gp.schedlink.set(pp.gfree.get());
    pp.gfree.set(Some(gp));
    pp.gfree_n.bump();
    if pp.gfree_n.get() >= GFREE_MAX {
        gfspill(pp, GFREE_KEEP);
    }
}

/// Gives dead Gs of `pp` to the common list until `keep` are left. Go's `gfpurge`, for 0.
#[cold]
pub(crate) fn gfspill(pp: &'static P, keep: usize) {
    let _held = GFREE.lock.lock();
    while pp.gfree_n.get() > keep
        && let Some(gp) = pp.gfree.get()
    {
        pp.gfree.set(gp.schedlink.get());
        pp.gfree_n.set(pp.gfree_n.get() - 1);
        gp.schedlink.set(GFREE.head.get());
        GFREE.head.set(Some(gp));
        GFREE.n.bump();
    }
}

/// How many dead Gs no P keeps.
pub(crate) fn gfree_len() -> usize {
    GFREE.n.get()
}
