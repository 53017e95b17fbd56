//! Waiting for file descriptors. A thread that blocked in a system call would keep the
//! baton, and no other could ever do what it waits for; so before such a call it waits here,
//! asleep like any other actor, until the descriptor is ready.
//!
//! Pipes and sockets between goroutines of one process become ready because an actor that
//! holds the baton writes to them. So to ask the kernel whenever the baton is about to move
//! (one `poll` for all that wait, in the order of their registration) gives the same answer
//! in every run. When no actor can go on, what is awaited comes from outside the process: then
//! we really wait, and the trace is marked, because the outside has another clock.
//!
//! Tests: `netpoll::outside`.

use crate::baton::{self, ACTORS, Actor, MAX_ACTORS, Portable};
use crate::{WAKE_NS, sys, trap};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};

/// The descriptor can be read, or a connection taken from it.
pub const READ: i16 = libc::POLLIN;
/// The descriptor can be written.
pub const WRITE: i16 = libc::POLLOUT;

/// Milliseconds of one real wait, and how many in a row may bring nothing: 10 s.
const SLICE_MS: i32 = 100;
const SLICES: u32 = 100;
/// A jump of the clock that is at least this long, in virtual nanoseconds, means that no actor
/// inside has anything to do.
const LONG_JUMP_NS: u64 = 1_000_000_000;

/// How many wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Real waits without a result since anything happened.
static IN_VAIN: AtomicU32 = AtomicU32::new(0);

struct Table(UnsafeCell<[libc::pollfd; MAX_ACTORS]>);
// SAFETY: touched by the holder of the baton only.
unsafe impl Sync for Table {}

const NONE: libc::pollfd = libc::pollfd {
    fd: -1,
    events: 0,
    revents: 0,
};
/// What `poll` is asked. Not on the stack: we may be in a signal handler.
static TABLE: Table = Table(UnsafeCell::new([NONE; MAX_ACTORS]));

/// A new run begins.
pub(crate) fn begin() {
    WAITING.store(0, Relaxed);
    IN_VAIN.store(0, Relaxed);
}

/// Something that a trace shows has happened.
#[inline]
pub(crate) fn something_happened() {
    if IN_VAIN.load(Relaxed) != 0 {
        IN_VAIN.store(0, Relaxed);
    }
}

/// Waits until `fd` is ready for what is wanted, or in error, or until `ns` virtual
/// nanoseconds have passed. Returns whether it is ready; it still is when the caller goes on.
pub fn wait_fd(fd: i32, wanted: i16, ns: Option<u64>) -> bool {
    let me = baton::holder();
    let a = &ACTORS[me];
    let deadline = ns.map(|ns| baton::now().saturating_add(ns));
    loop {
        let mut one = [libc::pollfd {
            fd,
            events: wanted,
            revents: 0,
        }];
        // Also when we were told so: another one may have been faster since.
        if sys::poll(&mut one, 0) {
            return true;
        }
        if deadline.is_some_and(|d| d <= baton::now()) {
            return false;
        }
        a.fd.store(fd, Relaxed);
        a.wanted.store(i32::from(wanted), Relaxed);
        WAITING.fetch_add(1, Relaxed);
        match deadline {
            Some(deadline) => {
                baton::block_until(deadline);
            }
            None => {
                a.slept_at.store(a.clock.load(Relaxed), Relaxed);
                baton::block();
            }
        }
        if a.fd.swap(-1, Relaxed) != -1 {
            // Its time is over, and it was not taken off.
            WAITING.fetch_sub(1, Relaxed);
        }
    }
}

/// Asks for all that wait, and makes those ready whose descriptor is; it is `now` for the
/// holder of the baton.
#[inline]
pub(crate) fn look(now: u64) {
    if WAITING.load(Relaxed) != 0 {
        ask(now, 0);
    }
}

/// One `poll` for all. Returns whether an actor was made ready.
fn ask(now: u64, ms: i32) -> bool {
    // SAFETY: the caller holds the baton, and nothing that is called here comes back here.
    let table = unsafe { &mut *TABLE.0.get() };
    let waiters = || ACTORS.iter().filter(|a| a.fd.load(Relaxed) != -1);
    let mut n = 0;
    for (a, entry) in waiters().zip(table.iter_mut()) {
        *entry = libc::pollfd {
            fd: a.fd.load(Relaxed),
            events: a.wanted.load(Relaxed) as i16,
            revents: 0,
        };
        n += 1;
    }
    if !sys::poll(&mut table[..n], ms) {
        return false;
    }
    for (a, entry) in waiters().zip(table[..n].iter()) {
        // Taking one off must not move the others' places: see `ready`.
        // Marked now and taken off below: taking one off moves the places of the others.
        if entry.revents != 0 {
            a.wanted.store(0, Relaxed);
        }
    }
    for a in waiters().filter(|a| a.wanted.load(Relaxed) == 0) {
        descriptor_came(a, now);
    }
    true
}

fn descriptor_came(a: &Actor, now: u64) {
    a.fd.store(-1, Relaxed);
    WAITING.fetch_sub(1, Relaxed);
    baton::make_ready(a, baton::later(now, WAKE_NS));
    if let Some(me) = trap::me() {
        ACTORS[me].horizon.fetch_min(a.clock.load(Relaxed), Relaxed);
    }
}

/// It is `now`, and the next actor begins at `until`; `None`: there is none. Looks at the
/// descriptors once more before the clock jumps there, and really waits if no actor inside the
/// process could be meant by such a jump. Returns true if an actor was made ready by that,
/// and false if the clock may jump.
pub(crate) fn before_a_jump(now: u64, until: Option<u64>) -> bool {
    if WAITING.load(Relaxed) == 0 {
        return false;
    }
    let jump = until.map_or(u64::MAX, |until| until.saturating_sub(now));
    if jump < LONG_JUMP_NS {
        // What came at this very moment was seen by `look`. Only where the outside has its
        // hands in, give it a moment of its own time.
        let outside = baton::portable() == Portable::Outside;
        return outside && jump > WAKE_NS && ask(now, 1);
    }
    loop {
        baton::not_stuck();
        if ask(now, SLICE_MS) {
            IN_VAIN.store(0, Relaxed);
            baton::not_portable(Portable::Outside);
            return true;
        }
        if IN_VAIN.fetch_add(1, Relaxed) + 1 >= SLICES {
            crate::die(
                &baton::config(),
                format_args!(
                    "nobody can go on but those who wait for a descriptor, and nothing has come from outside for {} s",
                    i64::from(SLICES) * i64::from(SLICE_MS) / 1_000
                ),
            );
        }
        if until.is_some() {
            return false;
        }
    }
}
