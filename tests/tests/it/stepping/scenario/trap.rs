//! The processor's trap flag: a signal after every instruction. In its handler, where the
//! goroutine's own code is interrupted, a request is raised and the handler of SIGURG called, the
//! real one, with the registers that the trap has found. So the goroutine is stopped there, and at
//! the next instruction, and at the next.
//!
//! The flag is one of the thread's, and only a goroutine that is stepped may run with it. It is
//! saved with the goroutine's other flags when it is stopped, and comes back with them. When the
//! goroutine yields by itself, no flags are saved: then the handler takes it down on `g0`'s first
//! instruction, and has the goroutine go on in [`step_again`].
//!
//! A goroutine that goes on is interrupted at once, at the instruction where it was stopped last.
//! This one must pass, and which one that is must be remembered for each goroutine: with one memory
//! for two of them, each is stopped for ever where the other one has just been.

use stage3_signals::rt::arch::{getg, getm_opt, in_gotext};
use stage3_signals::rt::gmp::{G, M};
use stage3_signals::rt::table::rows;
use stage3_signals::rt::word::Word;
use std::arch::{asm, naked_asm};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// The trap flag among the processor's flags.
const TRAP: i64 = 0x100;
/// The word of a G that no stage has yet: where a goroutine that has yielded by itself goes on.
const GOES_ON: usize = 2;
/// Every instruction.
pub const ALL: u64 = u64::MAX;

/// A goroutine that is stepped.
pub struct Stepped {
    /// Its address; 0: none.
    gp: AtomicUsize,
    /// Where it was stopped last, until it has passed.
    passes: AtomicUsize,
    /// Which of its instructions it is stopped at.
    only: AtomicU64,
    /// Instructions of its own code so far.
    seen: AtomicU64,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// How often a goroutine was interrupted in its own code, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// It was stopped.
    pub taken: u64,
    /// It was not.
    pub refused: u64,
}

impl Stepped {
    const fn none() -> Stepped {
        Stepped {
            gp: AtomicUsize::new(0),
            passes: AtomicUsize::new(0),
            only: AtomicU64::new(ALL),
            seen: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }
}

static STEPPED: [Stepped; 2] = [const { Stepped::none() }; 2];
/// The address of SIGURG's handler in this run.
static HANDLER: AtomicUsize = AtomicUsize::new(0);

/// Installs the handler of traps; in a run.
pub fn install() {
    // SAFETY: zeroed actions are valid; the handler calls what a handler may call. All signals
    // are blocked in it.
    unsafe {
        let mut urgent: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGURG, std::ptr::null(), &mut urgent);
        HANDLER.store(urgent.sa_sigaction, SeqCst);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
    }
}

/// Calls `f` on the calling goroutine, which is stopped at every instruction of its own code that
/// `only` names, counted from 0: at [`ALL`] or at one.
pub fn stepped(f: impl FnOnce() -> u64, only: u64) -> (u64, Count) {
    let gp = std::ptr::from_ref(getg()) as usize;
    let free = |own: &&Stepped| own.gp.compare_exchange(0, gp, SeqCst, SeqCst).is_ok();
    let own = STEPPED.iter().find(free).expect("two at a time");
    own.only.store(only, SeqCst);
    own.passes.store(0, SeqCst);
    for n in [&own.seen, &own.taken, &own.refused] {
        n.store(0, SeqCst);
    }
    // SAFETY: the handler is installed. The flag is this goroutine's, until the second block.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let result = f();
    // SAFETY: takes the flag down.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    let count = Count {
        taken: own.taken.load(SeqCst),
        refused: own.refused.load(SeqCst),
    };
    own.gp.store(0, SeqCst);
    (result, count)
}

/// A register of the interrupted code.
///
/// # Safety
/// `context` is the third argument of a handler that runs.
unsafe fn register(context: *mut libc::c_void, which: i32) -> *mut i64 {
    // SAFETY: the caller's promise.
    unsafe { &raw mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[which as usize] }
}

/// The interrupted code goes on at full speed.
///
/// # Safety
/// As for [`register`].
unsafe fn run_free(context: *mut libc::c_void) {
    // SAFETY: the caller's promise.
    unsafe { *register(context, libc::REG_EFL) &= !TRAP };
}

extern "C" fn on_trap(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: this is the handler.
    let (pc, sp) = unsafe {
        (
            *register(context, libc::REG_RIP) as usize,
            *register(context, libc::REG_RSP) as usize,
        )
    };
    let gp = getg();
    let goes_on = match getm_opt() {
        Some(mp) if gp.goid.get() == 0 => on_g0(mp, sp),
        Some(_) => match find(gp) {
            Some(own) => on_goroutine(own, gp, pc, info, context),
            None => false,
        },
        None => false,
    };
    if !goes_on {
        // SAFETY: this is the handler.
        unsafe { run_free(context) };
    }
}

fn find(gp: &G) -> Option<&'static Stepped> {
    let gp = std::ptr::from_ref(gp) as usize;
    STEPPED.iter().find(|own| own.gp.load(Relaxed) == gp)
}

/// The thread is on `g0`. Returns whether it is stepped further: only for a while, where the
/// goroutine has borrowed the stack.
fn on_g0(mp: &M, sp: usize) -> bool {
    let Some(gp) = mp.curg.load(Relaxed).filter(|gp| find(gp).is_some()) else {
        return false;
    };
    if sp != gp.sched.sp.get() {
        return true;
    }
    // In `mcall`, which has just saved where the goroutine goes on. No other thread takes it
    // before `g0` says so.
    gp.ext[GOES_ON].set(gp.sched.pc.get());
    gp.sched.pc.set(step_again as *const () as usize);
    false
}

/// Where a goroutine goes on that has yielded by itself: the trap flag is up again.
///
/// # Safety
/// Entered by `gogo` alone, which leaves the goroutine in `rdx`.
#[unsafe(naked)]
unsafe extern "C" fn step_again() {
    naked_asm!(
        "pushfq",
        "or qword ptr [rsp], 0x100",
        "popfq",
        "jmp qword ptr [rdx + {goes_on}]",
        goes_on = const offset_of!(G, ext) + GOES_ON * size_of::<Word>(),
    )
}

/// The one byte of `pushfq`.
const PUSHFQ: u8 = 0x9c;
/// How far into the trampoline it is at most.
const PROLOGUE: usize = 16;

/// A stepped goroutine is about to execute the instruction at `pc`. Returns whether it is stepped
/// further.
fn on_goroutine(
    own: &Stepped,
    gp: &G,
    pc: usize,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) -> bool {
    let trampoline = rows().async_preempt as usize;
    if (trampoline + 1..trampoline + PROLOGUE).contains(&pc) {
        // The flags are saved, the trap flag among them: the rest at full speed.
        // SAFETY: the byte before belongs to the trampoline.
        return unsafe { *((pc - 1) as *const u8) != PUSHFQ };
    }
    if !in_gotext(pc) || own.passes.swap(0, Relaxed) == pc {
        return true;
    }
    let n = own.seen.fetch_add(1, Relaxed);
    if ![ALL, n].contains(&own.only.load(Relaxed)) {
        return true;
    }
    let handler = HANDLER.load(Relaxed);
    gp.preempt.store(true, Relaxed);
    // SAFETY: the kernel's number is SIGURG's handler, which has this form; it is called with
    // what a signal would bring, all signals blocked, on the M's signal stack.
    unsafe {
        let handler: stage3_signals::rt::os::Handler = std::mem::transmute(handler);
        handler(libc::SIGURG, info, context);
    }
    // SAFETY: `on_trap` has it from the kernel.
    if unsafe { *register(context, libc::REG_RIP) } as usize == pc {
        gp.preempt.store(false, Relaxed);
        own.refused.fetch_add(1, Relaxed);
    } else {
        own.passes.store(pc, Relaxed);
        own.taken.fetch_add(1, Relaxed);
    }
    true
}
