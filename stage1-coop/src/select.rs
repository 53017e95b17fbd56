//! Waiting for the first of several channels. Mirrors `selectgo` of `select.go`; the chapter
//! is *Blocking, and the one unsafe word*.
//!
//! All channels are locked, in the order of their addresses, so that two selects cannot
//! wait for each other. If a case can go it goes; which one is tried first is random, so
//! that none starves. Otherwise the goroutine stands in all queues at once, and whoever
//! comes first fires one case: a flag that can be taken once decides.

use crate::arch::{getg, getm};
use crate::chan::{Chan, Hchan, Outcome, SelectDone, Sudog};
use crate::park::{gopark, ready};
use crate::receiver::Receive;
use crate::runtime2::G;
use crate::steal::fastrand;
use crate::sync::need_goroutine;
use crate::trace::WaitReason;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::Ordering::*;

/// Cases that one `select!` may have.
pub const MAX_CASES: usize = 16;

/// One case, without its type: what [`selectgo`] works on.
pub struct Case<'a> {
    chan: &'a Hchan,
    elem: *mut u8,
    send: bool,
}

/// A case that receives, and the room for what it gets. Made by `select!`.
pub struct RecvCase<'a, T> {
    chan: &'a Chan<T>,
    slot: MaybeUninit<T>,
}

impl<'a, T: Send> RecvCase<'a, T> {
    /// A case that receives from `from`.
    pub fn new(from: &'a impl Receive<Item = T>) -> Self {
        RecvCase {
            chan: from.end(),
            slot: MaybeUninit::uninit(),
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        Case {
            chan: self.chan.hchan(),
            elem: self.slot.as_mut_ptr().cast(),
            send: false,
        }
    }
    /// What was received, when this case was chosen: `None` when the channel is closed.
    ///
    /// # Safety
    /// `selectgo` chose this case and returned `ok`; call it once.
    pub unsafe fn take(&mut self, ok: bool) -> Option<T> {
        // SAFETY: the slot was filled when `ok`, and is read once.
        ok.then(|| unsafe { self.slot.assume_init_read() })
    }
}

/// A case that sends, and the value. Made by `select!`.
pub struct SendCase<'a, T> {
    chan: &'a Chan<T>,
    value: ManuallyDrop<T>,
    sent: bool,
}

impl<'a, T: Send> SendCase<'a, T> {
    /// A case that sends `value` to `chan`.
    pub fn new(chan: &'a Chan<T>, value: T) -> Self {
        SendCase {
            chan,
            value: ManuallyDrop::new(value),
            sent: false,
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        Case {
            chan: self.chan.hchan(),
            elem: (&raw mut self.value).cast(),
            send: true,
        }
    }
    /// This case was chosen.
    ///
    /// # Safety
    /// `selectgo` chose this case and returned `ok`.
    ///
    /// # Panics
    /// Go's `send on closed channel`, when it was not sent.
    #[track_caller]
    pub unsafe fn sent(&mut self, ok: bool) {
        self.sent = ok;
        assert!(ok, "send on closed channel");
    }
}

impl<T> Drop for SendCase<'_, T> {
    fn drop(&mut self) {
        if !self.sent {
            // SAFETY: the value was not moved into the channel, and is dropped once.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}

/// Runs one of `cases`: returns its index, and whether a value was moved (false: the
/// channel is closed). `None` when none can go and `block` is false. Go's `selectgo`.
///
/// # Panics
/// Off a goroutine; with more than [`MAX_CASES`] cases.
#[inline(never)]
pub fn selectgo(cases: &mut [Case<'_>], block: bool) -> Option<(usize, bool)> {
    assert!(cases.len() <= MAX_CASES, "select: too many cases");
    need_goroutine("select");
    let n = cases.len();

    // The order in which to look: shuffled, as in Go, by the M's random numbers.
    let mut order = [0_usize; MAX_CASES];
    for i in 0..n {
        let j = fastrand(getm()) as usize % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    // The order in which to lock: by address, each channel once.
    let mut locked = [std::ptr::null::<Hchan>(); MAX_CASES + 1];
    for (slot, case) in locked.iter_mut().zip(cases.iter()) {
        *slot = case.chan;
    }
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

    for &chan in &locked[..locks] {
        // SAFETY: each is borrowed by a case.
        unsafe { (*chan).lock.raw_lock() };
    }
    for &i in &order[..n] {
        let case = &cases[i];
        // SAFETY: all locks are held; the case's element is of its channel's type.
        let (outcome, woken) = unsafe {
            if case.send {
                case.chan.send_locked(case.elem)
            } else {
                case.chan.recv_locked(case.elem)
            }
        };
        if outcome != Outcome::WouldBlock {
            unlock_all(&locked);
            if let Some(gp) = woken {
                ready(gp, true);
            }
            return Some((i, outcome == Outcome::Done));
        }
    }
    if !block {
        unlock_all(&locked);
        return None;
    }

    // Stand in all queues at once.
    let done = SelectDone::new(0);
    let mut sudogs = [const { MaybeUninit::<Sudog>::uninit() }; MAX_CASES];
    for (i, case) in cases.iter().enumerate() {
        let sg = sudogs[i].write(Sudog::new(case.elem));
        sg.case = i as u32;
        sg.select = &done;
        // SAFETY: the lock is held; the sudogs stay here until they are out of all queues.
        unsafe { case.chan.enqueue(sg, case.send) };
    }
    let gp = getg();
    gp.param.set(0);
    let reason = if n == 0 {
        WaitReason::SelectNoCases
    } else {
        WaitReason::Select
    };
    // SAFETY: on a goroutine; the list of locks is on this stack, which stays.
    unsafe { gopark(Some(selparkcommit), locked.as_mut_ptr().cast(), reason) };

    // Whoever woke us says through param which sudog it used. Out of the other queues now,
    // with all locks, as before.
    let fired = gp.param.get() as *const Sudog;
    for &chan in &locked[..locks] {
        // SAFETY: as above.
        unsafe { (*chan).lock.raw_lock() };
    }
    for (i, case) in cases.iter().enumerate() {
        // SAFETY: the lock is held, the sudog was enqueued there.
        unsafe { case.chan.dequeue(sudogs[i].as_mut_ptr(), case.send) };
    }
    unlock_all(&locked);
    // SAFETY: the waker pointed at one of our sudogs, which only we can reach now.
    let (case, ok) = unsafe { ((*fired).case as usize, (*fired).success) };
    debug_assert_eq!(done.load(Acquire), 1);
    Some((case, ok))
}

fn unlock_all(locked: &[*const Hchan; MAX_CASES + 1]) {
    for &chan in locked.iter().take_while(|c| !c.is_null()) {
        // SAFETY: the list holds channels that are borrowed and locked by the caller.
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

/// Waits for the first of several channels. Go's `select`.
///
/// ```no_run
/// # use stage1_coop::{Chan, select};
/// # fn f(numbers: Chan<u32>, words: Chan<&'static str>, out: Chan<u32>) {
/// select! {
///     recv(numbers) -> n => println!("{n:?}"),     // Option<u32>: None when it is closed
///     recv(words) -> w => println!("{w:?}"),
///     send(out, 7) => println!("sent"),
///     default => println!("nothing could go"),     // without it, the goroutine parks
/// }
/// # }
/// ```
#[macro_export]
macro_rules! select {
    // The arms are taken one by one: each gets the next number of the pool as its place in
    // a tuple of typed cases.
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) recv($c:expr) -> $p:pat => $body:expr, $($rest:tt)*) => {
        $crate::select!(@arms ($($done)* {$n recv ($c) ($p) ($body)}) ($($pool)*) $($rest)*)
    };
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) send($c:expr, $v:expr) => $body:expr, $($rest:tt)*) => {
        $crate::select!(@arms ($($done)* {$n send ($c, $v) () ($body)}) ($($pool)*) $($rest)*)
    };
    // As in `match`, a block needs no comma, nor does the last arm.
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) recv($c:expr) -> $p:pat => $body:block $($rest:tt)*) => {
        $crate::select!(@arms ($($done)* {$n recv ($c) ($p) ($body)}) ($($pool)*) $($rest)*)
    };
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) send($c:expr, $v:expr) => $body:block $($rest:tt)*) => {
        $crate::select!(@arms ($($done)* {$n send ($c, $v) () ($body)}) ($($pool)*) $($rest)*)
    };
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) recv($c:expr) -> $p:pat => $body:expr) => {
        $crate::select!(@arms ($($done)* {$n recv ($c) ($p) ($body)}) ($($pool)*))
    };
    (@arms ($($done:tt)*) ($n:tt $($pool:tt)*) send($c:expr, $v:expr) => $body:expr) => {
        $crate::select!(@arms ($($done)* {$n send ($c, $v) () ($body)}) ($($pool)*))
    };
    (@arms ($($done:tt)*) ($($pool:tt)*) default => $body:expr $(,)?) => {
        $crate::select!(@go ($($done)*) (false) ($body))
    };
    (@arms ($($done:tt)*) ($($pool:tt)*)) => {
        $crate::select!(@go ($($done)*) (true) (::core::unreachable!("a select without default has a case")))
    };
    (@case recv ($c:expr)) => { $crate::rt::RecvCase::new(&$c) };
    (@case send ($c:expr, $v:expr)) => { $crate::rt::SendCase::new(&$c, $v) };
    (@run $case:expr, $ok:expr, recv ($p:pat) ($body:expr)) => {{
        // SAFETY: selectgo chose this case.
        let $p = unsafe { $case.take($ok) };
        $body
    }};
    (@run $case:expr, $ok:expr, send () ($body:expr)) => {{
        // SAFETY: selectgo chose this case.
        unsafe { $case.sent($ok) };
        $body
    }};
    (@go ($({$n:tt $kind:ident ($($args:tt)*) ($($p:tt)*) ($body:expr)})*) ($block:expr) ($default:expr)) => {{
        #[allow(unused_mut, unused_variables)]
        let mut cases = ($($crate::select!(@case $kind ($($args)*)),)*);
        match $crate::rt::selectgo(&mut [$(cases.$n.case()),*], $block) {
            $(::core::option::Option::Some(($n, ok)) => $crate::select!(@run cases.$n, ok, $kind ($($p)*) ($body)),)*
            _ => $default,
        }
    }};
    ($($arms:tt)*) => {
        $crate::select!(@arms () (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) $($arms)*)
    };
}
