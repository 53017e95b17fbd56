//! Programs whose goroutines are stopped between two instructions: a signal's handler makes them
//! call a function that yields. It is what a stage does that interrupts, at its shortest.

use crate::start;
use stage2_sysmon::rt;
use stage2_sysmon::rt::gmp::{G, M};
use stage2_sysmon::*;
use std::arch::{asm, naked_asm};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use std::time::Duration;

crate::scenarios!(
    interrupted_loops,
    interrupted_loop_that_ends,
    dump_of_interrupted,
);

/// Which signal makes no difference.
const SIGNAL: i32 = libc::SIGUSR1;

/// Stage 2, and a request is followed by a signal.
static INTERRUPTS: Stage = Stage {
    main_start: || {
        rt::os::handle_during_run(SIGNAL, on_signal, || ());
        rt::os::handle_during_run(libc::SIGILL, on_ud2, || ());
        (STAGE.main_start)();
    },
    preempt_m: send,
    ..STAGE
};

/// How many goroutines were stopped.
static STOPPED: AtomicU32 = AtomicU32::new(0);

fn send(mp: &'static M) {
    user_log("a signal is sent");
    // SAFETY: no pointer is passed. The M is in the run, and its thread lives.
    unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            libc::getpid(),
            mp.procid.load(Acquire),
            SIGNAL,
        )
    };
}

extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives an SA_SIGINFO handler a valid context.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    rt::os::in_handler(|| {
        let pc = registers[libc::REG_RIP as usize];
        let gp = rt::arch::in_gotext(pc as usize).then(rt::arch::getg);
        let Some(gp) = gp.filter(|gp| gp.preempt.load(Relaxed)) else {
            return log(gp, "it may not be stopped here");
        };
        log(Some(gp), "it is stopped here");
        make_it_call(registers);
    });
}

/// A goroutine has come to an instruction that there is not, and stands before it.
extern "C" fn on_ud2(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: as in `on_signal`.
    make_it_call(unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs });
}

/// The call that the goroutine did not make.
fn make_it_call(registers: &mut [i64; 23]) {
    STOPPED.fetch_add(1, Relaxed);
    // Below the stack pointer lie 128 bytes that may be in use.
    let sp = registers[libc::REG_RSP as usize] - 128 - 8;
    // SAFETY: the stack of a goroutine has room there (these have used little of it).
    unsafe { *(sp as *mut i64) = registers[libc::REG_RIP as usize] };
    registers[libc::REG_RSP as usize] = sp;
    registers[libc::REG_RIP as usize] = call_not_made as *const () as i64;
}

/// What [`user_log`] does, in a handler.
fn log(of: Option<&G>, text: &'static str) {
    let user_log = rt::trace::KINDS.iter().find(|kind| kind.name == "UserLog");
    let words = [text.as_ptr() as u64, text.len() as u64, 0];
    // Outside a goroutine's own code it may be about to leave its M, and the event that says so
    // may be recorded already: then this one is the M's.
    let of = of.unwrap_or(&rt::arch::getm().g0);
    rt::trace::emit_in_handler(user_log.expect("a kind of stage 1"), words, 0, of);
}

/// What an interrupted goroutine calls: saves what its code may have in use, yields, and goes
/// back. Its tables say that it was not called but interrupted its caller.
#[unsafe(naked)]
unsafe extern "C" fn call_not_made() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".cfi_def_cfa rsp, 136",
        ".cfi_offset rip, -136",
        "pushfq",
        ".cfi_adjust_cfa_offset 8",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_offset rbp, -152",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rax", "push rcx", "push rdx", "push rbx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
        ".cfi_offset rbx, -184", ".cfi_offset r12, -240", ".cfi_offset r13, -248",
        ".cfi_offset r14, -256", ".cfi_offset r15, -264",
        "cld",
        "sub rsp, 512",
        "and rsp, -16",
        "fxsave64 [rsp]",
        "call {yields}",
        "fxrstor64 [rsp]",
        "lea rsp, [rbp - 112]",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rbx", "pop rdx", "pop rcx", "pop rax",
        "pop rbp",
        ".cfi_restore rbp",
        ".cfi_def_cfa rsp, 144",
        "popfq",
        ".cfi_def_cfa_offset 136",
        "ret 128",
        ".cfi_endproc",
        yields = sym yields,
    )
}

extern "C" fn yields() {
    let stopped = rt::os::stopped();
    // SAFETY: on a goroutine; what it holds of its thread is behind it.
    unsafe { rt::arch::mcall(rt::sched::gopreempt_m) };
    stopped.goes_on();
}

// ---- In lockstep.

/// A loop without a check that never ends. In assembly, because these tests are not optimized: a
/// loop of the compiler's would be full of calls into `core`, which is not a goroutine's own code.
#[gofunc]
fn counts() {
    // SAFETY: it touches nothing.
    unsafe { asm!("2:", "jmp 2b", options(nomem, nostack)) };
}

/// A check.
#[gofunc]
fn checked() {}

/// The same as [`counts`], until the word is set.
#[gofunc]
fn counts_until(word: &AtomicBool) {
    // SAFETY: it reads the word, again and again.
    unsafe {
        asm!("2:", "cmp byte ptr [{word}], 0", "je 2b", word = in(reg) word.as_ptr(),
             options(nostack, readonly));
    }
}

/// Milliseconds of processor time that this process has used.
fn used() -> u64 {
    // SAFETY: the structure is ours, and all zeros is a value of it.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        let ms = |t: libc::timeval| t.tv_sec as u64 * 1_000 + t.tv_usec as u64 / 1_000;
        ms(usage.ru_utime) + ms(usage.ru_stime)
    }
}

/// `interrupted_loops LIMIT`: two loops for ever, one with a check, one that is written in assembly
/// and ends, and main, which sleeps. Says whether it took less than so many milliseconds of processor time.
fn interrupted_loops(args: &[String]) {
    let limit = args.first().and_then(|n| n.parse().ok()).unwrap_or(0);
    start(Runtime::new(&INTERRUPTS), move || {
        for _ in 0..2 {
            go("counts", counts);
        }
        go("checks", || {
            loop {
                checked();
                // In lockstep this takes no processor time, and it keeps the P.
                rt::os::usleep(500);
            }
        });
        go("spins", || {
            spin(50_000_000);
            user_log("it has had 50 ms");
        });
        sleep(Duration::from_millis(900));
        println!("stopped {} times", STOPPED.load(Relaxed));
        let used = used();
        if used > limit {
            println!("{used} ms of processor time");
        }
        exit(0);
    });
}

/// A loop that was declared to spin, is stopped, and ends when it is asked to. With two Ps it may
/// end on another thread than the one on which it was declared.
fn interrupted_loop_that_ends(_: &[String]) {
    static END: AtomicBool = AtomicBool::new(false);
    start(Runtime::new(&INTERRUPTS), || {
        let ended = WaitGroup::new();
        ended.add(1);
        let done = ended.clone();
        go("until", move || {
            counts_until(&END);
            done.done();
        });
        go("counts", counts);
        sleep(Duration::from_millis(100));
        let stopped = STOPPED.load(Relaxed);
        END.store(true, Relaxed);
        ended.wait();
        println!("stopped: {}", stopped > 4);
        exit(0);
    });
}

// ---- In a dump.

/// A function that stands before its first instruction. One byte before it is no function.
#[unsafe(naked)]
extern "C" fn before_it_begins() {
    naked_asm!(".cfi_startproc", "ud2", ".cfi_endproc")
}

/// Its caller, with the line of the call.
#[inline(never)]
fn calls_it(line: &AtomicU32) {
    line.store(line!() + 1, Relaxed);
    before_it_begins();
    black_box(line);
}

/// A function that stands before the first instruction of a line.
#[inline(never)]
fn before_a_line(line: &AtomicU32) {
    line.store(line!() + 2, Relaxed);
    // SAFETY: the handler does not go on here; nothing is read or written.
    unsafe { asm!("ud2") };
    black_box(line);
}

/// Three goroutines are stopped where no call was made, two of them at places that are known, and
/// then all are shown. Prints the lines of these places.
fn dump_of_interrupted(_: &[String]) {
    static LINES: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];
    start(Runtime::new(&INTERRUPTS).procs(1), || {
        go("function", || calls_it(&LINES[0]));
        go("line", || before_a_line(&LINES[1]));
        go("loop", counts);
        while STOPPED.load(Relaxed) < 3 {
            sleep(Duration::from_millis(1));
        }
        let [function, line] = LINES.each_ref().map(|line| line.load(Relaxed));
        println!("function:{function} line:{line}");
        rt::last_words::throw("look around");
    });
}
