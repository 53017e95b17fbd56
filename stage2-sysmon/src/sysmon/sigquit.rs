//! Ctrl-\, or `kill -QUIT`: all goroutines are printed, and the process ends with status 2.
//! Mirrors `sighandler` and `dumpregs` of `signal_unix.go`, in the form of Go 1.15.
//!
//! A handler may interrupt anything, including the allocator. So it only notes where it came
//! in, and wakes sysmon, which prints: it has a stack of its own, needs no P, and never waits
//! for a goroutine. Go's handler prints by itself, because the thread that it interrupted holds
//! nothing that it needs.
//!
//! Even sysmon may need something that will never be free again. Therefore the last resort's
//! alarm clock (`os/last_resort.rs` of stage 1) runs from the signal on: when sysmon has
//! neither printed a line nor used the processor for a few rings, it ends the process.
//!
//! # Protocol
//!
//! The word is `STATE`.
//!
//! 1. The run begins ([`watch`]): `QUIET`.
//! 2. A handler exchanges `QUIET` for `NOTING`; a second one does nothing. It notes registers
//!    and M, starts the alarm clock, and stores `ASKED` (a release, so sysmon sees the notes).
//! 3. Sysmon finds `ASKED` in its round, stores `PRINTING`, and prints.
//! 4. At the end of the run `QUIET` becomes `OFF`. A signal that sysmon did not see any more is
//!    raised again, for the program's own handler, which is back.
//!
//! Tests: `last_words::signals`.

use crate::asleep::deep_sleep::{thread, wake_from_signal};
use stage1_coop::rt::arch::getm_opt;
use stage1_coop::rt::last_words::{die_with_all_goroutines, dying};
use stage1_coop::rt::os::{handle_during_run, in_lockstep, last_resort, say_bytes};
use std::fmt::Write;
use std::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};

// How far it is.
/// There is no run.
const OFF: u32 = 4;
const QUIET: u32 = 0;
/// A handler writes down where it came in.
const NOTING: u32 = 1;
/// A signal has come, and sysmon has not seen it.
const ASKED: u32 = 2;
/// Sysmon prints.
const PRINTING: u32 = 3;
static STATE: AtomicU32 = AtomicU32::new(OFF);

/// What the handler noted.
struct Noted {
    /// Number of the M, plus one; 0 on a thread that is none.
    m: AtomicUsize,
    code: AtomicU32,
    registers: [AtomicUsize; REGISTERS],
}
const REGISTERS: usize = 23;
static NOTED: Noted = Noted {
    m: AtomicUsize::new(0),
    code: AtomicU32::new(0),
    registers: [const { AtomicUsize::new(0) }; REGISTERS],
};

/// The kernel's order of the registers that are printed, and their names.
const NAMES: [(i32, &str); 18] = [
    (libc::REG_RAX, "rax"),
    (libc::REG_RBX, "rbx"),
    (libc::REG_RCX, "rcx"),
    (libc::REG_RDX, "rdx"),
    (libc::REG_RDI, "rdi"),
    (libc::REG_RSI, "rsi"),
    (libc::REG_RBP, "rbp"),
    (libc::REG_RSP, "rsp"),
    (libc::REG_R8, "r8"),
    (libc::REG_R9, "r9"),
    (libc::REG_R10, "r10"),
    (libc::REG_R11, "r11"),
    (libc::REG_R12, "r12"),
    (libc::REG_R13, "r13"),
    (libc::REG_R14, "r14"),
    (libc::REG_R15, "r15"),
    (libc::REG_RIP, "rip"),
    (libc::REG_EFL, "rflags"),
];

/// From now on until the end of the run SIGQUIT is ours, unless the program has a handler
/// of its own.
pub(crate) fn watch() {
    STATE.store(QUIET, SeqCst);
    if !handle_during_run(libc::SIGQUIT, on_quit, at_end) {
        STATE.store(OFF, SeqCst);
    }
}

/// Whether the signal has come. Sysmon looks in each round.
#[inline]
pub(crate) fn asked() -> bool {
    STATE.load(Acquire) == ASKED
}

// ANCHOR: on_quit
/// Async-signal-safe: it stores, sets an alarm, and wakes by a futex.
extern "C" fn on_quit(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `__errno_location` gives this thread's errno; the code that we interrupt may be
    // about to read it.
    let errno = unsafe { *libc::__errno_location() };
    let before = STATE.compare_exchange(QUIET, NOTING, AcqRel, Relaxed);
    if before == Err(OFF) {
        // The run is over, and the old handler is back: it gets the signal when we return.
        // SAFETY: raise takes a number.
        unsafe { libc::raise(libc::SIGQUIT) };
    }
    if before.is_ok() {
        // SAFETY: the kernel gives an SA_SIGINFO handler a valid siginfo and context.
        let (code, registers) = unsafe {
            let context = &*context.cast::<libc::ucontext_t>();
            ((*info).si_code, &context.uc_mcontext.gregs)
        };
        NOTED.code.store(code as u32, Relaxed);
        NOTED
            .m
            .store(getm_opt().map_or(0, |mp| mp.id.get() + 1), Relaxed);
        for (noted, register) in NOTED.registers.iter().zip(registers) {
            noted.store(*register as usize, Relaxed);
        }
        last_resort::watch(thread());
        last_resort::start(last_resort_words);
        STATE.store(ASKED, Release);
        if !in_lockstep() {
            // There sysmon's sleep is one of virtual time, and ends by itself.
            wake_from_signal();
        }
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}
// ANCHOR_END: on_quit

/// On sysmon's thread: prints all goroutines, and ends the process.
pub(crate) fn dump() -> ! {
    STATE.store(PRINTING, Release);
    die_with_all_goroutines(&header(), &registers())
}

fn header() -> String {
    let mut line = Line::new();
    line.header();
    line.text().trim_end().to_owned() + "\n"
}

/// Go's `dumpregs`.
fn registers() -> String {
    let mut lines = String::new();
    let mut line = |name, value| {
        let _ = writeln!(lines, "{name:<7}{value:#x}");
    };
    let value = |number: i32| NOTED.registers[number as usize].load(Relaxed);
    for (number, name) in NAMES {
        line(name, value(number));
    }
    // Three segments share a word.
    let segments = value(libc::REG_CSGSFS);
    line("cs", segments & 0xffff);
    line("fs", segments >> 32 & 0xffff);
    line("gs", segments >> 16 & 0xffff);
    lines.trim_end().to_owned()
}

/// The run is over, and the old handler is back. A request that sysmon did not see any more
/// gets what it would have got now. So does one whose handler has only just begun.
fn at_end() {
    loop {
        match STATE.compare_exchange(QUIET, OFF, AcqRel, Acquire) {
            Ok(_) | Err(OFF) => return,
            // A handler on a thread that the runtime does not know: it will be done soon.
            Err(NOTING) => std::thread::yield_now(),
            Err(_) => break,
        }
    }
    STATE.store(OFF, Release);
    last_resort::cancel();
    // SAFETY: raise takes a number.
    unsafe { libc::raise(libc::SIGQUIT) };
}

/// What is said if the dump cannot go on: its head, if that was not said yet.
fn last_resort_words() {
    if STATE.load(Acquire) == ASKED && !dying() {
        let mut line = Line::new();
        line.header();
        say_bytes(line.text().as_bytes());
    }
}

/// A formatter that never allocates.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line {
            bytes: [0; 256],
            len: 0,
        }
    }

    fn header(&mut self) {
        let pc = NOTED.registers[libc::REG_RIP as usize].load(Relaxed);
        let m = NOTED.m.load(Relaxed).wrapping_sub(1) as isize;
        let code = NOTED.code.load(Relaxed) as i32;
        let _ = write!(self, "SIGQUIT: quit\nPC={pc:#x} m={m} sigcode={code}\n");
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let n = s.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}
