//! The network poller: goroutines that wait for a descriptor are on a list in the kernel, and
//! one call asks it for all of them. So a thousand that wait cost no thread. Mirrors `netpoll`
//! of `netpoll_epoll.go`, and what `proc.go` does with it.
//!
//! No thread is there only to poll. Three Ms do it beside what they do anyway:
//!
//! * an M that looks for work asks, without waiting (the row [`poll`]);
//! * the last M that found none waits here, for descriptors and for the next timer
//!   (`last_m.rs`);
//! * sysmon asks when no M has for 10 ms, because all are busy ([`poll_for_sysmon`]).
//!
//! The kernel tells each change once (`epoll.rs`). Therefore a goroutine tries first, and waits
//! only after the kernel has said "not now"; and therefore an event that comes while no
//! goroutine waits is kept, in the descriptor's [`PollWord`](crate::netpoll::pollword::PollWord).
//!
//! Tests: `netpoll::waiting::a_thousand_that_wait_cost_no_threads`,
//! `netpoll::waiting::sysmon_polls_when_all_are_busy`; loom: `tests/loom/src/netpoll.rs`,
//! `tests/loom/src/poller.rs`.

pub(crate) mod deadline;
pub(crate) mod epoll;
pub(crate) mod last_m;
pub(crate) mod polldesc;
pub(crate) mod pollword;

use crate::asleep::eventfd;
use crate::asleep::sleeper::SLEEPER;
use crate::checkdead::incidlelocked;
use crate::netpoll::deadline::Mode;
use crate::netpoll::epoll::{BATCH, EVENTFD, Events, epoll_wait};
use crate::netpoll::polldesc::PollDesc;
use crate::syscall::handoff::injectglist;
use crate::table::events;
use stage1_coop::rt::gmp::{G, GRUNNABLE, GWAITING, P, casgstatus};
use stage1_coop::rt::trace;
use std::mem::MaybeUninit;

/// Goroutines that can go on: two at most for each event. They are not runnable yet, and until
/// they are, they count as waiting: otherwise the last M, which sees neither a goroutine that
/// can run nor one that waits, would report a deadlock.
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
        SLEEPER.wait_no_more(self.n);
    }

    /// The first one, runnable, for the caller; the rest goes into the queues. The caller has
    /// a P.
    pub(crate) fn first_and_inject(&self) -> Option<&'static G> {
        let (gp, rest) = self.all().split_first()?;
        go_unblock_first(gp, rest);
        SLEEPER.wait_no_more(self.n);
        Some(gp)
    }
}

/// Makes them runnable: `rest` in the queues, and `gp` for the caller.
fn go_unblock_first(gp: &'static G, rest: &[&'static G]) {
    // SAFETY: the poller found each in its word, by the exchange that makes it ours.
    unsafe {
        injectglist(rest);
        trace::go_unblock(gp);
        casgstatus::<GWAITING, GRUNNABLE>(gp);
    }
}

// ANCHOR: netpoll
/// Asks the kernel which goroutines can go on; waits for it at most `wait` nanoseconds, `None`
/// for ever. `by` is for the trace: what asks. Go's `netpoll`.
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
        if data == EVENTFD {
            // An M that polls without waiting must not drain the eventfd: the wake-up is meant
            // for the M that sleeps in epoll.
            if wait != Some(0) {
                eventfd::drain();
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
    events::net_poll(by, found.n);
    found
}
// ANCHOR_END: netpoll

/// The row `poll` of this stage: an M looks for work, and both queues are empty.
pub fn poll(_pp: &'static P) -> Option<&'static G> {
    if !SLEEPER.any_waiters() || SLEEPER.polling() {
        return None;
    }
    netpoll(Some(0), "findrunnable").first_and_inject()
}

/// Sysmon polls if no M has for 10 ms: then all Ps are busy with goroutines that come to no
/// end.
pub(crate) fn poll_for_sysmon(now: u64) {
    if !SLEEPER.poll_is_overdue(now) {
        return;
    }
    let found = netpoll(Some(0), "sysmon");
    if found.n != 0 {
        // As in `retake`: `checkdead` does not count sysmon among the Ms, so let it count one
        // sleeping M less until the goroutines are in a queue.
        incidlelocked(-1);
        found.inject();
        incidlelocked(1);
    }
}
