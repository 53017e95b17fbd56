//! The clock inside a loop that never calls anything: `int3`.
//!
//! [`spin`] is a loop in assembly, so its iterations are the same in every build. In
//! lockstep it executes `int3` after every [`SPIN_CHUNK`] iterations; the handler moves the
//! clock and, past the horizon, hands the baton on *inside the handler*. The goroutine is
//! then stopped in the middle of its loop, as a real interrupt would stop it, and any
//! signal sent to it meanwhile arrives exactly there.
//!
//! Tests: `determinism`, `last_words::faults::a_handler_keeps_errno`.

use crate::baton::{self, ActorId};
use crate::{fds, sys, watchdog};
use std::arch::{asm, global_asm, naked_asm};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Iterations of [`spin`] between two ticks in lockstep. One iteration is one virtual
/// nanosecond.
pub const SPIN_CHUNK: u64 = 100_000;

/// Iterations between two ticks now: [`SPIN_CHUNK`] in lockstep, for ever otherwise.
static CHUNK: AtomicU64 = AtomicU64::new(u64::MAX);

/// Burns `iterations` turns of a loop that calls nothing, checks nothing and touches no
/// memory: about a nanosecond each, and exactly one virtual nanosecond each in lockstep.
/// It is a goroutine's own code (section `gotext`).
// The loop: rdi = iterations left; rdx = iterations of this chunk, which the handler of
// `int3` reads; rcx counts them down. `imul` is a chain of 3 cycles, so that a nanosecond
// is about right on today's machines.
#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
pub extern "C" fn spin(iterations: u64) -> u64 {
    naked_asm!(
        // With a table, as every function of `gotext`: what none describes is no goroutine's code.
        ".cfi_startproc",
        "mov eax, 1",
        "2:",
        "test rdi, rdi",
        "jz 5f",
        "mov rdx, [rip + {chunk}]",
        "cmp rdi, rdx",
        "cmovb rdx, rdi", // the last chunk may be shorter
        "mov rcx, rdx",
        "3:",
        "imul rax, rax, 31",
        "add rax, rdi",
        "dec rcx",
        "jnz 3b",
        "cmp qword ptr [rip + {chunk}], -1",
        "je 4f",
        ".globl safepoint_lab_int3",
        ".hidden safepoint_lab_int3",
        "safepoint_lab_int3:",
        "int3",
        "4:",
        "sub rdi, rdx",
        "jmp 2b",
        "5:",
        "ret",
        ".cfi_endproc",
        chunk = sym CHUNK,
    )
}

unsafe extern "C" {
    static safepoint_lab_int3: u8;
}

// Which actor a thread is, plus one: a word of thread-local storage that a signal handler
// may read with one instruction. Nothing that can be initialized lazily.
global_asm!(
    ".pushsection .tbss.safepoint_lab_me,\"awT\",@nobits",
    ".p2align 3",
    ".globl safepoint_lab_me",
    ".hidden safepoint_lab_me",
    ".type safepoint_lab_me,@object",
    ".size safepoint_lab_me, 8",
    "safepoint_lab_me: .zero 8",
    ".popsection",
);

/// The actor that the calling thread is.
pub fn me() -> Option<ActorId> {
    let id: usize;
    // SAFETY: reads this thread's own word, which the section above defines.
    unsafe {
        asm!("mov {}, fs:[safepoint_lab_me@tpoff]", out(reg) id,
             options(nostack, preserves_flags, readonly));
    }
    id.checked_sub(1)
}

/// Sets which actor the calling thread is.
pub fn set_me(id: Option<ActorId>) {
    let word = id.map_or(0, |id| id + 1);
    // SAFETY: writes this thread's own word.
    unsafe {
        asm!("mov fs:[safepoint_lab_me@tpoff], {}", in(reg) word,
             options(nostack, preserves_flags));
    }
}

static PREVIOUS: std::sync::Mutex<Option<libc::sigaction>> = std::sync::Mutex::new(None);

pub fn install() -> Result<(), String> {
    let old = sys::install(libc::SIGTRAP, on_trap)?;
    *PREVIOUS.lock().expect("no panic while it is held") = Some(old);
    CHUNK.store(SPIN_CHUNK, Relaxed);
    Ok(())
}

pub fn uninstall() {
    CHUNK.store(u64::MAX, Relaxed);
    if let Some(old) = PREVIOUS.lock().expect("no panic while it is held").take() {
        sys::reinstall(libc::SIGTRAP, &old);
    }
}

extern "C" fn on_trap(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: we are in an SA_SIGINFO handler and this is its context.
    let (pc, chunk) = unsafe { (sys::pc(context), sys::reg(context, libc::REG_RDX)) };
    if pc != (&raw const safepoint_lab_int3) as usize + 1 {
        // A breakpoint that is not ours: die of it as if we were not here.
        (baton::config().last_words)();
        // SAFETY: restores the default action; the trap then happens again.
        unsafe {
            libc::signal(libc::SIGTRAP, libc::SIG_DFL);
            libc::raise(libc::SIGTRAP);
        }
        return;
    }
    let (Some(me), Some(actor)) = (me(), baton::actor()) else {
        return;
    };
    let _errno = sys::KeepErrno::new();
    watchdog::tick(&actor.watch);
    let clock = baton::later(actor.clock.load(Relaxed), chunk);
    actor.clock.store(clock, Relaxed);
    let now = actor.clock.load(Relaxed);
    fds::look(now);
    if now > actor.horizon.load(Relaxed) {
        // Every signal is blocked while this handler runs.
        baton::hand_over_blocked(me, now);
    }
}
