//! The template thread: it makes the threads that a changed thread asks for.
//!
//! A new thread is a copy of the one that makes it. A goroutine that locks its thread may
//! change it on purpose (its priority, its processors, its namespaces, its credentials), and
//! ends locked so that no other goroutine ever sees the change. So such a thread must not be
//! the mother of an ordinary M. Before the first goroutine locks its thread, while all are
//! clean, one more is made that changes nothing and does only this. Mirrors
//! `startTemplateThread`, `newmHandoff` and `templateThread` of `proc.go`; the chapter is
//! *Blocking, and the one unsafe word*.
//!
//! Tests: `threads::a_changed_thread_is_nobody_s_mother`.

use crate::arch::{getm, systemstack};
use crate::gmp::{ATTENTION_STOP, M, SCHED};
use crate::os::{Lock, may_be_changed};
use crate::sched::wake::{newm, newm1};
use std::cell::UnsafeCell;

/// Ms that wait for their thread. Go's `newmHandoff`.
struct Handoff {
    lock: Lock,
    inner: UnsafeCell<Inner>,
}

struct Inner {
    /// There is a template thread, or there will be one in a moment. Go's
    /// `haveTemplateThread`.
    serving: bool,
    /// The thread itself, once it looks at the list.
    template: Option<&'static M>,
    /// The Ms, linked by `schedlink`.
    newm: Option<&'static M>,
}

// SAFETY: `inner` is only reached with the lock held, by `with`.
unsafe impl Sync for Handoff {}

/// No template thread, and none is needed.
const NONE: Inner = Inner {
    serving: false,
    template: None,
    newm: None,
};

static HANDOFF: Handoff = Handoff {
    lock: Lock::new(),
    inner: UnsafeCell::new(NONE),
};

fn with<R>(f: impl FnOnce(&mut Inner) -> R) -> R {
    let _held = HANDOFF.lock.lock();
    // SAFETY: the lock is held, and `f` does not come back here.
    f(unsafe { &mut *HANDOFF.inner.get() })
}

/// A new run begins, and has no template thread.
pub(crate) fn reset() {
    with(|h| *h = NONE);
}

/// Called before a goroutine locks its thread: from now on there is a template thread. Go's
/// `startTemplateThread`.
pub(crate) fn start() {
    if with(|h| std::mem::replace(&mut h.serving, true)) {
        return;
    }
    systemstack(|| {
        newm(Some(Box::new(template_thread)), None, false);
    });
}

/// Leaves it to the template thread to give `mp` its thread, if the calling one should not.
/// Returns false if the caller must do it: it is clean, or there is no template thread (a
/// thread of the program's own that wakes a goroutine before any was ever locked; or the run
/// is over, and the new thread leaves at once).
pub(crate) fn hand_over(mp: &'static M) -> bool {
    may_be_changed()
        && with(|h| {
            if h.serving {
                mp.schedlink.set(h.newm);
                h.newm = Some(mp);
                if let Some(template) = h.template {
                    template.park.wakeup();
                }
            }
            h.serving
        })
}

/// The thread's life. It serves to the last: an M that was never started could not leave the
/// run, and the run would never end. Go's `templateThread`.
fn template_thread() {
    let mp = getm();
    loop {
        let mut list = with(|h| {
            h.template = Some(mp);
            h.newm.take()
        });
        if list.is_none() {
            let over = with(|h| {
                let stop = SCHED.attention.has(ATTENTION_STOP);
                h.serving = !stop || h.newm.is_some();
                !h.serving
            });
            if over {
                return;
            }
            mp.park.sleep();
            // Clear first, look afterwards: a waker has put something there before.
            mp.park.clear();
        }
        while let Some(mp) = list {
            list = mp.schedlink.get();
            mp.schedlink.set(None);
            newm1(mp);
        }
    }
}
