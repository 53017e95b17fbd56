//! One M's events: a large reserved array that the kernel fills with memory as it is used.
//!
//! Only the M's own thread writes, also from its signal handlers; it takes a place first
//! and writes the event then, so a handler that interrupts it takes the next one. A reader
//! may come at any time: it skips events that are not complete.

use super::Kind;
use crate::os::mem;
use crate::word::Word;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// One event.
#[derive(Clone, Copy)]
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

/// Words of an event in the buffer. The first is the address of its kind, written last.
const WORDS: usize = 7;
type Place = [AtomicU64; WORDS];

/// Events that one M can keep: 64 MiB of address space.
const CAPACITY: usize = (64 << 20) / size_of::<Place>();

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
            match mem::reserve(CAPACITY * size_of::<Place>()) {
                Ok(base) => self.base.set(base.as_ptr() as usize),
                Err(e) => crate::panics::out_of_memory("the events of a trace", e),
            }
        }
    }

    fn places(&self) -> &[Place] {
        match self.base.get() {
            0 => &[],
            // SAFETY: `init` reserved zeroed memory for CAPACITY places, which lives until
            // `free`, when nobody looks any more; atomics may be shared.
            base => unsafe { std::slice::from_raw_parts(base as *const Place, CAPACITY) },
        }
    }

    /// Adds an event. The M's own thread only, and its signal handlers.
    pub(crate) fn push(&self, event: Event) {
        let at = self.len.load(Relaxed);
        let Some(place) = self.places().get(at) else {
            self.dropped.fetch_add(1, Relaxed);
            return;
        };
        self.len.store(at + 1, Relaxed);
        let Event {
            time,
            kind,
            args,
            p,
            g,
            flow,
        } = event;
        place[1].store(time, Relaxed);
        for (word, arg) in place[2..5].iter().zip(args) {
            word.store(arg, Relaxed);
        }
        place[5].store((p as u32 as u64) << 32 | u64::from(g), Relaxed);
        place[6].store(u64::from(flow), Relaxed);
        place[0].store(std::ptr::from_ref(kind) as u64, Release);
    }

    /// The events so far, without those that are being written.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        let len = self.len.load(Acquire).min(CAPACITY);
        self.places().iter().take(len).filter_map(|place| {
            let kind = place[0].load(Acquire);
            // SAFETY: 0, or the address of a kind, which lives for ever.
            let kind: &'static Kind = unsafe { (kind as *const Kind).as_ref() }?;
            let who = place[5].load(Relaxed);
            Some(Event {
                time: place[1].load(Relaxed),
                kind,
                args: [2, 3, 4].map(|i| place[i].load(Relaxed)),
                p: (who >> 32) as u32 as i32,
                g: who as u32,
                flow: place[6].load(Relaxed) as u32,
            })
        })
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
            unsafe { mem::release(base, CAPACITY * size_of::<Place>()) };
        }
    }
}
