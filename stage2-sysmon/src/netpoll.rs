//! The network poller: goroutines that wait for a descriptor are written down in the kernel,
//! and one call asks it for all of them. So a thousand that wait cost no thread. Mirrors
//! `netpoll_epoll.go`, and what `proc.go` does with it.
//!
//! Nobody's job is to poll. Three do it beside what they do anyway:
//!
//! * an M that looks for work asks, without waiting (the row [`poll`]);
//! * the last M that found none waits here, for descriptors and for the next timer
//!   (`poller.rs`);
//! * sysmon asks when nobody has for 10 ms, because all are busy ([`poll_for_sysmon`]).
//!
//! The kernel is asked in the edge-triggered form: it tells each change once, and it never
//! needs to be told that somebody waits, or does not any more. Therefore a goroutine tries
//! first, and waits only after the kernel has said "not now"; and therefore what is told while
//! nobody waits is kept, in the descriptor's [`PollWord`](crate::pollword::PollWord).

use crate::checkdead::incidlelocked;
use crate::handoff::injectglist;
use crate::kinds::net_poll;
use crate::polldesc::{Mode, PollDesc};
use stage1_coop::rt::gmp::{G, GRUNNABLE, GWAITING, P, casgstatus};
use stage1_coop::rt::last_words::throw_args;
use stage1_coop::rt::os::{READ, wait_fd};
use stage1_coop::rt::trace::go_unblock;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};

/// Events of one call. More wait for the next one.
const BATCH: usize = 128;
type Events = [MaybeUninit<libc::epoll_event>; BATCH];
/// Nanoseconds after which sysmon polls, when nobody else has.
const SYSMON_POLLS_AFTER: u64 = 10_000_000;

/// The kernel's list, and the descriptor that wakes who sleeps in it. Made once in the life of
/// the process.
static EPFD: AtomicI32 = AtomicI32::new(-1);
static EVENTFD: AtomicI32 = AtomicI32::new(-1);
/// The number of the run, and one more when it is over: what the list knows from an earlier
/// run concerns nobody.
static RUN: AtomicU32 = AtomicU32::new(0);
/// Goroutines that wait. Go's `netpollWaiters`.
static WAITERS: AtomicU32 = AtomicU32::new(0);
/// When somebody polled last; 0 while an M sleeps in the poller. Go's `sched.lastpoll`.
pub(crate) static LASTPOLL: AtomicU64 = AtomicU64::new(0);
/// A wake-up is on its way, or has come and nobody has taken it. Go's `netpollWakeSig`.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// A new run begins. Go's `netpollinit`.
pub(crate) fn init() {
    if EPFD.load(Relaxed) == -1 {
        // SAFETY: plain numbers; both calls make descriptors.
        let (epfd, eventfd) = unsafe {
            (
                libc::epoll_create1(libc::EPOLL_CLOEXEC),
                libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK),
            )
        };
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: 0,
        };
        // SAFETY: the event is ours for the call.
        let added = epfd >= 0
            && eventfd >= 0
            && unsafe { libc::epoll_ctl(epfd, libc::EPOLL_CTL_ADD, eventfd, &mut event) } == 0;
        if !added {
            let error = io::Error::last_os_error();
            throw_args(format_args!("runtime: netpollinit failed: {error}"));
        }
        EPFD.store(epfd, Release);
        EVENTFD.store(eventfd, Release);
    }
    drain();
    RUN.fetch_add(1, SeqCst);
    WAITERS.store(0, SeqCst);
    // Long ago.
    LASTPOLL.store(1, SeqCst);
}

/// The number of this run; 0 before the first.
pub(crate) fn run() -> u32 {
    RUN.load(Relaxed)
}

/// Whether goroutines wait for descriptors.
pub(crate) fn any_waiters() -> bool {
    WAITERS.load(Relaxed) != 0
}

/// Counts a goroutine that waits, before anybody can find it.
pub(crate) fn one_more_waits() {
    WAITERS.fetch_add(1, SeqCst);
}

/// Counts one that does not wait any more.
pub(crate) fn one_less_waits() {
    WAITERS.fetch_sub(1, SeqCst);
}

/// Puts a descriptor on the kernel's list, or, if it stands there, makes the kernel tell again
/// what it is ready for. Go's `netpollopen`.
///
/// # Errors
/// The kernel's.
pub(crate) fn open(fd: i32, data: u64) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
        u64: data,
    };
    for op in [libc::EPOLL_CTL_ADD, libc::EPOLL_CTL_MOD] {
        // SAFETY: the event is ours for the call.
        if unsafe { libc::epoll_ctl(EPFD.load(Acquire), op, fd, &mut event) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EEXIST) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EEXIST))
}

/// Takes a descriptor off the list. Go's `netpollclose`.
pub(crate) fn close(fd: i32) {
    let mut unused = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: the event is ours for the call, and not read.
    unsafe { libc::epoll_ctl(EPFD.load(Acquire), libc::EPOLL_CTL_DEL, fd, &mut unused) };
}

/// Goroutines that can go on: two at most for each event. Nobody has made them runnable yet,
/// and until somebody has, they count as waiting: otherwise the last M, which sees neither a
/// goroutine that can run nor one that waits, would say that everybody is asleep.
pub(crate) struct Found {
    list: [MaybeUninit<&'static G>; 2 * BATCH],
    n: usize,
}

impl Found {
    fn push(&mut self, gp: Option<&'static G>) {
        if let Some(gp) = gp {
            self.list[self.n].write(gp);
            self.n += 1;
        }
    }

    fn all(&self) -> &[&'static G] {
        // SAFETY: `push` has written the first `n` of them.
        unsafe { std::slice::from_raw_parts(self.list.as_ptr().cast(), self.n) }
    }

    /// Makes all of them runnable.
    pub(crate) fn inject(&self) {
        // SAFETY: the poller found each in its word, by the exchange that makes it ours.
        unsafe { injectglist(self.all()) };
        WAITERS.fetch_sub(self.n as u32, SeqCst);
    }

    /// The first one, runnable, for the caller; the rest goes into the queues. The caller has
    /// a P.
    pub(crate) fn first_and_inject(&self) -> Option<&'static G> {
        let (gp, rest) = self.all().split_first()?;
        go_unblock_first(gp, rest);
        WAITERS.fetch_sub(self.n as u32, SeqCst);
        Some(gp)
    }
}

/// Makes them runnable: `rest` in the queues, and `gp` for the caller.
fn go_unblock_first(gp: &'static G, rest: &[&'static G]) {
    // SAFETY: the poller found each in its word, by the exchange that makes it ours.
    unsafe {
        injectglist(rest);
        go_unblock(gp);
        casgstatus::<GWAITING, GRUNNABLE>(gp);
    }
}

// ANCHOR: netpoll
/// Asks the kernel who can go on; waits for it at most `wait` nanoseconds, `None` for ever.
/// `by` is for the trace: who asks. Go's `netpoll`.
pub(crate) fn netpoll(wait: Option<u64>, by: &'static str) -> Found {
    let mut found = Found {
        list: [const { MaybeUninit::uninit() }; 2 * BATCH],
        n: 0,
    };
    let mut events: Events = [const { MaybeUninit::uninit() }; BATCH];
    let n = epoll_wait(&mut events, wait);
    for event in &events[..n] {
        // SAFETY: the kernel has written `n` of them.
        let event = unsafe { event.assume_init_read() };
        let (what, data) = (event.events, event.u64);
        if data == 0 {
            // The wake-up. Who only looks in leaves it to the one who sleeps.
            if wait != Some(0) {
                drain();
            }
            continue;
        }
        let Some(pd) = PollDesc::of(data) else {
            continue;
        };
        if what & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0 {
            found.push(pd.word(Mode::Read).unblock(true));
        }
        if what & (libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0 {
            found.push(pd.word(Mode::Write).unblock(true));
        }
    }
    net_poll(by, found.n);
    found
}
// ANCHOR_END: netpoll

/// The system call. A signal ends it if it waits for a time, so that the caller reckons again
/// how long to wait.
fn epoll_wait(events: &mut Events, wait: Option<u64>) -> usize {
    let epfd = EPFD.load(Acquire);
    if wait != Some(0) && !wait_fd(epfd, READ, wait) {
        return 0;
    }
    loop {
        let n = epoll_pwait2(epfd, events, wait);
        if n >= 0 {
            return n as usize;
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            throw_args(format_args!("runtime: netpoll failed: {error}"));
        }
        if wait.is_some() {
            return 0;
        }
    }
}

/// `epoll_pwait2` takes nanoseconds. Linux has it since 5.11; before that there are
/// milliseconds, and we wait one rather than none.
fn epoll_pwait2(epfd: i32, events: &mut Events, wait: Option<u64>) -> i32 {
    static MILLISECONDS: AtomicBool = AtomicBool::new(false);
    let pointer = events.as_mut_ptr().cast();
    if wait == Some(0) || MILLISECONDS.load(Relaxed) {
        let ms = wait.map_or(-1, |ns| {
            i32::try_from(ns.div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: the events are ours for the call, as many as we say.
        return unsafe { libc::epoll_wait(epfd, pointer, BATCH as i32, ms) };
    }
    let time = wait.map(|ns| libc::timespec {
        tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (ns % 1_000_000_000) as i64,
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let no_mask = std::ptr::null::<u64>();
    // SAFETY: as above; the time lives for the call, and no mask is passed.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epfd,
            pointer,
            BATCH,
            time,
            no_mask,
            8,
        )
    } as i32;
    if n < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        MILLISECONDS.store(true, Relaxed);
        return epoll_pwait2(epfd, events, wait);
    }
    n
}

/// Wakes the M that sleeps in the poller; if none does, the next one will not sleep. Go's
/// `netpollBreak`.
pub fn net_poll_break() {
    let eventfd = EVENTFD.load(Acquire);
    if eventfd == -1 || BROKEN.swap(true, AcqRel) {
        return;
    }
    let one = 1_u64;
    // SAFETY: eight bytes of our own. It can only fail for a signal (then it is repeated) or a
    // full counter (then the descriptor is readable anyway).
    while unsafe { libc::write(eventfd, (&raw const one).cast(), 8) } < 0
        && io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
    {}
}

/// The row `poll_break` of this stage: the run is over. Goroutines that wait will not be woken
/// any more, by nobody; who sleeps in the poller is.
pub fn poll_break() {
    RUN.fetch_add(1, SeqCst);
    net_poll_break();
}

/// Takes the wake-up away.
fn drain() {
    let mut count = 0_u64;
    // SAFETY: eight bytes of our own. Nothing to read is fine.
    unsafe { libc::read(EVENTFD.load(Acquire), (&raw mut count).cast(), 8) };
    BROKEN.store(false, Release);
}

/// Whether an M sleeps in the poller.
pub(crate) fn polling() -> bool {
    LASTPOLL.load(SeqCst) == 0
}

/// The row `poll` of this stage: an M looks for work, and both queues are empty.
pub fn poll(_pp: &'static P) -> Option<&'static G> {
    if !any_waiters() || polling() {
        return None;
    }
    netpoll(Some(0), "findrunnable").first_and_inject()
}

/// Sysmon looks in if nobody has for 10 ms: then all Ps are busy with goroutines that do not
/// come to an end.
pub(crate) fn poll_for_sysmon(now: u64) {
    let last = LASTPOLL.load(Relaxed);
    if last == 0 || last + SYSMON_POLLS_AFTER >= now || !any_waiters() {
        return;
    }
    if LASTPOLL
        .compare_exchange(last, now, SeqCst, Relaxed)
        .is_err()
    {
        return;
    }
    let found = netpoll(Some(0), "sysmon");
    if found.n != 0 {
        // As in `retake`: sysmon counts as nobody, so count one sleeper less until the
        // goroutines stand in a queue.
        incidlelocked(-1);
        found.inject();
        incidlelocked(1);
    }
}
