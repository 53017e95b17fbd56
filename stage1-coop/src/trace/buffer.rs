//! One M's events: a large reserved array that the kernel fills with memory as it is used.
//!
//! Only the M's own thread writes, also from its signal handlers. It takes a place with one
//! instruction, then reads the clock, then writes; so a handler that comes in between takes
//! the next place. Others may read at any time: a place says by its first word, written last,
//! whether it is complete, and in which round.
//!
//! What happens when the array is full depends on what was asked for ([`Keep`]).
//!
//! Tests: below; `chrome::long::the_last_events_are_kept`,
//! `chrome::long::a_trace_that_ran_full_says_so`.

use super::bell;
use crate::os::mem;
use crate::word::Word;
use safepoint_trace::{Kind, Record};
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::*, fence,
};

/// Which events are kept when there are more than an M has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Keep {
    /// The first ones.
    First,
    /// The last ones.
    Last,
    /// All: the scribe takes them away while the run goes on, and the M waits for it.
    All,
}

/// Words of an event in the buffer: kind, P and round; time; three arguments; G and flow.
const WORDS: usize = 6;
type Place = [AtomicU64; WORDS];

/// In the first word: 48 bits of address, 9 bits of the P plus one, 7 bits of the round.
const P_SHIFT: u32 = 48;
const ROUND_SHIFT: u32 = 57;
const ADDRESS: u64 = (1 << P_SHIFT) - 1;

/// Events that one M can keep at most if the first ones count: 64 MiB of address space.
const FIRST: usize = (64 << 20) / size_of::<Place>();
/// Memory that an M gets at once, at most.
const CHUNK: usize = 256 << 10;
/// Events that one M can be ahead of the trace's thread.
const AHEAD: usize = 1 << 16;

static KEEP: AtomicU8 = AtomicU8::new(0);
/// Events are taken away: an M without room may wait for that.
static OPEN: AtomicBool = AtomicBool::new(false);
/// Places of each M's array: a power of two unless the first events are kept.
static PLACES: AtomicUsize = AtomicUsize::new(0);

/// Says what the buffers of the next run keep; `last`: how many events of all, at least.
pub(super) fn shape(keep: Keep, last: usize) {
    KEEP.store(keep as u8, Relaxed);
    let places = match keep {
        Keep::First => FIRST,
        Keep::Last => last.next_power_of_two().max(1024),
        Keep::All => AHEAD,
    };
    PLACES.store(places, Relaxed);
    OPEN.store(true, SeqCst);
}

/// No event is taken away any more.
pub(super) fn close() {
    OPEN.store(false, SeqCst);
}

fn keep() -> Keep {
    match KEEP.load(Relaxed) {
        0 => Keep::First,
        1 => Keep::Last,
        _ => Keep::All,
    }
}

/// The events of one M.
pub struct Buffer {
    base: AtomicPtr<Place>,
    /// Places taken since the run began. Larger than the array if events found no room, or if
    /// they went round. *owner*, one instruction; others read (acquire).
    len: AtomicUsize,
    /// From here on a writer must look whether there is room. *owner*
    limit: Word,
    /// The place of event `n` is `n & mask`; its round is `n >> shift`.
    mask: Word,
    shift: AtomicU32,
    /// Events that have been taken away. The trace's thread.
    read: AtomicUsize,
}

/// A place that was taken and is to be filled.
pub(super) struct Taken<'a> {
    place: &'a Place,
    round: u64,
}

impl Buffer {
    pub(crate) const fn new() -> Buffer {
        Buffer {
            base: AtomicPtr::new(std::ptr::null_mut()),
            len: AtomicUsize::new(0),
            limit: Word::new(0),
            mask: Word::new(0),
            shift: AtomicU32::new(0),
            read: AtomicUsize::new(0),
        }
    }

    /// Reserves the array, if events will be kept.
    ///
    /// # Errors
    /// The system's, if there is no address space for it.
    pub(crate) fn init(&self, keeps: bool) -> Result<(), nix::Error> {
        if !keeps {
            return Ok(());
        }
        let places = PLACES.load(Relaxed);
        let base = mem::reserve(places * size_of::<Place>())?;
        if keep() == Keep::First {
            self.mask.set(usize::MAX);
            self.shift.store(63, Relaxed);
        } else {
            self.mask.set(places - 1);
            self.shift.store(places.trailing_zeros(), Relaxed);
        }
        self.limit.set(match keep() {
            Keep::First => 0,
            Keep::Last => usize::MAX,
            Keep::All => places / 2,
        });
        self.base.store(base.as_ptr().cast(), Release);
        Ok(())
    }

    fn place(&self, n: usize) -> Option<&Place> {
        let base = self.base.load(Acquire);
        // SAFETY: null, or `init` reserved zeroed memory for PLACES places, which lives until
        // `free`, when no thread looks any more. `n & mask` is below PLACES: the mask is one less,
        // or `n` was compared with `limit` or with PLACES. Atomics may be shared.
        (!base.is_null()).then(|| unsafe { &*base.add(n & self.mask.get()) })
    }

    /// Times that the array was full before event `n`. A place keeps the lowest 7 bits.
    fn round(&self, n: usize) -> u64 {
        (n >> self.shift.load(Relaxed)) as u64
    }

    /// Takes a place for the next event, if there is one. The M's own thread only, and its
    /// signal handlers.
    #[inline]
    pub(super) fn take(&self) -> Option<Taken<'_>> {
        let n = self.next();
        if n >= self.limit.get() && !self.room(n) {
            return None;
        }
        let place = self.place(n)?;
        let round = self.round(n);
        if round != 0 {
            // A reader of the last round's event sees that it is gone, and never half of each.
            place[0].store(0, Relaxed);
            fence(Release);
        }
        Some(Taken { place, round })
    }

    /// The number of the next event. One instruction, and no bus lock: nothing else writes the
    /// word but a signal handler of the same thread, which comes before it or after it.
    #[inline(always)]
    fn next(&self) -> usize {
        let n: usize;
        // SAFETY: adds to a word of ours, as an atomic would.
        unsafe {
            std::arch::asm!("xadd qword ptr [{len}], {n}", len = in(reg) self.len.as_ptr(),
                n = inout(reg) 1_usize => n, options(nostack));
        }
        n
    }

    /// The M has come to its limit with event `n`: is there room for it?
    #[cold]
    #[inline(never)]
    fn room(&self, n: usize) -> bool {
        let base = self.base.load(Relaxed);
        if base.is_null() || keep() == Keep::Last {
            return false;
        }
        if keep() == Keep::First {
            return self.more_memory(base, n);
        }
        let places = self.mask.get() + 1;
        loop {
            let read = self.read.load(Acquire);
            if n < read + places {
                if n >= read + places / 2 {
                    bell::hurry();
                }
                self.limit.set((n + places / 4).min(read + places));
                return true;
            }
            if !OPEN.load(Relaxed) {
                // They are not taken any more.
                return false;
            }
            bell::hurry();
            bell::nap();
        }
    }

    /// Memory for the events from `n` on: as many as there were so far, from a page to
    /// [`CHUNK`] bytes.
    fn more_memory(&self, base: *mut Place, n: usize) -> bool {
        let places = PLACES.load(Relaxed);
        if n >= places {
            return false;
        }
        let more = n.clamp(mem::PAGE / size_of::<Place>(), CHUNK / size_of::<Place>());
        let limit = (n + more).min(places);
        // SAFETY: the places from `n` to `limit` lie in the array.
        unsafe { mem::populate(base.add(n).cast(), (limit - n) * size_of::<Place>()) };
        self.limit.set(limit);
        true
    }

    /// The numbers of the events that are, or will soon be, in the array; and how many events
    /// this M had in all.
    pub(super) fn span(&self) -> (std::ops::Range<usize>, usize) {
        let len = self.len.load(Acquire);
        let places = PLACES.load(Relaxed);
        let range = match keep() {
            _ if self.base.load(Acquire).is_null() => 0..0,
            Keep::First => 0..len.min(places),
            Keep::Last => len.saturating_sub(places)..len,
            Keep::All => {
                let read = self.read.load(Relaxed);
                read..len.min(read + places)
            }
        };
        (range, len)
    }

    /// Event `n`, if it is complete and still there.
    pub(super) fn event(&self, n: usize) -> Option<Record> {
        let place = self.place(n)?;
        let first = place[0].load(Acquire);
        if first == 0 || first >> ROUND_SHIFT != self.round(n) & 0x7f {
            return None;
        }
        let words: [u64; WORDS - 1] = [1, 2, 3, 4, 5].map(|i| place[i].load(Relaxed));
        fence(Acquire);
        if place[0].load(Relaxed) != first {
            // Written over meanwhile.
            return None;
        }
        let [time, a, b, c, who] = words;
        // SAFETY: the address of a kind, which lives for ever.
        let kind: &'static Kind = unsafe { ((first & ADDRESS) as *const Kind).as_ref() }?;
        // SAFETY: these are the kind and the words of a record that was written here whole.
        let mut event = unsafe { Record::new(kind, [a, b, c]) };
        event.time = time;
        event.p = (first >> P_SHIFT) as i32 % 512 - 1;
        event.g = (who >> 32) as u32;
        event.flow = who as u32;
        Some(event)
    }

    /// All events before `n` have been taken away.
    pub(super) fn taken_away(&self, n: usize) {
        self.read.store(n, Release);
    }

    /// Gives the memory back. No thread writes any more.
    pub(crate) fn free(&self) {
        let base = self.base.swap(std::ptr::null_mut(), AcqRel);
        if let Some(base) = std::ptr::NonNull::new(base) {
            self.limit.set(0);
            self.len.store(0, Relaxed);
            self.read.store(0, Relaxed);
            let bytes = PLACES.load(Relaxed) * size_of::<Place>();
            // SAFETY: reserved by `init` with this size; the run is over.
            unsafe { mem::release(base.cast(), bytes) };
        }
    }
}

impl Taken<'_> {
    /// Fills the place.
    #[inline]
    pub(super) fn write(self, event: &Record) {
        let (args, p) = (event.args(), (event.p + 1) as u64);
        let [first, rest @ ..] = self.place;
        rest[0].store(event.time, Relaxed);
        rest[1].store(args[0], Relaxed);
        rest[2].store(args[1], Relaxed);
        rest[3].store(args[2], Relaxed);
        rest[4].store(u64::from(event.g) << 32 | u64::from(event.flow), Relaxed);
        let kind = std::ptr::from_ref(event.kind()) as u64;
        first.store(kind | p << P_SHIFT | self.round << ROUND_SHIFT, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safepoint_trace::{GO_START, STEAL};

    fn event(n: u64) -> Record {
        let kind = if n.is_multiple_of(2) {
            &GO_START
        } else {
            &STEAL
        };
        // SAFETY: neither kind has a text.
        let mut event = unsafe { Record::new(kind, [n, n + 1, n + 2]) };
        (event.time, event.p) = (n, n as i32 % 257 - 1);
        (event.g, event.flow) = (n as u32, !n as u32);
        event
    }

    fn same(a: &Record, b: &Record) -> bool {
        (a.time, a.args(), a.p, a.g, a.flow) == (b.time, b.args(), b.p, b.g, b.flow)
            && std::ptr::eq(a.kind(), b.kind())
    }

    /// One buffer for each way to keep events: the statics are the process's.
    #[test]
    fn what_is_kept() {
        // The first ones.
        PLACES.store(64, SeqCst);
        KEEP.store(Keep::First as u8, SeqCst);
        let buffer = Buffer::new();
        buffer.init(true).expect("there is room");
        for n in 0..100 {
            if let Some(place) = buffer.take() {
                place.write(&event(n));
            }
        }
        assert_eq!(buffer.span(), (0..64, 100));
        assert!((0..64).all(|n| buffer.event(n).is_some_and(|e| same(&e, &event(n as u64)))));
        buffer.free();
        // The last ones, whatever the round.
        KEEP.store(Keep::Last as u8, SeqCst);
        let buffer = Buffer::new();
        buffer.init(true).expect("there is room");
        for n in 0..64 * 300 {
            buffer.take().expect("a place").write(&event(n));
            let old = (n as usize).checked_sub(64).and_then(|n| buffer.event(n));
            assert!(old.is_none(), "event {n} has another one's place");
        }
        let (span, len) = buffer.span();
        assert_eq!((span.clone(), len), (64 * 299..64 * 300, 64 * 300));
        assert!(
            span.clone()
                .all(|n| buffer.event(n).is_some_and(|e| same(&e, &event(n as u64))))
        );
        // While a place is filled again there is nothing in it, whichever round it is: the
        // number of the round is 0 again after 128.
        for n in 64 * 300..64 * 600 {
            let place = buffer.take().expect("a place");
            assert!(buffer.event(n as usize - 64).is_none(), "event {n}");
            place.write(&event(n));
        }
        let len = 64 * 600;
        // A handler between taking and writing gets a place of its own.
        let outer = buffer.take().expect("a place");
        buffer.take().expect("a place").write(&event(7));
        assert!(buffer.event(len).is_none() && buffer.event(len + 1).is_some());
        outer.write(&event(8));
        assert!(buffer.event(len).is_some_and(|e| same(&e, &event(8))));
        buffer.free();
    }
}
