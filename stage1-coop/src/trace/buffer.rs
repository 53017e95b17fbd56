//! One M's events: a large reserved array that the kernel fills with memory as it is used.
//!
//! Only the M's own thread writes, also from its signal handlers; it takes a place first
//! and writes the event then, so a handler that interrupts it takes the next one. Readers
//! come when the writer is done, or accept to miss its last event.

use super::Kind;
use crate::os::mem;
use crate::word::Word;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// One event, as it is stored.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds of the run's clock.
    pub time: u64,
    /// What happened.
    pub kind: &'static Kind,
    /// With what, in the order of the kind's form.
    pub args: [u64; 3],
    /// The P that the M held, or -1.
    pub p: i32,
    /// The goroutine that ran, or 0.
    pub g: u32,
    /// Joins a request to its outcome; 0 for none.
    pub flow: u32,
}

/// Events that one M can keep: 64 MiB of address space.
const CAPACITY: usize = (64 << 20) / size_of::<Event>();

/// The events of one M.
pub struct Buffer {
    base: Word,
    /// Places taken.
    len: AtomicUsize,
    dropped: AtomicU64,
}

impl Buffer {
    pub(crate) const fn new() -> Buffer {
        Buffer {
            base: Word::new(0),
            len: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Reserves the array, if events will be kept.
    pub(crate) fn init(&self) {
        if super::KEEP.load(Relaxed) {
            match mem::reserve(CAPACITY * size_of::<Event>()) {
                Ok(base) => self.base.set(base.as_ptr() as usize),
                Err(e) => crate::panics::out_of_memory("the events of a trace", e),
            }
        }
    }

    /// Adds an event. The M's own thread only.
    pub(crate) fn push(&self, event: Event) {
        let base = self.base.get();
        let at = self.len.load(Relaxed);
        if base == 0 || at == CAPACITY {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.len.store(at + 1, Relaxed);
        // SAFETY: `at` is inside the array, and the place is ours alone.
        unsafe { (base as *mut Event).add(at).write(event) };
    }

    /// The events so far. Call it when the writer is done, or dead.
    pub(crate) fn events(&self) -> &[Event] {
        let base = self.base.get();
        if base == 0 {
            return &[];
        }
        let len = self.len.load(Acquire);
        // The last place may have been taken and not yet written; then its kind is null.
        // SAFETY: the array is zeroed memory of CAPACITY events, of which `len` are taken;
        // only the kind of the last one is looked at before it is known to be there.
        unsafe {
            let all = base as *const Event;
            let mut len = len;
            while len > 0 && (&raw const (*all.add(len - 1)).kind).cast::<usize>().read() == 0 {
                len -= 1;
            }
            std::slice::from_raw_parts(all, len)
        }
    }

    /// Events that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Gives the memory back. Nobody writes any more.
    pub(crate) fn free(&self) {
        if let Some(base) = std::ptr::NonNull::new(self.base.get() as *mut u8) {
            self.base.set(0);
            self.len.store(0, Relaxed);
            // SAFETY: reserved by `init` with this size; the run is over.
            unsafe { mem::release(base, CAPACITY * size_of::<Event>()) };
        }
    }
}
