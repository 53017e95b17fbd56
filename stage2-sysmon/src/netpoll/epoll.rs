//! The kernel's list of descriptors that goroutines wait for: the system calls of `epoll`.
//! Mirrors `netpoll_epoll.go`.
//!
//! The list is asked in the edge-triggered form: the kernel tells each change once, and it
//! never needs to be told that a goroutine waits, or no longer does.
//!
//! Tests: `netpoll`.

use crate::asleep::eventfd;
use crate::asleep::sleeper::SLEEPER;
use stage1_coop::rt::last_words::throw_args;
use stage1_coop::rt::os::{READ, wait_fd};
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

/// Events of one call. More wait for the next one.
pub(crate) const BATCH: usize = 128;
pub(crate) type Events = [MaybeUninit<libc::epoll_event>; BATCH];

/// Made once in the life of the process.
static EPFD: AtomicI32 = AtomicI32::new(-1);
/// The number of the run, and one more when it is over: what the list knows from an earlier
/// run concerns no goroutine of this one.
static RUN: AtomicU32 = AtomicU32::new(0);

/// A new run begins. Go's `netpollinit`.
pub(crate) fn init() {
    if EPFD.load(Relaxed) == -1 {
        // SAFETY: a plain number; the call makes a descriptor.
        let epfd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        let eventfd = eventfd::make();
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: EVENTFD,
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
    }
    eventfd::drain();
    RUN.fetch_add(1, SeqCst);
    SLEEPER.reset();
}

/// What the kernel says of the eventfd; every other descriptor has the address of its
/// description.
pub(crate) const EVENTFD: u64 = 0;

/// The number of this run; 0 before the first.
pub(crate) fn run() -> u32 {
    RUN.load(Relaxed)
}

/// The row `poll_break` of this stage: the run is over. Goroutines that wait will never be woken
/// again; the M that sleeps in the poller is.
pub fn poll_break() {
    RUN.fetch_add(1, SeqCst);
    eventfd::netpoll_break();
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

/// Asks the list, and waits at most `wait` nanoseconds, `None` for ever. A signal ends it if it waits for a time, so that the caller reckons again
/// how long to wait.
pub(crate) fn epoll_wait(events: &mut Events, wait: Option<u64>) -> usize {
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
