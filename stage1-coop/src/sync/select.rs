//! Waiting for the first of several channels. Mirrors `selectgo` of `select.go`; the chapter
//! is *Blocking, and the one unsafe word*.
//!
//! All channels are locked, in the order of their addresses, so that two selects cannot
//! wait for each other. If a case can go it goes; which one is tried first is random, so
//! that none starves. Otherwise the goroutine is in all queues at once, and the partner that
//! comes first fires one case: a flag that can be taken once decides.
//!
//! Tests: `chan::select`.

use crate::arch::{getg, getm};
use crate::gmp::G;
use crate::prologue;
use crate::queues::steal::fastrand;
use crate::sched::park::{gopark, ready};
use crate::sync::hchan::{Hchan, Outcome};
use crate::sync::queue::need_goroutine;
use crate::sync::sudog::{SelectDone, Sudog};
use crate::trace::WaitReason;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::*;

/// Arms that one `select!` may have; a [`Select`](crate::Select) takes a list of any length.
pub const MAX_CASES: usize = 16;

/// One case, without its type: what [`selectgo`] works on.
pub struct Case<'a> {
    chan: &'a Hchan,
    elem: *mut u8,
    send: bool,
    on: bool,
}

impl<'a> Case<'a> {
    /// A case that receives into `slot`, which has room for a value of the channel's type.
    #[inline]
    pub(super) fn recv(chan: &'a Hchan, slot: *mut u8) -> Case<'a> {
        Case {
            chan,
            elem: slot,
            send: false,
            on: true,
        }
    }

    /// A case that sends the value of the channel's type at `value`; it is off if there is none.
    #[inline]
    pub(super) fn send(chan: &'a Hchan, value: Option<*mut u8>) -> Case<'a> {
        Case {
            chan,
            elem: value.unwrap_or(std::ptr::null_mut()),
            send: true,
            on: value.is_some(),
        }
    }

    /// Takes part only if `on`.
    pub fn on(self, on: bool) -> Self {
        Case { on, ..self }
    }
}

/// What [`selectgo`] chose: the case, and whether a value was moved.
pub(super) type Picked = Option<(usize, bool)>;

/// Runs one of `cases`: returns its index, and whether a value was moved (false: the
/// channel is closed). `None` when none can go and `block` is false. Go's `selectgo`.
///
/// # Panics
/// Off a goroutine; with more than [`MAX_CASES`] cases.
#[inline(never)]
pub fn selectgo(cases: &mut [Case<'_>], block: bool) -> Picked {
    prologue!();
    let n = cases.len();
    assert!(n <= MAX_CASES, "select: too many cases");
    let mut order = [0; MAX_CASES];
    let mut locked = [std::ptr::null(); MAX_CASES + 1];
    let mut sudogs = [const { MaybeUninit::uninit() }; MAX_CASES];
    select_in(
        cases,
        block,
        &mut order[..n],
        &mut locked[..=n],
        &mut sudogs[..n],
    )
}

/// As [`selectgo`], with as many cases as one likes.
#[inline(never)]
pub(super) fn selectgo_list(cases: &mut [Case<'_>], block: bool) -> Picked {
    prologue!();
    let n = cases.len();
    let mut sudogs: Vec<_> = (0..n).map(|_| MaybeUninit::uninit()).collect();
    let (mut order, mut locked) = (vec![0; n], vec![std::ptr::null(); n + 1]);
    select_in(cases, block, &mut order, &mut locked, &mut sudogs)
}

/// The body of the two above. The three lists are room: as many places as there are cases, and
/// one more for the end of `locked`. They stay where they are.
#[inline(always)]
fn select_in(
    cases: &mut [Case<'_>],
    block: bool,
    order: &mut [usize],
    locked: &mut [*const Hchan],
    sudogs: &mut [MaybeUninit<Sudog>],
) -> Picked {
    need_goroutine("select");
    let n = pollorder(cases, order);
    let order = &order[..n];
    let locks = lockorder(cases, order, locked);

    // Pass 1: can one go now?
    // SAFETY: each channel is borrowed by a case, and locked once.
    unsafe { lock_all(&locked[..locks]) };
    // SAFETY: all of them are locked.
    if let Some((i, ok, woken)) = unsafe { look(cases, order) } {
        // SAFETY: as above.
        unsafe { unlock_all(locked) };
        if let Some(gp) = woken {
            ready(gp, true);
        }
        return Some((i, ok));
    }
    if !block {
        // SAFETY: as above.
        unsafe { unlock_all(locked) };
        return None;
    }

    // Pass 2: stand in all queues at once, and sleep.
    let done = SelectDone::new(0);
    // SAFETY: all are locked; `done` and the sudogs stay here until they are out of all queues.
    unsafe { enqueue_all(cases, order, sudogs, &done) };
    let gp = getg();
    gp.param.set(0);
    let reason = if n == 0 {
        WaitReason::SelectNoCases
    } else {
        WaitReason::Select
    };
    // SAFETY: on a goroutine; the list of locks is on this stack, which stays.
    unsafe { gopark(Some(selparkcommit), locked.as_mut_ptr().cast(), reason) };

    // Pass 3: out of the other queues, with all locks, as before. The waker says through param
    // which sudog it used.
    let fired = gp.param.get() as *const Sudog;
    // SAFETY: as in pass 1; each sudog was enqueued in its case's channel.
    unsafe {
        lock_all(&locked[..locks]);
        for &i in order {
            cases[i].chan.dequeue(sudogs[i].as_mut_ptr(), cases[i].send);
        }
        unlock_all(locked);
    }
    // SAFETY: the waker pointed at one of our sudogs, which only we can reach now.
    let (case, ok) = unsafe { ((*fired).case as usize, (*fired).success) };
    debug_assert_eq!(done.load(Acquire), 1);
    Some((case, ok))
}

/// The order in which to look: shuffled, as in Go, by the M's random numbers. Cases that are off
/// do not take part; returns how many do.
#[inline(always)]
fn pollorder(cases: &[Case<'_>], order: &mut [usize]) -> usize {
    let mut n = 0;
    for i in (0..cases.len()).filter(|&i| cases[i].on) {
        let j = fastrand(getm()) as usize % (n + 1);
        order[n] = order[j];
        order[j] = i;
        n += 1;
    }
    n
}

/// The order in which to lock: by address, each channel once, and a null at the end. Returns how
/// many there are.
#[inline(always)]
fn lockorder(cases: &[Case<'_>], order: &[usize], locked: &mut [*const Hchan]) -> usize {
    for (slot, &i) in locked.iter_mut().zip(order) {
        *slot = cases[i].chan;
    }
    let n = order.len();
    locked[..n].sort_unstable();
    let mut locks = 0;
    for i in 0..n {
        if i == 0 || locked[i] != locked[locks - 1] {
            locked[locks] = locked[i];
            locks += 1;
        }
    }
    // The list that `unlock_all` walks ends with a null.
    locked[locks] = std::ptr::null();
    locks
}

/// The first case that can go has gone: its number, whether a value was moved, and the goroutine
/// to wake.
///
/// # Safety
/// The cases' channels are locked.
#[inline(always)]
unsafe fn look(cases: &[Case<'_>], order: &[usize]) -> Option<(usize, bool, Option<&'static G>)> {
    for &i in order {
        let case = &cases[i];
        // SAFETY: the caller's promise; the case's element is of its channel's type.
        let (outcome, woken) = unsafe {
            if case.send {
                case.chan.send_locked(case.elem)
            } else {
                case.chan.recv_locked(case.elem)
            }
        };
        if outcome != Outcome::WouldBlock {
            return Some((i, outcome == Outcome::Done, woken));
        }
    }
    None
}

/// Puts a sudog of each case into its channel's queue; all of them share `done`. In the random
/// order too: a partner at a channel that is in several cases takes the first in its queue.
///
/// # Safety
/// The cases' channels are locked, and the sudogs and `done` stay where they are until the sudogs
/// are out of all queues.
#[inline(always)]
unsafe fn enqueue_all(
    cases: &[Case<'_>],
    order: &[usize],
    sudogs: &mut [MaybeUninit<Sudog>],
    done: &SelectDone,
) {
    for &i in order {
        let case = &cases[i];
        let sg = sudogs[i].write(Sudog::new(case.elem));
        sg.case = i as u32;
        sg.select = done;
        // SAFETY: the caller's promise.
        unsafe { case.chan.enqueue(sg, case.send) };
    }
}

/// Locks these channels, in this order.
///
/// # Safety
/// Each is alive, and stands in the list once.
#[inline(always)]
unsafe fn lock_all(locked: &[*const Hchan]) {
    for &chan in locked {
        // SAFETY: the caller's promise.
        unsafe { (*chan).lock.raw_lock() };
    }
}

/// Unlocks the channels of a list that ends with a null.
///
/// # Safety
/// Each is alive, and locked by the caller.
unsafe fn unlock_all(locked: &[*const Hchan]) {
    for &chan in locked.iter().take_while(|c| !c.is_null()) {
        // SAFETY: the caller's promise.
        unsafe { (*chan).lock.raw_unlock() };
    }
}

/// On `g0`: the goroutine counts as waiting, so the locks can go. Go's `selparkcommit`.
///
/// The list lies on the goroutine's stack. Once the last lock is free it may be running
/// again, so each entry is read before its lock is given back, and the end is known then.
fn selparkcommit(_gp: &'static G, list: *mut ()) -> bool {
    let list = list.cast::<*const Hchan>();
    let mut at = 0;
    // SAFETY: `selectgo` passes its null-terminated list; entry `at` is read while its lock
    // is held, and the one after it is read before that lock goes.
    unsafe {
        let mut chan = *list;
        while !chan.is_null() {
            at += 1;
            let next = *list.add(at);
            (*chan).lock.raw_unlock();
            chan = next;
        }
    }
    true
}
