//! Channels: a value goes from one goroutine to another, and the one that comes first waits.
//! Mirrors `chan.go` (`makechan`, `chansend`, `chanrecv`, `closechan`); the chapter is
//! *Blocking, and the one unsafe word*.
//!
//! A goroutine that must wait writes itself down as a [`Sudog`], with the address of the
//! value to give or of the place to fill, on its own stack. Its partner moves the value
//! directly between the two stacks and wakes it. That is sound because our stacks never
//! move, and because the sudog is taken out of the queue before its owner goes on.
//!
//! What depends on the type of the value is two lines of moving bytes; everything else is
//! [`Hchan`], which knows sizes only and is compiled once, outside of goroutines' own code.
//!
//! Tests: `chan`.

use crate::arch::getg;
use crate::gmp::{ENTRY_WORDS, G};
use crate::os::Lock;
use crate::prologue;
use crate::sched::park::{gopark, ready};
use crate::sync::queue::need_goroutine;
use crate::trace::WaitReason;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::*};

/// A goroutine that waits in the queue of one channel: Go's `sudog`. Every field is
/// protected by the channel's lock while it is queued.
pub(crate) struct Sudog {
    pub g: &'static G,
    /// Where the value lies, or where it shall go.
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
    fn in_g(elem: *mut u8) -> *mut Sudog {
        const { assert!(size_of::<Sudog>() <= ENTRY_WORDS * size_of::<usize>()) };
        let sg = getg().entry.0.get().cast::<Sudog>();
        // SAFETY: the room is ours while we run, large enough, and aligned to words; the
        // closure was read out of it before it was called.
        unsafe { sg.write(Sudog::new(elem)) };
        sg
    }
}

/// A doubly linked list of sudogs: Go's `waitq`.
struct Waitq {
    first: *mut Sudog,
    last: *mut Sudog,
}

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
    unsafe fn send(&self, elem: *const u8, block: bool) -> Outcome {
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
    unsafe fn recv(&self, elem: *mut u8, block: bool) -> Outcome {
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
    fn close(&self) -> bool {
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

    #[inline(never)]
    fn count(&self) -> usize {
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

    fn lock_ptr(&self) -> *mut () {
        std::ptr::from_ref(&self.lock).cast_mut().cast()
    }
}

/// The goroutine of a sudog that was taken out of its queue, and which of its cases fired.
///
/// # Safety
/// The channel's lock is held and `sg` was just dequeued.
unsafe fn wake(sg: *mut Sudog) -> &'static G {
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
    unsafe fn waiting_sender(&mut self) -> Option<*mut Sudog> {
        if self.closed {
            return None;
        }
        // SAFETY: the lock is held.
        unsafe { self.sendq.dequeue() }
    }

    fn place(&self, i: usize) -> *mut u8 {
        // SAFETY: i is below cap, and the buffer has cap places.
        unsafe { self.buf.add(i * self.elem_size) }
    }
}

impl Waitq {
    unsafe fn enqueue(&mut self, sg: *mut Sudog) {
        // SAFETY: the callers hold the lock; queued sudogs are alive.
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

    unsafe fn dequeue(&mut self) -> Option<*mut Sudog> {
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

    unsafe fn remove(&mut self, sg: *mut Sudog) {
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

struct Shared<T> {
    hchan: Hchan,
    buf: Buffer<T>,
}

/// The places of a channel's values, from a `Box`. A raw pointer, because `hchan` has a copy
/// of it, and a `Box` promises that there is none.
struct Buffer<T>(*mut [MaybeUninit<T>]);

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: it came from a `Box`, and the only other pointer to it is in `hchan`, which
        // nothing uses any more: both are fields of one `Shared`, whose own `drop` is over.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A channel of values of type `T`. Clones are the same channel. Go's `chan T`.
///
/// Without a buffer, a send waits until there is a receiver; with one, until there is room.
/// Receiving from a closed channel gives what is left in the buffer and then `None`.
pub struct Chan<T> {
    shared: Arc<Shared<T>>,
    _values: PhantomData<T>,
}

// SAFETY: values move through the channel from thread to thread, which `T: Send` allows;
// no reference into it is ever given out.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above: all access goes through the channel's lock.
unsafe impl<T: Send> Sync for Chan<T> {}

impl<T> Clone for Chan<T> {
    fn clone(&self) -> Chan<T> {
        Chan {
            shared: self.shared.clone(),
            _values: PhantomData,
        }
    }
}

impl<T: Send> Chan<T> {
    /// A channel with room for `cap` values; 0 for none. Go's `make(chan T, cap)`.
    ///
    /// # Panics
    /// If so many bytes cannot be counted. More than the machine has ends the process, as every
    /// such request does in Rust.
    pub fn new(cap: usize) -> Chan<T> {
        prologue!();
        // Reserved, not written: the time does not depend on `cap`.
        let buf = Buffer(Box::into_raw(Box::<[T]>::new_uninit_slice(cap)));
        let empty = || Waitq {
            first: std::ptr::null_mut(),
            last: std::ptr::null_mut(),
        };
        Chan {
            shared: Arc::new(Shared {
                hchan: Hchan {
                    lock: Lock::new(),
                    inner: UnsafeCell::new(Inner {
                        count: 0,
                        cap,
                        recvx: 0,
                        sendx: 0,
                        elem_size: size_of::<T>(),
                        buf: buf.0.cast(),
                        closed: false,
                        recvq: empty(),
                        sendq: empty(),
                    }),
                    closed: AtomicBool::new(false),
                },
                buf,
            }),
            _values: PhantomData,
        }
    }

    pub(crate) fn hchan(&self) -> &Hchan {
        &self.shared.hchan
    }

    /// Sends `value`, parking the goroutine until it can go. Go's `c <- value`.
    ///
    /// # Panics
    /// Go's `send on closed channel`; and off a goroutine.
    #[track_caller]
    pub fn send(&self, value: T) {
        let value = ManuallyDrop::new(value);
        // SAFETY: the value is of the channel's type and is not used again once moved.
        match unsafe { self.hchan().send((&raw const value).cast(), true) } {
            Outcome::Done => {}
            _ => {
                drop(ManuallyDrop::into_inner(value));
                panic!("send on closed channel");
            }
        }
    }

    /// Sends `value` if it can go at once; else gives it back.
    ///
    /// # Errors
    /// The value, when one would have to wait.
    ///
    /// # Panics
    /// Go's `send on closed channel`.
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: as in `send`.
        match unsafe { self.hchan().send((&raw const value).cast(), false) } {
            Outcome::Done => Ok(()),
            Outcome::WouldBlock => Err(ManuallyDrop::into_inner(value)),
            Outcome::Closed => {
                drop(ManuallyDrop::into_inner(value));
                panic!("send on closed channel");
            }
        }
    }

    /// Receives a value, parking the goroutine until there is one; `None` when the channel
    /// is closed and empty. Go's `v, ok := <-c`.
    ///
    /// # Panics
    /// Off a goroutine.
    pub fn recv(&self) -> Option<T> {
        let mut slot = MaybeUninit::<T>::uninit();
        // SAFETY: the room is of the channel's type, and filled when the outcome says so.
        unsafe {
            match self.hchan().recv(slot.as_mut_ptr().cast(), true) {
                Outcome::Done => Some(slot.assume_init()),
                _ => None,
            }
        }
    }

    /// Receives a value if there is one now: `Ok(None)` when the channel is closed and
    /// empty.
    ///
    /// # Errors
    /// When one would have to wait.
    pub fn try_recv(&self) -> Result<Option<T>, WouldBlock> {
        let mut slot = MaybeUninit::<T>::uninit();
        // SAFETY: as in `recv`.
        unsafe {
            match self.hchan().recv(slot.as_mut_ptr().cast(), false) {
                Outcome::Done => Ok(Some(slot.assume_init())),
                Outcome::Closed => Ok(None),
                Outcome::WouldBlock => Err(WouldBlock),
            }
        }
    }

    /// Closes the channel: nothing more will be sent. Go's `close(c)`.
    ///
    /// # Panics
    /// Go's `close of closed channel`.
    #[track_caller]
    pub fn close(&self) {
        assert!(self.hchan().close(), "close of closed channel");
    }

    /// Whether [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        prologue!();
        self.hchan().closed.load(Acquire)
    }

    /// Values in the buffer. Go's `len(c)`.
    pub fn len(&self) -> usize {
        self.hchan().count()
    }

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Room of the buffer. Go's `cap(c)`.
    pub fn cap(&self) -> usize {
        self.shared.buf.0.len()
    }

    /// Receives until the channel is closed and empty. Go's `for v := range c`.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv())
    }
}

/// Nothing to receive, and the channel is not closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WouldBlock;

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: this was the last handle of the channel. What is in the buffer was sent and
        // never received.
        unsafe {
            let c = &mut *self.hchan.inner();
            for i in 0..c.count {
                let place = c.place((c.recvx + i) % c.cap).cast::<T>();
                std::ptr::drop_in_place(place);
            }
        }
    }
}
