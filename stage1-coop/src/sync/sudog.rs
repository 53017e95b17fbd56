//! The goroutines that wait for a channel, first come first served, each with the place of its
//! value. Mirrors `sudog` and `waitq` of `runtime2.go` and `chan.go`; the chapter is *Blocking, and
//! the one unsafe word*.
//!
//! A queued sudog lies on its goroutine's stack or in its G, and is taken out before the goroutine
//! goes on. So whatever holds the channel's lock may touch all that are in its queues.
//!
//! Tests: `chan`.

use crate::arch::getg;
use crate::gmp::{ENTRY_WORDS, G};
use std::sync::atomic::{AtomicU8, Ordering::AcqRel};

/// A goroutine that waits in the queue of one channel: Go's `sudog`. Every field is
/// protected by the channel's lock while it is queued.
pub(crate) struct Sudog {
    pub g: &'static G,
    /// Where the value lies, or where it is to go.
    pub elem: *mut u8,
    next: *mut Sudog,
    prev: *mut Sudog,
    /// For a select: the flag that decides which partner fires a case, and which case this is.
    pub select: *const SelectDone,
    pub case: u32,
    /// Set by the partner: it gave or took a value. Unset: the channel was closed.
    pub success: bool,
}

/// Whether a select has been won. The partner that swaps it first may fire its case.
pub(crate) type SelectDone = AtomicU8;

impl Sudog {
    #[inline]
    pub fn new(elem: *mut u8) -> Sudog {
        Sudog {
            g: getg(),
            elem,
            next: std::ptr::null_mut(),
            prev: std::ptr::null_mut(),
            select: std::ptr::null(),
            case: 0,
            success: false,
        }
    }

    /// The sudog of a goroutine that waits for one channel: it lies in the G, in the room
    /// of the closure, which has moved to the stack by now. So an M that wakes a goroutine
    /// touches its G, which it must touch anyway, and not its stack.
    #[inline]
    pub(super) fn in_g(elem: *mut u8) -> *mut Sudog {
        const { assert!(size_of::<Sudog>() <= ENTRY_WORDS * size_of::<usize>()) };
        let sg = getg().entry.0.get().cast::<Sudog>();
        // SAFETY: the room is ours while we run, large enough, and aligned to words; the
        // closure was read out of it before it was called.
        unsafe { sg.write(Sudog::new(elem)) };
        sg
    }
}

/// A doubly linked list of sudogs: Go's `waitq`.
pub(super) struct Waitq {
    first: *mut Sudog,
    last: *mut Sudog,
}

impl Waitq {
    /// No goroutine waits.
    pub const fn new() -> Waitq {
        Waitq {
            first: std::ptr::null_mut(),
            last: std::ptr::null_mut(),
        }
    }

    /// Puts `sg` at the end.
    ///
    /// # Safety
    /// The channel's lock is held. `sg` is in no queue, and stays in place until it is out of
    /// this one.
    #[inline]
    pub unsafe fn enqueue(&mut self, sg: *mut Sudog) {
        // SAFETY: the caller's promise; queued sudogs are alive.
        unsafe {
            (*sg).next = std::ptr::null_mut();
            (*sg).prev = self.last;
            if self.last.is_null() {
                self.first = sg;
            } else {
                (*self.last).next = sg;
            }
            self.last = sg;
        }
    }

    /// Takes the first out whose goroutine can still be served.
    ///
    /// # Safety
    /// The channel's lock is held.
    #[inline]
    pub unsafe fn dequeue(&mut self) -> Option<*mut Sudog> {
        loop {
            let sg = self.first;
            if sg.is_null() {
                return None;
            }
            // SAFETY: as above.
            unsafe {
                self.remove(sg);
                // A select is in several queues; the partner that fires one case first wins,
                // and the others find it decided and pass on.
                if !(*sg).select.is_null() && (*(*sg).select).swap(1, AcqRel) != 0 {
                    continue;
                }
            }
            return Some(sg);
        }
    }

    /// Takes `sg` out, if it still is in.
    ///
    /// # Safety
    /// The channel's lock is held, and `sg` was put into this queue.
    #[inline]
    pub unsafe fn remove(&mut self, sg: *mut Sudog) {
        // SAFETY: as above. A sudog that is not queued has no neighbors and is not first.
        unsafe {
            let (prev, next) = ((*sg).prev, (*sg).next);
            if prev.is_null() && self.first != sg {
                return;
            }
            if prev.is_null() {
                self.first = next;
            } else {
                (*prev).next = next;
            }
            if next.is_null() {
                self.last = prev;
            } else {
                (*next).prev = prev;
            }
            (*sg).prev = std::ptr::null_mut();
            (*sg).next = std::ptr::null_mut();
        }
    }
}

/// The goroutine of a sudog that was taken out of its queue, and which of its cases fired.
///
/// # Safety
/// The channel's lock is held and `sg` was just dequeued.
#[inline]
pub(super) unsafe fn wake(sg: *mut Sudog) -> &'static G {
    // SAFETY: the owner sleeps, so the sudog is there.
    unsafe {
        let gp = (*sg).g;
        // Which of several it was. A goroutine that waits for one channel knows.
        if !(*sg).select.is_null() {
            gp.param.set(sg as usize);
        }
        gp
    }
}
