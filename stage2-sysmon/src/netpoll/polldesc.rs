//! What the poller knows of one descriptor: which goroutines wait for it, until when, and
//! whether it is being closed. Mirrors `pollDesc`, `pollWait`, `pollUnblock` and
//! `pollSetDeadline` of `netpoll.go`.
//!
//! Descriptions are never freed, because the kernel may be telling an M about one at any
//! moment. They are used again; a sequence number in what the kernel is given tells whether an
//! event is about the descriptor that has the description now.
//!
//! Tests: `netpoll::closing::closing_races_with_reading`,
//! `netpoll::runs::a_descriptor_may_outlive_its_run`; loom: `tests/loom/src/netpoll.rs`.

use crate::asleep::sleeper::SLEEPER;
use crate::netpoll::deadline::{Deadline, Mode};
use crate::netpoll::epoll;
use crate::netpoll::pollword::PollWord;
use crate::table::reasons::IO_WAIT;
use crate::timers::{Alarm, NEVER, announce, one_reason_less};
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::os::{Lock, nanotime};
use stage1_coop::rt::sched::{gopark, goready};
use stage1_coop::rt::word::{Link, Word};
use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};
use std::time::Duration;

/// What the poller knows of one descriptor. Go's `pollDesc`.
#[repr(align(64))]
pub struct PollDesc {
    words: [PollWord<G>; 2],
    /// The descriptor. Written before the first goroutine can use it.
    fd: AtomicI32,
    /// No goroutine may wait here any more. *any thread*, see [`PollWord::stop_waiting`].
    closing: AtomicBool,
    /// How often the description was used before: 16 bits of it.
    seq: AtomicU32,
    /// The run in which the kernel was told of it. Written under the lock.
    known_in: AtomicU32,
    deadlines: [Deadline<PollDesc>; 2],
    lock: Lock,
    /// The next free one.
    link: Link<PollDesc>,
}

/// Descriptions that are not in use.
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
            deadlines: [Deadline::new(Mode::Read), Deadline::new(Mode::Write)],
            lock: Lock::new(),
            link: Link::none(),
        }
    }

    /// A description for `fd`. Go's `pollCache.alloc` and half of `pollOpen`: the kernel is
    /// told when a goroutine has to wait, which may never be.
    pub(crate) fn open(fd: i32) -> &'static PollDesc {
        let pd = {
            let _held = CACHE_LOCK.lock();
            // SAFETY: the lock is held.
            let free = unsafe { &mut *CACHE.0.get() };
            let pd = free.unwrap_or_else(PollDesc::block);
            *free = pd.link.get();
            pd
        };
        pd.link.set(None);
        pd.fd.store(fd, Relaxed);
        pd.known_in.store(0, Relaxed);
        for mode in [Mode::Read, Mode::Write] {
            pd.word(mode).reset();
            pd.deadline(mode).set(0);
        }
        pd.closing.store(false, Release);
        pd
    }

    /// The first of some new ones, which are linked.
    fn block() -> &'static PollDesc {
        let block: Vec<PollDesc> = (0..BLOCK).map(|_| PollDesc::new()).collect();
        let block: &'static [PollDesc] = Vec::leak(block);
        for pd in block {
            pd.deadlines.iter().for_each(|d| d.owner.set(Some(pd)));
        }
        for pair in block.windows(2) {
            pair[0].link.set(Some(&pair[1]));
        }
        &block[0]
    }

    /// The descriptor has no users any more; it is about to be closed. Go's `pollClose`.
    pub(crate) fn free(&'static self) {
        if self.known_in.load(Relaxed) != 0 {
            epoll::close(self.fd.load(Relaxed));
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
        (pd.data() == data && pd.known_in.load(Acquire) == epoll::run()).then_some(pd)
    }

    pub(crate) fn word(&self, mode: Mode) -> &PollWord<G> {
        &self.words[mode as usize]
    }

    fn deadline(&self, mode: Mode) -> &Deadline<PollDesc> {
        &self.deadlines[mode as usize]
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
        if self.deadline(mode).is_over() {
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
            // Once more, now that a goroutine that closes or moves the deadline sees us; and so
            // does one of the other mode that could not make the descriptor known.
            if self.check(mode).is_ok() && self.is_known() {
                self.mind_deadline(mode);
                let lock = std::ptr::from_ref(word).cast_mut().cast();
                // SAFETY: on a goroutine (`io/fd.rs` asks); the word lives for ever, and the thread that
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
        self.known_in.load(Acquire) == epoll::run()
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
            // Before the kernel knows: it may tell an M at once.
            self.known_in.store(epoll::run(), Release);
            let told = epoll::open(self.fd.load(Relaxed), self.data());
            if told.is_err() {
                self.known_in.store(0, Release);
            }
            told
        };
        if told.is_err() {
            // One of the other mode may have gone to sleep, because the descriptor counted as
            // known for a moment. It must try itself, and get its own error.
            for mode in [Mode::Read, Mode::Write] {
                self.wake_up(mode);
            }
        }
        told
    }

    /// The goroutine is about to sleep: a timer must wake it in time.
    fn mind_deadline(&'static self, mode: Mode) {
        let deadline = self.deadline(mode);
        if deadline.at() == 0 {
            return;
        }
        let set = {
            let _held = self.lock.lock();
            deadline.set_timer()
        };
        if let Some(at) = set {
            announce(at);
        }
    }

    /// Sets or takes away the deadline: this long from now. It holds for a goroutine that waits, too. Go's
    /// `pollSetDeadline`.
    pub(crate) fn set_deadline(&'static self, mode: Mode, time: Option<Duration>) {
        let at = time.map_or(0, |time| {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            nanotime().saturating_add(ns).clamp(1, NEVER - 1)
        });
        let deadline = self.deadline(mode);
        deadline.set(at);
        // See `stop_waiting`: either a goroutine that waits sees the new deadline, or we see its
        // timer.
        fence(SeqCst);
        let timer = {
            let _held = self.lock.lock();
            if at == 0 {
                deadline.forget_timer();
            }
            deadline.timer()
        };
        if at == 0 {
            one_reason_less();
        } else if at < timer {
            // It sleeps for too long, if it sleeps: it must set an earlier timer.
            self.stop_waiting(mode);
        }
    }

    /// The descriptor is being closed: no goroutine waits for it any more. Go's `pollUnblock`.
    pub(crate) fn evict(&'static self) {
        self.closing.store(true, Release);
        self.stop_waiting(Mode::Read);
        self.stop_waiting(Mode::Write);
    }

    /// A goroutine that waits for this must look again whether it should.
    fn stop_waiting(&'static self, mode: Mode) {
        // The caller has written down why. Either we see that the descriptor is known, or the
        // goroutine that makes it known, and looks for a reason afterwards, sees the caller's.
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
            SLEEPER.wait_no_more(1);
            one_reason_less();
        }
    }
}

impl Alarm for Deadline<PollDesc> {
    fn place(&self) -> &Word {
        &self.place
    }

    /// Go's `netpolldeadlineimpl`.
    fn fire(&'static self, seq: u32, now: u64) {
        let Some(pd) = self.owner.get() else {
            return;
        };
        {
            let _held = pd.lock.lock();
            if !self.timer_has_fired(seq) {
                return;
            }
        }
        match self.at() {
            0 => {}
            at if at <= now => pd.stop_waiting(self.mode),
            _ => pd.mind_deadline(self.mode),
        }
    }
}

/// On `g0`, when the goroutine counts as waiting. Go's `netpollblockcommit`.
fn commit(gp: &'static G, word: *mut ()) -> bool {
    // SAFETY: `wait` passes a word of a description, which lives for ever.
    let word = unsafe { &*word.cast::<PollWord<G>>() };
    // Counted before it can be found.
    SLEEPER.one_more_waits();
    let sleeps = word.commit(gp);
    if !sleeps {
        SLEEPER.wait_no_more(1);
    }
    sleeps
}

/// The error of a descriptor that was closed. Go's `ErrNetClosing`.
#[cold]
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "use of a closed descriptor")
}
