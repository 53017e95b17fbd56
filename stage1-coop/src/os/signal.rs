//! What this stage needs of signals: a stack for handlers on each M, because goroutines'
//! stacks are small; a handler that tells which goroutine overflowed, because std's does
//! not know our stacks; and Ctrl-C as one more hand that raises the flag.
//!
//! Everything is put back as it was when the run ends. Mirrors parts of `signal_unix.go`
//! and `os_linux.go` (`minit`, `unminit`).
//!
//! Tests: below; `last_words::faults`,
//! `last_words::runs::handlers_masks_and_signal_stacks_are_put_back`,
//! `waking::ctrl_c_raises_the_flag_until_the_run_is_over`.

use super::action::{Handled, Handler, calls, calls_nothing, current, install};
use super::{Note, last_resort, mem};
use crate::arch::on_goroutine;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use safepoint_lockstep as lab;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{Mutex, OnceLock};

/// Bytes of a handler's stack. The kernel's frame with AVX-512 is 3.4 KB; lockstep waits
/// for its turn inside a handler; a dump of an overflow formats text.
const SIGNAL_STACK: usize = 64 << 10;

struct Saved {
    segv: libc::sigaction,
    bus: libc::sigaction,
    deadly: Vec<(i32, libc::sigaction)>,
    int: Option<libc::sigaction>,
    more: Vec<Later>,
}

/// A handler of a later stage's, and what was there before.
struct Later {
    signal: i32,
    handler: Handler,
    old: libc::sigaction,
    at_end: fn(),
}
// SAFETY: a sigaction is plain data; the handler address in it is only passed back.
unsafe impl Send for Saved {}

static SAVED: Mutex<Option<Saved>> = Mutex::new(None);
static CTRL_C: AtomicU32 = AtomicU32::new(0);
static CTRL_C_NOTE: std::sync::atomic::AtomicPtr<Note> =
    std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

/// What the handlers of this file call: the rooms above know, and hand it in.
pub(crate) struct Hands {
    /// A fault on a goroutine's stack: the signal, its code, the address, and the stack pointer
    /// and program counter.
    pub fault: fn(i32, i32, usize, usize, usize) -> !,
    /// Has the trace written, in a signal handler.
    pub save: fn(),
    /// Handles a signal that would end the process.
    pub deadly: Handler,
}

/// The same in every run.
static HANDS: OnceLock<Hands> = OnceLock::new();

/// Whether an action is the handler of deadly signals: as good as none.
fn is_deadly(action: &libc::sigaction) -> bool {
    HANDS.get().is_some_and(|hands| calls(action, hands.deadly))
}

/// Why [`minit_signals`] has failed.
pub(crate) enum NoSignalStack {
    /// There is no memory for this.
    Memory(&'static str, nix::Error),
    /// The kernel refuses it.
    Refused(std::io::Error),
}

/// Puts `old` back in place of `ours`, unless the program has changed it meanwhile.
fn put_back(signal: i32, ours: Option<Handler>, old: &libc::sigaction) {
    let now = current(signal);
    let is_ours = match ours {
        Some(handler) => calls(&now, handler),
        None => is_deadly(&now),
    };
    if is_ours {
        // SAFETY: the struct was filled in by the kernel.
        unsafe { libc::sigaction(signal, old, std::ptr::null_mut()) };
    }
}

/// Installs the handlers of faults, and that of the `deadly` signals which nobody else handles.
/// Go's `initsig`.
///
/// # Errors
/// The kernel's, with the fault's signal: no run can do without these handlers.
pub(crate) fn initsig(
    hands: Hands,
    deadly: impl Iterator<Item = i32>,
) -> Result<(), (i32, std::io::Error)> {
    let must = |signal| install(signal, on_fault).map_err(|error| (signal, error));
    let on_deadly = HANDS.get_or_init(|| hands).deadly;
    let mut saved = SAVED.lock().expect("no panic while it is held");
    *saved = Some(Saved {
        segv: must(libc::SIGSEGV)?,
        bus: must(libc::SIGBUS)?,
        deadly: deadly
            .filter(|&signal| current(signal).sa_sigaction == libc::SIG_DFL)
            .filter_map(|signal| Some((signal, install(signal, on_deadly).ok()?)))
            .collect(),
        int: None,
        more: Vec::new(),
    });
    Ok(())
}

/// A handler of a later stage's, which must be async-signal-safe, for the rest of the run.
/// Then the old one is put back, and `at_end` is called. Returns whether it is in place: a
/// handler of the program's own stays where it is, and the kernel may refuse. A handler that
/// shares its signal with the program's is a [`Chained`](super::Chained).
pub fn handle_during_run(signal: i32, handler: Handler, at_end: fn()) -> bool {
    install_for_the_run(signal, handler, at_end, is_free).unwrap_or(false)
}

/// Whether the program has no handler there.
pub(super) fn is_free(action: &libc::sigaction) -> bool {
    calls_nothing(action) || is_deadly(action)
}

/// Installs `handler` until the run is over, if `agrees` to what is there. It is asked before
/// the handler is in place, and once more with what the kernel has found in its place. Returns
/// whether the handler is in place.
///
/// # Errors
/// The kernel's.
pub(super) fn install_for_the_run(
    signal: i32,
    handler: Handler,
    at_end: fn(),
    agrees: impl Fn(&libc::sigaction) -> bool,
) -> std::io::Result<bool> {
    let mut saved = SAVED.lock().expect("no panic while it is held");
    let Some(saved) = saved.as_mut() else {
        return Ok(false);
    };
    if !agrees(&current(signal)) {
        return Ok(false);
    }
    let old = install(signal, handler)?;
    if !agrees(&old) {
        // SAFETY: the struct was filled in by the kernel.
        unsafe { libc::sigaction(signal, &old, std::ptr::null_mut()) };
        return Ok(false);
    }
    saved.more.push(Later {
        signal,
        handler,
        old,
        at_end,
    });
    Ok(true)
}

/// Puts back what [`initsig`] and [`watch_ctrl_c`] replaced, where the program has not put
/// something else there meanwhile.
pub(crate) fn restoresig() {
    let Some(saved) = SAVED.lock().expect("no panic while it is held").take() else {
        return;
    };
    put_back(libc::SIGSEGV, Some(on_fault), &saved.segv);
    put_back(libc::SIGBUS, Some(on_fault), &saved.bus);
    if let Some(int) = saved.int {
        put_back(libc::SIGINT, Some(on_ctrl_c), &int);
    }
    for later in &saved.more {
        put_back(later.signal, Some(later.handler), &later.old);
    }
    for (signal, old) in &saved.deadly {
        put_back(*signal, None, old);
    }
    for later in saved.more {
        (later.at_end)();
    }
    CTRL_C_NOTE.store(std::ptr::null_mut(), Release);
}

/// From now on Ctrl-C counts and wakes `note`. Not in lockstep, where a key press has no
/// virtual time.
pub(crate) fn watch_ctrl_c(note: &'static Note) {
    if lab::enabled() {
        return;
    }
    CTRL_C.store(0, Relaxed);
    CTRL_C_NOTE.store(std::ptr::from_ref(note).cast_mut(), Release);
    let old = install(libc::SIGINT, on_ctrl_c).ok();
    if let Some(saved) = SAVED.lock().expect("no panic while it is held").as_mut() {
        saved.int = old;
    }
}

/// Ctrl-C does again what it did before [`watch_ctrl_c`].
pub(crate) fn unwatch_ctrl_c() {
    let int = match SAVED.lock().expect("no panic while it is held").as_mut() {
        Some(saved) => saved.int.take(),
        None => None,
    };
    if let Some(int) = int {
        put_back(libc::SIGINT, Some(on_ctrl_c), &int);
    }
    CTRL_C_NOTE.store(std::ptr::null_mut(), Release);
}

/// What Ctrl-C would wake now.
#[cfg(test)]
pub(crate) fn ctrl_c_note() -> *mut Note {
    CTRL_C_NOTE.load(Acquire)
}

/// Times that Ctrl-C was pressed in this run.
pub(crate) fn ctrl_c_count() -> u32 {
    CTRL_C.load(Acquire)
}

extern "C" fn on_ctrl_c(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let _errno = lab::KeepErrno::new();
    CTRL_C.fetch_add(1, AcqRel);
    // SAFETY: null, or a `&'static Note`.
    if let Some(note) = unsafe { CTRL_C_NOTE.load(Acquire).as_ref() } {
        note.wakeup_from_signal();
    }
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // A handler of the program's may mend what has faulted.
    let _errno = lab::KeepErrno::new();
    // SAFETY: the kernel gives an SA_SIGINFO handler a valid siginfo and context.
    let (addr, code, sp, pc) = unsafe {
        let regs = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        (
            (*info).si_addr() as usize,
            (*info).si_code,
            regs[libc::REG_RSP as usize] as usize,
            regs[libc::REG_RIP as usize] as usize,
        )
    };
    if let Some(hands) = HANDS.get()
        && on_goroutine()
    {
        (hands.fault)(signal, code, addr, sp, pc);
    }
    // Not ours: do what would have been done without us. std's handler recognizes the
    // guard pages of std's own threads.
    let saved = SAVED.try_lock();
    let old = match saved.as_ref().ok().and_then(|s| s.as_ref()) {
        Some(saved) if signal == libc::SIGSEGV => saved.segv,
        Some(saved) => saved.bus,
        None => return fault_again(signal),
    };
    if old.sa_sigaction <= libc::SIG_IGN {
        return fault_again(signal);
    }
    // SAFETY: this is a handler of the signal, and the old action is what the kernel had there.
    unsafe { Handled::by(&old).call(signal, info, context) };
    if current(signal).sa_sigaction == libc::SIG_DFL {
        // That is what std's does: it leaves the fault to the system. A handler that has mended
        // it would not have.
        fault_again(signal);
    }
}

/// When the handler has returned, the fault happens again, and then it ends the process: this
/// is the last moment for a trace. Async-signal-safe.
fn fault_again(signal: i32) {
    last_resort::start(|| ());
    if let Some(hands) = HANDS.get() {
        (hands.save)();
    }
    // SAFETY: the default action of a signal is always a valid one.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Gives the calling thread a signal stack with a guard page below it; returns what it had
/// and the new one, for [`unminit_signals`].
///
/// # Errors
/// The process must end then.
pub(crate) fn minit_signals() -> Result<SignalStack, NoSignalStack> {
    let whole = mem::PAGE + SIGNAL_STACK;
    let base = mem::reserve(whole).map_err(|e| NoSignalStack::Memory("a signal stack", e))?;
    // SAFETY: the lowest page of a mapping that we have just made.
    unsafe { mem::guard(base) }
        .map_err(|e| NoSignalStack::Memory("the guard page of a signal stack", e))?;
    // SAFETY: the rest of the mapping; zeroed stack_t values are valid.
    unsafe {
        let new = libc::stack_t {
            ss_sp: base.as_ptr().add(mem::PAGE).cast(),
            ss_flags: 0,
            ss_size: SIGNAL_STACK,
        };
        let mut old: libc::stack_t = std::mem::zeroed();
        if libc::sigaltstack(&new, &mut old) != 0 {
            return Err(NoSignalStack::Refused(std::io::Error::last_os_error()));
        }
        Ok(SignalStack { old, base })
    }
}

/// A thread's signal stack while it is an M.
pub(crate) struct SignalStack {
    old: libc::stack_t,
    base: NonNull<u8>,
}

impl SignalStack {
    /// Its lowest address and the one after its highest.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        let lo = self.base.as_ptr() as usize + mem::PAGE;
        (lo, lo + SIGNAL_STACK)
    }
}

/// Puts the old signal stack back.
pub(crate) fn unminit_signals(stack: SignalStack) {
    // SAFETY: `old` came from the kernel; after the call nothing runs on our mapping.
    unsafe {
        libc::sigaltstack(&stack.old, std::ptr::null_mut());
        mem::release(stack.base, mem::PAGE + SIGNAL_STACK);
    }
}

/// Blocks all signals of the calling thread and returns the mask that was.
pub(crate) fn block_all_signals() -> SigSet {
    set_mask(&SigSet::all())
}

/// The calling thread blocks these signals and no others; returns the mask that was.
pub(crate) fn set_mask(mask: &SigSet) -> SigSet {
    let mut old = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), Some(&mut old));
    old
}

/// Puts a mask back.
pub(crate) fn restore_mask(mask: &SigSet) {
    set_mask(mask);
}
