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
use crate::sync::chan::{Chan, Hchan, Outcome, SelectDone, Sudog};
use crate::sync::queue::need_goroutine;
use crate::sync::receiver::{Receive, Source};
use crate::trace::WaitReason;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::Ordering::*;

/// Arms that one `select!` may have; a [`Select`] takes a list of any length.
pub const MAX_CASES: usize = 16;

/// One case, without its type: what [`selectgo`] works on.
pub struct Case<'a> {
    chan: &'a Hchan,
    elem: *mut u8,
    send: bool,
    on: bool,
}

impl Case<'_> {
    /// Takes part only if `on`.
    pub fn on(self, on: bool) -> Self {
        Case { on, ..self }
    }
}

/// What [`selectgo`] chose: the case, and whether a value was moved.
type Picked = Option<(usize, bool)>;

/// A case that receives, and the room for what it gets. Made by `select!`.
pub struct RecvCase<'a, T> {
    chan: &'a Chan<T>,
    slot: MaybeUninit<T>,
}

impl<'a, T: Send> RecvCase<'a, T> {
    /// A case that receives from `from`.
    pub fn new(from: &'a impl Receive<Item = T>) -> Self {
        RecvCase {
            chan: from.end().0,
            slot: MaybeUninit::uninit(),
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        Case {
            chan: self.chan.hchan(),
            elem: self.slot.as_mut_ptr().cast(),
            send: false,
            on: true,
        }
    }
    /// What was received, if this case was chosen: `Some(None)` when the channel is closed.
    ///
    /// # Safety
    /// `picked` is what `selectgo` returned, and this the case with the number `n`; call it
    /// once.
    pub unsafe fn end(&mut self, picked: Picked, n: usize) -> Option<Option<T>> {
        let (_, ok) = picked.filter(|&(chosen, _)| chosen == n)?;
        // SAFETY: the slot was filled when `ok`, and is read once.
        Some(ok.then(|| unsafe { self.slot.assume_init_read() }))
    }
}

/// A case that sends, and the value. Made by `select!`.
pub struct SendCase<'a, T> {
    chan: &'a Chan<T>,
    /// Nothing when the case is off.
    value: Option<ManuallyDrop<T>>,
    sent: bool,
}

impl<'a, T: Send> SendCase<'a, T> {
    /// A case that sends `value` to `chan`.
    pub fn new(chan: &'a Chan<T>, value: T) -> Self {
        SendCase::of(chan, Some(value))
    }
    /// As [`new`](Self::new); without a value it is off.
    pub fn of(chan: &'a Chan<T>, value: Option<T>) -> Self {
        SendCase {
            chan,
            value: value.map(ManuallyDrop::new),
            sent: false,
        }
    }
    /// The case without its type.
    pub fn case(&mut self) -> Case<'_> {
        Case {
            chan: self.chan.hchan(),
            elem: match &mut self.value {
                Some(value) => std::ptr::from_mut(value).cast(),
                None => std::ptr::null_mut(),
            },
            send: true,
            on: self.value.is_some(),
        }
    }
    /// If this case was chosen, its value is the channel's now.
    ///
    /// # Safety
    /// As for [`RecvCase::end`].
    ///
    /// # Panics
    /// Go's `send on closed channel`, when it was chosen and not sent.
    #[track_caller]
    pub unsafe fn end(&mut self, picked: Picked, n: usize) {
        if let Some((chosen, ok)) = picked
            && chosen == n
        {
            self.sent = ok;
            assert!(ok, "send on closed channel");
        }
    }
}

impl<T> Drop for SendCase<'_, T> {
    fn drop(&mut self) {
        if !self.sent
            && let Some(value) = &mut self.value
        {
            // SAFETY: the value was not moved into the channel, and is dropped once.
            unsafe { ManuallyDrop::drop(value) };
        }
    }
}

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
fn selectgo_list(cases: &mut [Case<'_>], block: bool) -> Picked {
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
    // The order in which to look: shuffled, as in Go, by the M's random numbers. Cases that
    // are off do not take part.
    let mut n = 0;
    for i in (0..cases.len()).filter(|&i| cases[i].on) {
        let j = fastrand(getm()) as usize % (n + 1);
        order[n] = order[j];
        order[j] = i;
        n += 1;
    }
    // The order in which to lock: by address, each channel once.
    for (slot, &i) in locked.iter_mut().zip(&order[..n]) {
        *slot = cases[i].chan;
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
            unlock_all(locked);
            if let Some(gp) = woken {
                ready(gp, true);
            }
            return Some((i, outcome == Outcome::Done));
        }
    }
    if !block {
        unlock_all(locked);
        return None;
    }

    // Stand in all queues at once.
    let done = SelectDone::new(0);
    // In the random order too: a partner at a channel that is in several cases takes the
    // first in its queue.
    for &i in &order[..n] {
        let case = &cases[i];
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

    // The waker says through param which sudog it used. Out of the other queues now,
    // with all locks, as before.
    let fired = gp.param.get() as *const Sudog;
    for &chan in &locked[..locks] {
        // SAFETY: as above.
        unsafe { (*chan).lock.raw_lock() };
    }
    for &i in &order[..n] {
        // SAFETY: the lock is held, the sudog was enqueued there.
        unsafe { cases[i].chan.dequeue(sudogs[i].as_mut_ptr(), cases[i].send) };
    }
    unlock_all(locked);
    // SAFETY: the waker pointed at one of our sudogs, which only we can reach now.
    let (case, ok) = unsafe { ((*fired).case as usize, (*fired).success) };
    debug_assert_eq!(done.load(Acquire), 1);
    Some((case, ok))
}

fn unlock_all(locked: &[*const Hchan]) {
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

/// Waits for the first of a list of channels: `select!` for as many as the program has at the
/// moment. All of them have values of one type. Go's `reflect.Select`.
///
/// ```
/// # use stage1_coop::{Chan, Runtime, STAGE, Select, go};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).procs(1).run(|| {
/// let chans: Vec<Chan<u32>> = (0..20).map(|_| Chan::new(0)).collect();
/// let one = chans[7].clone();
/// go("one of them", move || one.send(42));
///
/// let mut list = Select::new();
/// for c in &chans {
///     list.recv(c);
/// }
/// assert_eq!(list.wait(), (7, Some(42)));
/// # }) }
/// ```
pub struct Select<'a, T> {
    arms: Vec<Arm<'a, T>>,
}

enum Arm<'a, T> {
    Recv(RecvCase<'a, T>, Option<&'a dyn Source>),
    Send(SendCase<'a, T>),
}

impl<'a, T: Send> Select<'a, T> {
    /// A list without a case.
    pub fn new() -> Self {
        Select { arms: Vec::new() }
    }

    /// Adds a case that receives from a channel or a [`Receiver`](crate::Receiver), and returns
    /// its number: they count from 0.
    pub fn recv(&mut self, from: &'a impl Receive<Item = T>) -> usize {
        self.arms
            .push(Arm::Recv(RecvCase::new(from), from.source()));
        self.arms.len() - 1
    }

    /// Adds a case that sends, and returns its number.
    pub fn send(&mut self, to: &'a Chan<T>, value: T) -> usize {
        self.arms.push(Arm::Send(SendCase::new(to, value)));
        self.arms.len() - 1
    }

    /// Parks the goroutine until one of the cases can go, and returns its number, with what it
    /// received. Values that were not sent are dropped. An empty list waits for ever.
    ///
    /// # Panics
    /// Go's `send on closed channel`; and off a goroutine.
    #[track_caller]
    pub fn wait(mut self) -> (usize, Option<T>) {
        self.select(true)
            .unwrap_or_else(|| unreachable!("it has waited"))
    }

    /// As [`wait`](Self::wait), if a case can go at once: a `select!` with a `default`.
    ///
    /// # Panics
    /// As `wait`.
    #[track_caller]
    pub fn try_wait(mut self) -> Option<(usize, Option<T>)> {
        self.select(false)
    }

    #[track_caller]
    fn select(&mut self, block: bool) -> Option<(usize, Option<T>)> {
        let case = |arm| match arm {
            &mut Arm::Recv(ref mut arm, source) => {
                // The list may have been made long ago.
                if let Some(source) = source {
                    source.look();
                }
                arm.case()
            }
            Arm::Send(arm) => arm.case(),
        };
        let mut cases: Vec<_> = self.arms.iter_mut().map(case).collect();
        let picked = selectgo_list(&mut cases, block);
        let (n, _) = picked?;
        // SAFETY: `selectgo_list` chose this one, and it is asked once: the list is given up.
        let value = unsafe {
            match &mut self.arms[n] {
                Arm::Recv(arm, _) => arm.end(picked, n).flatten(),
                Arm::Send(arm) => {
                    arm.end(picked, n);
                    None
                }
            }
        };
        Some((n, value))
    }
}

impl<T: Send> Default for Select<'_, T> {
    fn default() -> Self {
        Select::new()
    }
}

/// Waits for the first of several channels. Go's `select`.
///
/// ```no_run
/// # use stage1_coop::{Chan, select};
/// # fn f(numbers: Chan<u32>, words: Chan<&'static str>, out: Chan<u32>, mut left: Vec<u32>) {
/// select! {
///     recv(numbers) -> n => println!("{n:?}"),     // Option<u32>: None when it is closed
///     recv(words) => println!("a word"),           // what came is dropped
///     send(out, left[0]) if !left.is_empty() => drop(left.remove(0)),
///     default => println!("nothing could go"),     // without it, the goroutine parks
/// }
/// # }
/// ```
///
/// An arm with `if` takes part only when its condition holds; if not, the value that it would
/// send is not computed either. The channel is, as in Go, where one switches an arm off by a
/// channel that is nil. With no arm left and no `default` the goroutine waits for ever.
///
/// Channels and values are computed from top to bottom before anything is tried. They are done
/// with when an arm's body begins, so a body may assign to a channel of its `select!`.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__select!(@arm () (0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) () $($arms)*)
    };
}

/// The inside of `select!`. `@arm` takes the head of one arm, `@body` its body; each arm gets
/// the next number of the pool as its place in a tuple of typed cases. What is left is an error
/// of the program's, so the last rules say which.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@arm $done:tt $pool:tt $default:tt) => {
        $crate::__select!(@go $done $default)
    };
    // Patterns that never fit an `Option`, or not always. The compiler's words would be about a
    // `let` that is not in the program.
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> Some($($p:tt)*) => $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> Some($($p:tt)*) if $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> None $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) -> ($v:tt, $ok:tt) $($rest:tt)*) => {
        $crate::__select!(@option)
    };
    (@option) => {
        ::core::compile_error!("select!: an arm that receives gets one `Option`, `None` when the channel is closed, and must take both; name it, `recv(channel) -> got => body`, and let the body ask: `match got`, or `if let Some(value) = got`")
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) -> $p:pat => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) ($p) (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) -> $p:pat if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) ($p) ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) (_) (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt recv($c:expr $(,)?) if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {recv ($c) (_) ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt send($c:expr, $v:expr $(,)?) => $($rest:tt)+) => {
        $crate::__select!(@body {send ($c, $v) () (true)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt $default:tt send($c:expr, $v:expr $(,)?) if $on:expr => $($rest:tt)+) => {
        $crate::__select!(@body {send_if ($c, $v) () ($on)} $done $pool $default $($rest)+)
    };
    (@arm $done:tt $pool:tt () default => $($rest:tt)+) => {
        $crate::__select!(@body {default} $done $pool () $($rest)+)
    };

    // As in `match`, a block needs no comma, nor does the last arm.
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:expr, $($rest:tt)*) => {
        $crate::__select!(@add $arm ($body) $done $pool $default $($rest)*)
    };
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:block $($rest:tt)*) => {
        $crate::__select!(@add $arm ($body) $done $pool $default $($rest)*)
    };
    (@body $arm:tt $done:tt $pool:tt $default:tt $body:expr) => {
        $crate::__select!(@add $arm ($body) $done $pool $default)
    };
    (@body $($rest:tt)*) => {
        ::core::compile_error!("select!: a comma is missing between two arms")
    };

    (@add {default} $body:tt $done:tt $pool:tt () $($rest:tt)*) => {
        $crate::__select!(@arm $done $pool $body $($rest)*)
    };
    (@add {$($arm:tt)+} $body:tt ($($done:tt)*) ($n:tt $($pool:tt)*) $default:tt $($rest:tt)*) => {
        $crate::__select!(@arm ($($done)* {$n $($arm)+ $body}) ($($pool)*) $default $($rest)*)
    };
    (@add $arm:tt $body:tt $done:tt () $($rest:tt)*) => {
        ::core::compile_error!("select!: more than 16 arms; a `Select` takes a list of channels")
    };

    (@case recv ($c:expr) $on:expr) => { $crate::rt::sync::RecvCase::new(&$c) };
    (@case send ($c:expr, $v:expr) $on:expr) => { $crate::rt::sync::SendCase::new(&$c, $v) };
    (@case send_if ($c:expr, $v:expr) $on:expr) => {
        $crate::rt::sync::SendCase::of(&$c, if $on { ::core::option::Option::Some($v) } else { ::core::option::Option::None })
    };
    (@bind recv $p:pat, $got:expr) => { let $p = $got.unwrap_or(::core::option::Option::None); };
    (@bind $send:ident , $got:expr) => {};
    (@default ()) => { ::core::unreachable!("a select without default has a case") };
    (@default ($body:expr)) => { $body };
    (@go ($({$n:tt $kind:ident ($($args:tt)*) ($($p:tt)*) ($on:expr) ($body:expr)})*) $default:tt) => {{
        #[allow(unused_variables)]
        let on = ($($on,)*);
        // The cases end with this statement, and what was made for them: the bodies are free.
        #[allow(unused_mut, unused_variables, clippy::match_single_binding)]
        let (picked, got) = match ($($crate::__select!(@case $kind ($($args)*) on.$n),)*) {
            mut cases => {
                let picked = $crate::rt::sync::selectgo(
                    &mut [$(cases.$n.case().on(on.$n)),*],
                    $crate::__select!(@waits $default),
                );
                // SAFETY: each case is asked once, by its own number.
                let got = ($(unsafe { cases.$n.end(picked, $n) },)*);
                (picked, got)
            }
        };
        match picked {
            $(::core::option::Option::Some(($n, _)) => {
                $crate::__select!(@bind $kind $($p)*, got.$n);
                $body
            })*
            _ => $crate::__select!(@default $default),
        }
    }};
    (@waits ()) => { true };
    (@waits $default:tt) => { false };

    // What is left is no arm.
    (@arm $done:tt $pool:tt $default:tt recv($($c:tt)*) $($rest:tt)*) => {
        ::core::compile_error!("select!: an arm that receives is `recv(channel) -> pattern => body`, and `if condition` may stand in front of `=>`")
    };
    (@arm $done:tt $pool:tt $default:tt send($($c:tt)*) $($rest:tt)*) => {
        ::core::compile_error!("select!: an arm that sends is `send(channel, value) => body`, and `if condition` may stand in front of `=>`")
    };
    (@arm $done:tt $pool:tt () default $($rest:tt)*) => {
        ::core::compile_error!("select!: the arm for when nothing can go is `default => body`")
    };
    (@arm $done:tt $pool:tt $default:tt default $($rest:tt)*) => {
        ::core::compile_error!("select!: there are two arms `default`")
    };
    (@arm $done:tt $pool:tt $default:tt recv $($rest:tt)*) => {
        ::core::compile_error!("select!: the channel of an arm that receives is in parentheses: `recv(channel) -> pattern => body`")
    };
    (@arm $done:tt $pool:tt $default:tt send $($rest:tt)*) => {
        ::core::compile_error!("select!: the channel and the value of an arm that sends are in parentheses: `send(channel, value) => body`")
    };
    (@arm $done:tt $pool:tt $default:tt $other:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "select!: no arm begins with `", ::core::stringify!($other),
            "`; arms are `recv(channel) -> pattern => body`, `send(channel, value) => body` and `default => body`"
        ))
    };
}
