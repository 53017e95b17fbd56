//! What wakes the sleeper out of `epoll`: an eventfd that is on the kernel's list like any
//! descriptor. Mirrors `netpollBreak` of `netpoll_epoll.go`, and `wakeNetPoller` of `proc.go`.
//!
//! Tests: `netpoll::runs::the_end_of_a_run_wakes_the_poller`.

use crate::asleep::sleeper::SLEEPER;
use std::io;
use std::sync::atomic::{
    AtomicBool, AtomicI32,
    Ordering::{AcqRel, Acquire, Release},
};

/// Made once in the life of the process.
static EVENTFD: AtomicI32 = AtomicI32::new(-1);
/// A wake-up is on its way, or has come and was not drained. Go's `netpollWakeSig`.
static BROKEN: AtomicBool = AtomicBool::new(false);

/// Makes the eventfd, for the kernel's list. Negative if that fails.
pub(crate) fn make() -> i32 {
    // SAFETY: plain numbers; the call makes a descriptor.
    let eventfd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    EVENTFD.store(eventfd, Release);
    eventfd
}

/// Wakes the M that sleeps in the poller; if none does, the next one will not sleep. Go's
/// `netpollBreak`.
pub fn netpoll_break() {
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

/// Wakes the M that sleeps in the poller, if it would sleep beyond `when`. Go's
/// `wakeNetPoller`.
pub fn wake_net_poller(when: u64) {
    if SLEEPER.oversleeps(when) {
        netpoll_break();
    }
}

/// Takes the wake-up away.
pub(crate) fn drain() {
    let mut count = 0_u64;
    // SAFETY: eight bytes of our own. Nothing to read is fine.
    unsafe { libc::read(EVENTFD.load(Acquire), (&raw mut count).cast(), 8) };
    BROKEN.store(false, Release);
}
