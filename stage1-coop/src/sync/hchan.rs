//! A channel without the type of its values: how a send and a receive find each other, or wait.
//! Mirrors `hchan`, `chansend`, `chanrecv` and `closechan` of `chan.go`; the chapter is *Blocking,
//! and the one unsafe word*.
//!
//! A goroutine that must wait writes itself down as a [`Sudog`], with the address of the
//! value to give or of the place to fill, on its own stack. Its partner moves the value
//! directly between the two stacks and wakes it. That is sound because our stacks never
//! move, and because the sudog is taken out of the queue before its owner goes on.
//!
//! This file knows sizes only and is compiled once, outside of goroutines' own code; `chan.rs` is
//! the shell with the type.
//!
//! Tests: `chan`.

use crate::gmp::G;
use crate::os::Lock;
use crate::prologue;
use crate::sched::park::{gopark, ready};
use crate::sync::queue::need_goroutine;
use crate::sync::sudog::{Sudog, Waitq, wake};
use crate::trace::WaitReason;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// The part of a channel that does not know the type of its values: Go's `hchan`. It has its
/// cache lines to itself: cloning a handle counts in the line before.
#[repr(align(64))]
pub(crate) struct Hchan {
    pub lock: Lock,
    inner: UnsafeCell<Inner>,
    /// A copy of `inner.closed` for looks without the lock.
    closed: AtomicBool,
}

struct Inner {
    /// Values in the buffer, its size in values, and the next places to take and put.
    count: usize,
    cap: usize,
    recvx: usize,
    sendx: usize,
    elem_size: usize,
    buf: *mut u8,
    closed: bool,
    recvq: Waitq,
    sendq: Waitq,
}

// SAFETY: `inner` is only reached with the lock held; what it points at is the buffer, and
// sudogs of parked goroutines. That values may change threads is `Chan`'s bound.
unsafe impl Sync for Hchan {}
// SAFETY: as above.
unsafe impl Send for Hchan {}

/// Goroutines that a `close` takes off the queues in one go.
const CLOSE_BATCH: usize = 32;

/// How a non-blocking attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// A value was moved.
    Done,
    /// The channel is closed.
    Closed,
    /// One would have to wait.
    WouldBlock,
}

impl Hchan {
    /// An open channel with room for `cap` values of `elem_size` bytes each.
    ///
    /// # Safety
    /// `buf` has that room, for as long as the channel is used.
    #[inline]
    pub(super) unsafe fn new(cap: usize, elem_size: usize, buf: *mut u8) -> Hchan {
        Hchan {
            lock: Lock::new(),
            inner: UnsafeCell::new(Inner {
                count: 0,
                cap,
                recvx: 0,
                sendx: 0,
                elem_size,
                buf,
                closed: false,
                recvq: Waitq::new(),
                sendq: Waitq::new(),
            }),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether it was closed.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Hands the places of the values that were sent and never received to `f`.
    #[inline]
    pub(super) fn each_left(&mut self, mut f: impl FnMut(*mut u8)) {
        let c = self.inner.get_mut();
        for i in 0..c.count {
            f(c.place((c.recvx + i) % c.cap));
        }
    }

    #[inline]
    fn inner(&self) -> *mut Inner {
        self.inner.get()
    }

    /// Tries to send the value at `elem`. With the lock held; the value is moved out on
    /// `Done`. Wakes the receiver by returning its G.
    ///
    /// # Safety
    /// The lock is held; `elem` points at a value of the channel's type.
    // Always: as calls of their own these two cost `send` 34 instructions more than 144, and
    // `recv` 44 more than 174.
    #[inline(always)]
    pub unsafe fn send_locked(&self, elem: *const u8) -> (Outcome, Option<&'static G>) {
        // SAFETY: the lock is held, so `inner` and queued sudogs are ours; `elem` and the
        // buffer's places hold values of `elem_size` bytes and do not overlap.
        unsafe {
            let c = &mut *self.inner();
            if c.closed {
                return (Outcome::Closed, None);
            }
            if let Some(sg) = c.recvq.dequeue() {
                std::ptr::copy_nonoverlapping(elem, (*sg).elem, c.elem_size);
                (*sg).success = true;
                return (Outcome::Done, Some(wake(sg)));
            }
            if c.count < c.cap {
                std::ptr::copy_nonoverlapping(elem, c.place(c.sendx), c.elem_size);
                c.sendx = (c.sendx + 1) % c.cap;
                c.count += 1;
                return (Outcome::Done, None);
            }
            (Outcome::WouldBlock, None)
        }
    }

    /// Tries to receive into `elem`. As [`send_locked`](Self::send_locked).
    ///
    /// # Safety
    /// The lock is held; `elem` points at room for a value of the channel's type.
    #[inline(always)]
    pub unsafe fn recv_locked(&self, elem: *mut u8) -> (Outcome, Option<&'static G>) {
        // SAFETY: as in `send_locked`.
        unsafe {
            let c = &mut *self.inner();
            if c.count > 0 {
                std::ptr::copy_nonoverlapping(c.place(c.recvx), elem, c.elem_size);
                // A sender that waits puts its value where this one was: at the end of the
                // queue, which in a full ring is the same place.
                let woken = match c.waiting_sender() {
                    Some(sg) => {
                        std::ptr::copy_nonoverlapping((*sg).elem, c.place(c.recvx), c.elem_size);
                        (*sg).success = true;
                        c.sendx = (c.sendx + 1) % c.cap;
                        Some(wake(sg))
                    }
                    None => {
                        c.count -= 1;
                        None
                    }
                };
                c.recvx = (c.recvx + 1) % c.cap;
                return (Outcome::Done, woken);
            }
            if let Some(sg) = c.waiting_sender() {
                std::ptr::copy_nonoverlapping((*sg).elem, elem, c.elem_size);
                (*sg).success = true;
                return (Outcome::Done, Some(wake(sg)));
            }
            if c.closed {
                return (Outcome::Closed, None);
            }
            (Outcome::WouldBlock, None)
        }
    }

    /// Sends, waiting if it must. Go's `chansend`.
    ///
    /// # Safety
    /// `elem` points at a value of the channel's type, which is moved out on `Done`.
    #[inline(never)]
    pub(super) unsafe fn send(&self, elem: *const u8, block: bool) -> Outcome {
        prologue!();
        if block {
            need_goroutine("Chan::send");
        }
        self.lock.raw_lock();
        // SAFETY: the lock is held.
        let (outcome, woken) = unsafe { self.send_locked(elem) };
        if outcome != Outcome::WouldBlock || !block {
            self.lock.raw_unlock();
            if let Some(gp) = woken {
                ready(gp, true);
            }
            return outcome;
        }
        let sg = Sudog::in_g(elem.cast_mut());
        // SAFETY: the lock is held; the sudog stays as it is until it has been dequeued,
        // because this goroutine sleeps till then.
        unsafe {
            (*self.inner()).sendq.enqueue(sg);
            gopark(Some(unlock), self.lock_ptr(), WaitReason::ChanSend);
            // Written by the partner, which woke us afterwards.
            if (*sg).success {
                Outcome::Done
            } else {
                Outcome::Closed
            }
        }
    }

    /// Receives, waiting if it must. Go's `chanrecv`.
    ///
    /// # Safety
    /// `elem` points at room for a value of the channel's type, which is filled on `Done`.
    #[inline(never)]
    pub(super) unsafe fn recv(&self, elem: *mut u8, block: bool) -> Outcome {
        prologue!();
        if block {
            need_goroutine("Chan::recv");
        }
        self.lock.raw_lock();
        // SAFETY: the lock is held.
        let (outcome, woken) = unsafe { self.recv_locked(elem) };
        if outcome != Outcome::WouldBlock || !block {
            self.lock.raw_unlock();
            if let Some(gp) = woken {
                ready(gp, true);
            }
            return outcome;
        }
        let sg = Sudog::in_g(elem);
        // SAFETY: as in `send`.
        unsafe {
            (*self.inner()).recvq.enqueue(sg);
            gopark(Some(unlock), self.lock_ptr(), WaitReason::ChanReceive);
            if (*sg).success {
                Outcome::Done
            } else {
                Outcome::Closed
            }
        }
    }

    /// Closes; returns false if it was closed already. All that wait are woken: the
    /// receivers find nothing, the senders panic. Go's `closechan`.
    #[inline(never)]
    pub(super) fn close(&self) -> bool {
        prologue!();
        self.lock.raw_lock();
        // SAFETY: the lock is held.
        let c = unsafe { &mut *self.inner() };
        if c.closed {
            self.lock.raw_unlock();
            return false;
        }
        c.closed = true;
        self.closed.store(true, Release);
        self.lock.raw_unlock();
        // Off the queue first, awake when the lock is free. No goroutine joins a closed
        // channel's queues, and no partner serves those in them: what they will be told is
        // decided. So it is done in batches, each so small that its Gs are still in the cache
        // when they are woken.
        let mut batch: [Option<&'static G>; CLOSE_BATCH] = [None; CLOSE_BATCH];
        loop {
            let mut n = 0;
            self.lock.raw_lock();
            // SAFETY: the lock is held.
            let c = unsafe { &mut *self.inner() };
            while n < CLOSE_BATCH
                // SAFETY: the lock is held.
                && let Some(sg) = unsafe { c.recvq.dequeue().or_else(|| c.sendq.dequeue()) }
            {
                // SAFETY: as above; the waiter sleeps until it is woken below.
                batch[n] = Some(unsafe {
                    (*sg).success = false;
                    wake(sg)
                });
                n += 1;
            }
            self.lock.raw_unlock();
            for gp in batch[..n].iter().flatten() {
                ready(gp, true);
            }
            if n < CLOSE_BATCH {
                return true;
            }
        }
    }

    /// Values in the buffer.
    #[inline(never)]
    pub(super) fn count(&self) -> usize {
        prologue!();
        self.lock.raw_lock();
        // SAFETY: the lock is held.
        let n = unsafe { (*self.inner()).count };
        self.lock.raw_unlock();
        n
    }

    /// Puts a select's sudog into the queue of senders or receivers.
    ///
    /// # Safety
    /// The lock is held, and `sg` stays in place until it is out again.
    pub unsafe fn enqueue(&self, sg: *mut Sudog, send: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            let c = &mut *self.inner();
            if send { &mut c.sendq } else { &mut c.recvq }.enqueue(sg);
        }
    }

    /// Takes a select's sudog out again, if it still is in.
    ///
    /// # Safety
    /// The lock is held; `sg` was enqueued here on that side.
    pub unsafe fn dequeue(&self, sg: *mut Sudog, send: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            let c = &mut *self.inner();
            if send { &mut c.sendq } else { &mut c.recvq }.remove(sg);
        }
    }

    #[inline]
    fn lock_ptr(&self) -> *mut () {
        std::ptr::from_ref(&self.lock).cast_mut().cast()
    }
}

fn unlock(_gp: &'static G, lock: *mut ()) -> bool {
    // SAFETY: `send` and `recv` pass their own lock, which they hold.
    unsafe { (*lock.cast::<Lock>()).raw_unlock() };
    true
}

impl Inner {
    /// Takes the first sender off the queue, unless the channel is closed: then all of them
    /// are told so, including those that `close` has not come to yet.
    ///
    /// # Safety
    /// The channel's lock is held.
    #[inline]
    unsafe fn waiting_sender(&mut self) -> Option<*mut Sudog> {
        if self.closed {
            return None;
        }
        // SAFETY: the lock is held.
        unsafe { self.sendq.dequeue() }
    }

    #[inline]
    fn place(&self, i: usize) -> *mut u8 {
        // SAFETY: i is below cap, and the buffer has cap places.
        unsafe { self.buf.add(i * self.elem_size) }
    }
}
