//! Ctrl-\, or `kill -QUIT`: where is everybody? All goroutines are printed, and the process
//! ends with status 2. Mirrors `sighandler` and `dumpregs` of `signal_unix.go`, in the form
//! of Go 1.15.
//!
//! A handler may interrupt anything, also the allocator. So it only notes where it came in,
//! and wakes sysmon, which prints: it has a stack of its own, needs no P, and never waits for
//! a goroutine. Go's handler prints by itself, because nothing that it needs can be held by
//! whom it interrupted.
//!
//! Even sysmon may need something that will never be free again. Therefore an alarm clock
//! runs from the signal on: when sysmon has neither printed a line nor used the processor
//! for a few rings, it ends the process.

use crate::sysmon;
use stage1_coop::rt::*;
use std::cell::UnsafeCell;
use std::fmt::Write;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// Seconds between two rings.
const RING: u32 = 3;
/// Rings in a row without any progress that are the end.
const RINGS: u32 = 2;

// How far it is.
const QUIET: u32 = 0;
/// A handler writes down where it came in.
const NOTING: u32 = 1;
/// Somebody has asked, and nobody has answered.
const ASKED: u32 = 2;
/// Sysmon prints.
const PRINTING: u32 = 3;
static STATE: AtomicU32 = AtomicU32::new(QUIET);

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
    handle_during_run(libc::SIGQUIT, on_quit, at_end);
}

/// Whether somebody wants to see everybody. Asked by sysmon in each round.
#[inline]
pub(crate) fn asked() -> bool {
    STATE.load(Acquire) == ASKED
}

// ANCHOR: on_quit
/// Async-signal-safe: it stores, sets an alarm, and wakes by a futex.
extern "C" fn on_quit(_: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `__errno_location` gives this thread's errno; whom we interrupt may be about
    // to read it.
    let errno = unsafe { *libc::__errno_location() };
    let first = STATE
        .compare_exchange(QUIET, NOTING, AcqRel, Relaxed)
        .is_ok();
    if first {
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
        set_alarm();
        STATE.store(ASKED, Release);
        if !in_lockstep() {
            // There sysmon's sleep is one of virtual time, and ends by itself.
            sysmon::wake_from_signal();
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

/// The run is over, and the old handler is back. Who asked too late for sysmon to hear it
/// gets what he would have got now.
fn at_end() {
    // A handler may be running on any thread of the process, one that is no M too, and be about
    // to write `OLD_ALARM`. No second one begins: the old SIGQUIT is back.
    while STATE.load(Acquire) == NOTING {
        std::hint::spin_loop();
    }
    if STATE.swap(QUIET, AcqRel) == QUIET {
        return;
    }
    // SAFETY: `OLD_ALARM` was written by the handler that left QUIET, before it left NOTING;
    // the look above acquires that.
    unsafe {
        libc::alarm(0);
        if ALARM_IS_SET.swap(false, AcqRel) {
            let old = (*OLD_ALARM.0.get()).assume_init_ref();
            libc::sigaction(libc::SIGALRM, old, std::ptr::null_mut());
        }
        libc::raise(libc::SIGQUIT);
    }
}

/// What SIGALRM did before. Written once between two states QUIET.
struct OldAlarm(UnsafeCell<MaybeUninit<libc::sigaction>>);
// SAFETY: who takes `STATE` out of QUIET writes it, and who puts it back reads it.
unsafe impl Sync for OldAlarm {}
static OLD_ALARM: OldAlarm = OldAlarm(UnsafeCell::new(MaybeUninit::zeroed()));
static ALARM_IS_SET: AtomicBool = AtomicBool::new(false);

/// What was seen when it rang last.
struct Seen {
    /// The time.
    at: AtomicU64,
    /// Lines that had been printed.
    said: AtomicU32,
    /// Processor time of sysmon.
    cpu: AtomicU64,
    /// Rings in a row without progress.
    rings: AtomicU32,
}
static SEEN: Seen = Seen {
    at: AtomicU64::new(0),
    said: AtomicU32::new(0),
    cpu: AtomicU64::new(0),
    rings: AtomicU32::new(0),
};

/// Sets the alarm clock. Async-signal-safe.
fn set_alarm() {
    SEEN.said.store(u32::MAX, Relaxed);
    // SAFETY: a zeroed sigaction is a valid value; both functions may be called in a handler;
    // the old action has a place of its own.
    unsafe {
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = on_alarm as *const () as usize;
        new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigfillset(&mut new.sa_mask);
        libc::sigaction(libc::SIGALRM, &new, OLD_ALARM.0.get().cast());
        ALARM_IS_SET.store(true, Release);
        libc::alarm(RING);
    }
}

/// It rings. Somebody who still prints may go on; otherwise this is the end.
extern "C" fn on_alarm(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: as in `on_quit`; alarm takes a number.
    unsafe {
        let errno = *libc::__errno_location();
        let again = goes_on();
        if again {
            libc::alarm(RING);
        }
        *libc::__errno_location() = errno;
        if again {
            return;
        }
    }
    let mut line = Line::new();
    if STATE.load(Acquire) == ASKED && !dying() {
        line.header();
    }
    let _ = line.write_str(
        "\nruntime: the dump does not go on: what it needs is held by a thread that stands still\n",
    );
    // SAFETY: the buffer outlives the call; both are async-signal-safe.
    unsafe {
        libc::write(2, line.bytes.as_ptr().cast(), line.len);
        libc::_exit(2)
    }
}

/// Whether there is still hope. A ring that comes much too late says nothing: the whole
/// process stood still, and not only the dump.
fn goes_on() -> bool {
    let now = clock(libc::CLOCK_MONOTONIC);
    let late = now - SEEN.at.swap(now, Relaxed) > u64::from(RING + 1) * 1_000_000_000;
    let said = said();
    let printed = SEEN.said.swap(said, Relaxed) != said;
    // In lockstep who waits for a lock is busy, so being busy is no progress.
    let cpu = if in_lockstep() { 0 } else { sysmon::cpu_time() };
    let busy = cpu > SEEN.cpu.swap(cpu, Relaxed) + 1_000_000;
    if late || printed || busy {
        SEEN.rings.store(0, Relaxed);
        return true;
    }
    SEEN.rings.fetch_add(1, Relaxed) + 1 < RINGS
}

/// Nanoseconds of a clock of the system's; 0 if there is no such clock. Async-signal-safe.
pub(crate) fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure is ours.
    match unsafe { libc::clock_gettime(id, &mut time) } {
        0 => time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        _ => 0,
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
