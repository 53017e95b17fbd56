//! What the poller knows of one descriptor: who waits for it, until when, and whether it is
//! being closed. Mirrors `pollDesc`, `pollWait`, `pollUnblock` and `pollSetDeadline` of
//! `netpoll.go`.
//!
//! Descriptions are never freed, because the kernel may just be telling somebody about one.
//! They are used again; a sequence number in what the kernel is given tells whether news are
//! about the descriptor that has it now.
//!
//! Deadlines cost nothing until somebody sleeps: whoever tries looks at the clock if there is
//! a deadline, and whoever goes to sleep makes sure that a timer wakes it in time. A timer
//! that comes too early, because the deadline was moved, is set again then. One that has no
//! deadline any more is taken away at once.

use crate::netpoll;
use crate::poller::one_reason_less;
use crate::pollword::PollWord;
use crate::timers::{Fire, NEVER, announce, deltimer, my_p, put};
use stage1_coop::rt::gmp::{G, P};
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::rt::sched::{gopark, goready};
use stage1_coop::rt::trace::WaitReason;
use stage1_coop::rt::word::{Link, Word};
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*, fence};
use std::time::Duration;

/// Why a goroutine waits that waits for a descriptor.
pub const IO_WAIT: WaitReason = WaitReason::Later1;

/// What one waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Something to read, a connection to accept, the end.
    Read,
    /// Room to write, or that a connection stands.
    Write,
}

/// What the poller knows of one descriptor. Go's `pollDesc`.
#[repr(align(64))]
pub struct PollDesc {
    words: [PollWord<G>; 2],
    /// The descriptor. Written before the first goroutine can use it.
    fd: AtomicI32,
    /// Nobody shall wait here any more. *anybody*, see [`PollWord::stop_waiting`].
    closing: AtomicBool,
    /// How often the description was used before: 16 bits of it.
    seq: AtomicU32,
    /// The run in which the kernel was told of it. Written under the lock.
    known_in: AtomicU32,
    deadlines: [Deadline; 2],
    lock: Lock,
    /// The next free one.
    link: Link<PollDesc>,
}

struct Deadline {
    /// Until when one may wait; 0 for ever. *anybody*, see [`PollWord::stop_waiting`].
    at: AtomicU64,
    /// When the timer fires that is set for it; [`NEVER`] if none is. Under the lock.
    timer: AtomicU64,
    /// Number of that timer; those with other numbers are out of date. Under the lock.
    timer_seq: AtomicU32,
    /// The P whose timer it is (under the lock), and where it is in that one's heap (under the
    /// heap's lock, which comes after ours).
    pp: Link<P>,
    place: Word,
}

impl Default for Deadline {
    fn default() -> Deadline {
        Deadline {
            at: AtomicU64::new(0),
            timer: AtomicU64::new(NEVER),
            timer_seq: AtomicU32::new(0),
            pp: Link::none(),
            place: Word::new(0),
        }
    }
}

impl Deadline {
    /// There is no timer any more, and one that is on its way is out of date. The lock is held.
    fn forget_timer(&self) {
        self.timer_seq.fetch_add(1, Relaxed);
        if self.timer.swap(NEVER, Relaxed) != NEVER
            && let Some(pp) = self.pp.get()
        {
            deltimer(pp, &self.place);
        }
    }
}

/// Descriptions that nobody uses.
struct Cache(UnsafeCell<Option<&'static PollDesc>>);
// SAFETY: reached with `CACHE_LOCK` held only.
unsafe impl Sync for Cache {}
static CACHE: Cache = Cache(UnsafeCell::new(None));
static CACHE_LOCK: Lock = Lock::new();
/// Descriptions that are made at a time.
const BLOCK: usize = 64;

/// Where in the kernel's 64 bits the sequence number stands: addresses have 47.
const SEQ_SHIFT: u32 = 48;

impl PollDesc {
    fn new() -> PollDesc {
        PollDesc {
            words: [PollWord::new(), PollWord::new()],
            fd: AtomicI32::new(-1),
            closing: AtomicBool::new(false),
            seq: AtomicU32::new(0),
            known_in: AtomicU32::new(0),
            deadlines: Default::default(),
            lock: Lock::new(),
            link: Link::none(),
        }
    }

    /// A description for `fd`. Go's `pollCache.alloc` and half of `pollOpen`: the kernel is
    /// told when somebody has to wait, which may never be.
    pub(crate) fn open(fd: i32) -> &'static PollDesc {
        let pd = {
            let _held = CACHE_LOCK.lock();
            // SAFETY: the lock is held.
            let free = unsafe { &mut *CACHE.0.get() };
            let pd = match *free {
                Some(pd) => pd,
                None => {
                    let block: Vec<PollDesc> = (0..BLOCK).map(|_| PollDesc::new()).collect();
                    let block: &'static [PollDesc] = Vec::leak(block);
                    for pair in block.windows(2) {
                        pair[0].link.set(Some(&pair[1]));
                    }
                    &block[0]
                }
            };
            *free = pd.link.get();
            pd
        };
        pd.link.set(None);
        pd.fd.store(fd, Relaxed);
        pd.known_in.store(0, Relaxed);
        for mode in [Mode::Read, Mode::Write] {
            pd.word(mode).reset();
            pd.deadline(mode).at.store(0, Relaxed);
        }
        pd.closing.store(false, Release);
        pd
    }

    /// Nobody uses the descriptor any more; it is about to be closed. Go's `pollClose`.
    pub(crate) fn free(&'static self) {
        if self.known_in.load(Relaxed) != 0 {
            netpoll::close(self.fd.load(Relaxed));
        }
        {
            let _held = self.lock.lock();
            self.seq.fetch_add(1, Relaxed);
            self.deadlines.iter().for_each(Deadline::forget_timer);
        }
        one_reason_less();
        let _held = CACHE_LOCK.lock();
        // SAFETY: the lock is held.
        let free = unsafe { &mut *CACHE.0.get() };
        self.link.set(*free);
        *free = Some(self);
    }

    /// The descriptor that it is about.
    #[inline]
    pub(crate) fn fd(&self) -> i32 {
        self.fd.load(Relaxed)
    }

    fn data(&self) -> u64 {
        let seq = u64::from(self.seq.load(Relaxed) as u16);
        std::ptr::from_ref(self) as u64 | seq << SEQ_SHIFT
    }

    /// The description that the kernel means, if it still belongs to the same descriptor and
    /// to this run.
    pub(crate) fn of(data: u64) -> Option<&'static PollDesc> {
        let address = (data & ((1 << SEQ_SHIFT) - 1)) as *const PollDesc;
        // SAFETY: the kernel gives back what `data` made of a description, which lives for
        // ever.
        let pd = unsafe { address.as_ref() }?;
        (pd.data() == data && pd.known_in.load(Acquire) == netpoll::run()).then_some(pd)
    }

    pub(crate) fn word(&self, mode: Mode) -> &PollWord<G> {
        &self.words[mode as usize]
    }

    fn deadline(&self, mode: Mode) -> &Deadline {
        &self.deadlines[mode as usize]
    }

    /// Where the timer of a deadline keeps its place in the heap.
    pub(crate) fn place(&self, mode: Mode) -> &Word {
        &self.deadline(mode).place
    }

    /// Before a try: is there anything to try? Go's `prepare`, `pollReset`.
    ///
    /// # Errors
    /// Closed, or too late.
    #[inline]
    pub(crate) fn prepare(&self, mode: Mode) -> io::Result<()> {
        self.check(mode)?;
        self.word(mode).reset();
        Ok(())
    }

    /// Go's `netpollcheckerr`.
    ///
    /// # Errors
    /// Closed, or too late.
    #[inline]
    pub(crate) fn check(&self, mode: Mode) -> io::Result<()> {
        if self.closing.load(Acquire) {
            return Err(closed());
        }
        let at = self.deadline(mode).at.load(Acquire);
        if at != 0 && at <= nanotime() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "i/o timeout"));
        }
        Ok(())
    }

    // ANCHOR: pollwait
    /// The kernel has said "not now": parks the goroutine until something has come. Go's
    /// `pollWait`.
    ///
    /// # Errors
    /// Closed, or too late; or the kernel's, if it does not want to tell about this one.
    #[inline(never)]
    pub(crate) fn wait(&'static self, mode: Mode) -> io::Result<()> {
        loop {
            if !self.is_known() {
                self.make_known()?;
            }
            self.check(mode)?;
            let word = self.word(mode);
            if !word.prepare() {
                return Ok(());
            }
            // Once more, now that whoever closes or moves the deadline sees us; and so does one
            // of the other mode who could not make the descriptor known.
            if self.check(mode).is_ok() && self.is_known() {
                self.mind_deadline(mode);
                let lock = std::ptr::from_ref(word).cast_mut().cast();
                // SAFETY: on a goroutine (`fd.rs` asks); the word lives for ever, and whoever
                // unblocks it finds the goroutine there.
                unsafe { gopark(Some(commit), lock, IO_WAIT) };
            }
            if word.finish() {
                return Ok(());
            }
            // Told to stop: why, or, if that is over already, once more.
        }
    }
    // ANCHOR_END: pollwait

    /// Whether the kernel was told of it, or is being told.
    fn is_known(&self) -> bool {
        self.known_in.load(Acquire) == netpoll::run()
    }

    /// Tells the kernel that we want to hear of the descriptor. If it has news, we hear of
    /// them although they are old.
    #[cold]
    fn make_known(&'static self) -> io::Result<()> {
        let told = {
            let _held = self.lock.lock();
            if self.is_known() {
                return Ok(());
            }
            if self.known_in.load(Relaxed) != 0 {
                // From an earlier run: its goroutines do not wait any more, nor do its timers.
                self.words.iter().for_each(PollWord::reset);
                self.deadlines.iter().for_each(Deadline::forget_timer);
            }
            // Before the kernel knows: it may tell somebody at once.
            self.known_in.store(netpoll::run(), Release);
            let told = netpoll::open(self.fd.load(Relaxed), self.data());
            if told.is_err() {
                self.known_in.store(0, Release);
            }
            told
        };
        if told.is_err() {
            // One of the other mode may have gone to sleep, because the descriptor counted as
            // known for a moment. It shall try itself, and get its own error.
            for mode in [Mode::Read, Mode::Write] {
                self.wake_up(mode);
            }
        }
        told
    }

    /// The goroutine is about to sleep: a timer must wake it in time.
    fn mind_deadline(&'static self, mode: Mode) {
        let deadline = self.deadline(mode);
        if deadline.at.load(Acquire) == 0 {
            return;
        }
        let at = {
            let _held = self.lock.lock();
            // Again, under the lock: who takes the deadline away takes the timer away after
            // that, and must find it.
            let at = deadline.at.load(Acquire);
            if at == 0 || deadline.timer.load(Relaxed) <= at {
                // There is none, or it comes early, and is set again then.
                return;
            }
            deadline.forget_timer();
            let pp = my_p();
            deadline.timer.store(at, Relaxed);
            deadline.pp.set(Some(pp));
            let seq = deadline.timer_seq.load(Relaxed);
            put(pp, at, Fire::Deadline(self, mode, seq));
            at
        };
        announce(at);
    }

    /// A timer that [`mind_deadline`](Self::mind_deadline) has set is due. Go's
    /// `netpolldeadlineimpl`.
    pub(crate) fn timer_fired(&'static self, mode: Mode, seq: u32, now: u64) {
        let deadline = self.deadline(mode);
        {
            let _held = self.lock.lock();
            if deadline.timer_seq.load(Relaxed) != seq {
                return;
            }
            deadline.timer.store(NEVER, Relaxed);
        }
        match deadline.at.load(Acquire) {
            0 => {}
            at if at <= now => self.stop_waiting(mode),
            _ => self.mind_deadline(mode),
        }
    }

    /// Sets or takes away the deadline: this long from now. Who waits is held to the new one. Go's
    /// `pollSetDeadline`.
    pub(crate) fn set_deadline(&'static self, mode: Mode, time: Option<Duration>) {
        let at = time.map_or(0, |time| {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            nanotime().saturating_add(ns).clamp(1, NEVER - 1)
        });
        let deadline = self.deadline(mode);
        deadline.at.store(at, Release);
        // See `stop_waiting`: either who waits sees the new deadline, or we see its timer.
        fence(SeqCst);
        let timer = {
            let _held = self.lock.lock();
            if at == 0 {
                deadline.forget_timer();
            }
            deadline.timer.load(Relaxed)
        };
        if at == 0 {
            one_reason_less();
        } else if at < timer {
            // It sleeps for too long, if it sleeps: it shall set an earlier timer.
            self.stop_waiting(mode);
        }
    }

    /// The descriptor is being closed: nobody waits for it any more. Go's `pollUnblock`.
    pub(crate) fn evict(&'static self) {
        self.closing.store(true, Release);
        self.stop_waiting(Mode::Read);
        self.stop_waiting(Mode::Write);
    }

    /// Whoever waits for this shall look again whether it should.
    fn stop_waiting(&'static self, mode: Mode) {
        // The caller has written down why. Either we see that the descriptor is known, or who
        // makes it known, and looks for a reason afterwards, sees the caller's.
        fence(SeqCst);
        if self.is_known() {
            self.wake_up(mode);
        }
    }

    fn wake_up(&'static self, mode: Mode) {
        if let Some(gp) = self.word(mode).stop_waiting() {
            // In this order: until it can run, it counts as waiting.
            // SAFETY: it stood in the word, where `commit` puts it, and the exchange that took
            // it out is ours.
            unsafe { goready(gp) };
            netpoll::one_less_waits();
            one_reason_less();
        }
    }
}

/// On `g0`, when the goroutine counts as waiting. Go's `netpollblockcommit`.
fn commit(gp: &'static G, word: *mut ()) -> bool {
    // SAFETY: `wait` passes a word of a description, which lives for ever.
    let word = unsafe { &*word.cast::<PollWord<G>>() };
    // Counted before it can be found.
    netpoll::one_more_waits();
    let sleeps = word.commit(gp);
    if !sleeps {
        netpoll::one_less_waits();
    }
    sleeps
}

/// The error of a descriptor that was closed. Go's `ErrNetClosing`.
#[cold]
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "use of a closed descriptor")
}
