//! Making a goroutine: what `go f()` does. Mirrors `newproc`, `gfget` and `gfput` of
//! `proc.go`; the chapter is *Many G on one M*.
//!
//! A new goroutine is a G with a closure in it and no stack: the stack is bound when it
//! first runs, so a thousand that run one after the other share one.
//!
//! Tests: `ends`, `queues::the_newest_runs_first_and_the_others_in_their_order`.

use crate::arch::{getg, getm, mcall, on_goroutine};
use crate::gmp::casgstatus::{casgstatus, readgstatus};
use crate::gmp::{ENTRY_WORDS, G, GDEAD, GIDLE, GRUNNABLE, SCHED, allp};
use crate::last_words::panics::preprintpanics;
use crate::prologue;
use crate::queues::free::{gfget, gfree_len};
use crate::queues::global::runqput;
use crate::sched::goexit::{Goexit, goexit0};
use crate::sched::park::pin_while_unwinding;
use crate::sched::wake::wakep;
use crate::throw::throw;
use crate::trace;
use std::arch::naked_asm;
use std::mem::{MaybeUninit, align_of, size_of};
use std::sync::atomic::Ordering::*;

/// Starts a goroutine. `name` shows in traces and dumps. It runs some time later, perhaps
/// on another thread, and ends when `f` returns; nothing waits for it, so use a
/// [`WaitGroup`](crate::WaitGroup) or a channel. Go's `go` statement.
///
/// A panic in `f` ends the process with Go's message and status 2.
///
/// # Panics
/// Off a goroutine: only the runtime's own threads can start one.
pub fn go<F: FnOnce() + Send + 'static>(name: &'static str, f: F) {
    assert!(
        on_goroutine(),
        "go: not on a goroutine; start the first one with Runtime::run"
    );
    // SAFETY: the closure borrows nothing.
    unsafe { go_borrowing(name, f) };
}

/// As [`go`], for a closure that may borrow.
///
/// # Safety
/// On a goroutine. What `f` borrows stays until `f` has returned or unwound, or the run is
/// over and the goroutine never goes on.
pub(crate) unsafe fn go_borrowing<F: FnOnce() + Send>(name: &'static str, f: F) {
    let gp = newproc1(name);
    store_entry(gp, f);
    newproc(gp);
}

/// [`go`](fn@go) without a name: the goroutine is called after the place that starts it, as
/// `module:line`. Go's `go` statement names none either.
///
/// ```
/// # use stage1_coop::{Chan, Runtime, STAGE, go};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let c = Chan::new(0);
/// let answer = c.clone();
/// go!(move || answer.send(42));
/// assert_eq!(c.recv(), Some(42));
/// # }) }
/// ```
#[macro_export]
macro_rules! go {
    ($f:expr) => {
        $crate::go(
            ::core::concat!(::core::module_path!(), ":", ::core::line!()),
            $f,
        )
    };
}

/// The number of the goroutine that asks, which no other of the run ever has; 0 off a
/// goroutine. Go has it and hides it: it is for logs.
///
/// ```
/// # use stage1_coop::{Runtime, STAGE, goid};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// assert_eq!(goid(), 1, "this is main");
/// # }) }
/// ```
#[inline(never)]
pub fn goid() -> usize {
    getg().goid.get()
}

/// How many goroutines there are, main included: those that have not ended. Go's
/// `runtime.NumGoroutine`.
///
/// ```
/// # use stage1_coop::{Runtime, STAGE, go, gosched, num_goroutine};
/// # // SAFETY: nothing here belongs to a thread.
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// go("one more", || {});
/// while num_goroutine() > 1 {
///     gosched();
/// }
/// # }) }
/// ```
#[inline(never)]
pub fn num_goroutine() -> usize {
    prologue!();
    let all = SCHED.lock().allgs.len();
    let dead = gfree_len() + allp().iter().map(|pp| pp.gfree_n.get()).sum::<usize>();
    all.saturating_sub(dead)
}

/// As [`go`], for the runtime itself: on `g0`, by an M that has a P. Go's timers use the `go`
/// statement there.
pub fn go_on_g0<F: FnOnce() + Send + 'static>(name: &'static str, f: F) {
    let gp = newproc1(name);
    store_entry(gp, f);
    newproc(gp);
}

/// The closure's body is the goroutine's own code, so the function that calls it stands in
/// `gotext`; usually the body is inlined into it.
#[inline(never)]
#[unsafe(link_section = "gotext")]
unsafe fn shim<F: FnOnce()>(data: *mut u8) {
    // SAFETY: `data` holds an F that `store_entry` moved there; it is read once.
    let f = unsafe { data.cast::<F>().read() };
    f();
}

/// As [`shim`], for a closure too large for the G.
#[inline(never)]
#[unsafe(link_section = "gotext")]
unsafe fn shim_boxed<F: FnOnce()>(data: *mut u8) {
    // SAFETY: `data` holds a Box<F> that `store_entry` moved there; it is read once.
    let f = unsafe { data.cast::<Box<F>>().read() };
    f();
}

pub(crate) fn store_entry<F: FnOnce() + Send>(gp: &'static G, f: F) {
    let data: *mut [MaybeUninit<usize>; ENTRY_WORDS] = gp.entry.0.get();
    let fits = size_of::<F>() <= ENTRY_WORDS * size_of::<usize>()
        && align_of::<F>() <= align_of::<usize>();
    let call: unsafe fn(*mut u8);
    // SAFETY: the G is not queued yet, so its entry is ours; sizes and alignment were
    // checked, and a Box is one or two words.
    unsafe {
        if fits {
            data.cast::<F>().write(f);
            call = shim::<F>;
        } else {
            data.cast::<Box<F>>().write(Box::new(f));
            call = shim_boxed::<F>;
        }
    }
    gp.entry_call.set(call as usize);
}

/// A G in state `GDEAD` with a number and a name: from a free list, or new. Go's
/// `newproc1`, first half.
#[inline(never)]
pub(crate) fn newproc1(name: &'static str) -> &'static G {
    prologue!();
    let mp = getm();
    let gp = match mp.p.get().and_then(gfget) {
        Some(gp) => gp,
        None => malg(),
    };
    if readgstatus(gp) != GDEAD {
        throw("newproc1: new g is not Gdead");
    }
    // One counter for all. Go hands out numbers to each P by the 16, which spares a shared
    // cache line; then a goroutine's number no longer tells when it was made.
    gp.goid.set(SCHED.goidgen.fetch_add(1, Relaxed) + 1);
    gp.parentgoid.set(getg().goid.get());
    gp.parentname.set(getg().name.get());
    gp.name.set(name);
    gp.sched.pc.set(gostart_pc());
    gp
}

/// Makes a new G runnable, in front of the queue, and wakes an M for it. Go's `newproc`.
#[inline(never)]
fn newproc(gp: &'static G) {
    let mp = getm();
    let Some(pp) = mp.p.get() else {
        throw("newproc: no p");
    };
    trace::go_create(gp);
    // SAFETY: it is new or from the free list, so it is ours alone; no M is on its stack.
    unsafe { casgstatus::<GDEAD, GRUNNABLE>(gp) };
    runqput(pp, gp, true);
    wakep();
}

/// A brand-new G. Go's `malg`, without the stack.
fn malg() -> &'static G {
    let gp: &'static G = Box::leak(Box::new(G::new()));
    // SAFETY: no other thread knows it.
    unsafe { casgstatus::<GIDLE, GDEAD>(gp) };
    allgadd(gp);
    gp
}

/// Adds `gp` to the list of all Gs. When the list is full, a larger one is allocated, and the
/// old one freed, outside `sched.lock`. Go's `allgadd`.
fn allgadd(gp: &'static G) {
    let mut spare: Vec<&'static G> = Vec::new();
    loop {
        let full = {
            let mut sched = SCHED.lock();
            let allgs = &mut sched.allgs;
            if spare.capacity() > allgs.capacity() {
                spare.extend_from_slice(allgs);
                std::mem::swap(allgs, &mut spare);
            }
            if allgs.len() < allgs.capacity() {
                allgs.push(gp);
                return;
            }
            allgs.capacity()
        };
        spare = Vec::with_capacity((2 * full).max(64));
    }
}

// ANCHOR: gostart
/// Where a fresh goroutine starts: its `sched.pc`. It has no caller, and the CFI says that
/// too (`undefined rip`): a backtrace ends here instead of running off the stack.
#[unsafe(naked)]
unsafe extern "C" fn gostart() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        ".cfi_undefined rbp",
        "xor ebp, ebp",
        "call {entry}",
        "ud2",
        ".cfi_endproc",
        entry = sym goentry,
    )
}
// ANCHOR_END: gostart

fn gostart_pc() -> usize {
    gostart as *const () as usize
}

/// First function on every goroutine's stack: runs the closure and ends the goroutine. A
/// panic that reaches this place ends the process.
pub(crate) extern "C" fn goentry() -> ! {
    let result = std::panic::catch_unwind(|| {
        let gp = getg();
        // SAFETY: the word was written by `store_entry` from a function of this type, and
        // the data with it; both belong to this goroutine, and this runs once.
        unsafe {
            let call: unsafe fn(*mut u8) = std::mem::transmute(gp.entry_call.get());
            gp.entry_call.set(0);
            call(gp.entry.0.get().cast());
        }
    });
    if let Err(mut payload) = result {
        match payload.downcast_mut::<Goexit>() {
            Some(goexit) => goexit.arrived(),
            None => preprintpanics(payload.as_ref()),
        }
    }
    // If a destructor yielded while goexit unwound, the pin is still there.
    pin_while_unwinding();
    // SAFETY: on a goroutine, and nothing is left on this stack that is still needed.
    unsafe { mcall(goexit0) }
    unreachable!("a goroutine that has ended runs again")
}
