//! Walking a stack: the frames of code that runs, and of a goroutine that was left in the middle
//! of a function.
//!
//! The compiler's tables say how each frame is undone, whatever flags the program was built
//! with; frame pointers would need one of them. They say it for every instruction, so also
//! before a function has built its frame, and when it has taken it down. The unwinder that reads
//! the tables can only begin where it is called. But it believes whatever the tables say about
//! the caller of its caller: so [`call_from`] has tables of its own, by which it interrupted the
//! code at the place where the goroutine stands. Mirrors `gentraceback`, which has Go's tables.
//!
//! A frame's address is nearly always that of an instruction *after* a call, which may belong to
//! another line or even to another function: what the frame is at is one byte before. Of code
//! that was interrupted it is the instruction itself. A function that code seems to have called
//! there says so in its tables (`.cfi_signal_frame`); then the walk goes on over it.
//!
//! Tests: below (every instruction has its callers);
//! `interrupted::a_dump_shows_where_a_goroutine_was_interrupted`,
//! `last_words::throws::a_dump_needs_no_frame_pointers`.

use crate::gmp::G;
use std::arch::naked_asm;
use std::ffi::c_void;
use std::mem::offset_of;

/// Frames that are followed at most: a whole stack of the smallest ones.
const MAX_FRAMES: usize = 1 << 14;

/// Registers of code that stands still: those that a function's tables may build upon.
#[repr(C)]
struct Standing {
    sp: usize,
    pc: usize,
    bp: usize,
    bx: usize,
}

type Callback = extern "C" fn(*mut c_void, *mut c_void) -> i32;

unsafe extern "C" {
    fn _Unwind_Backtrace(each: Callback, argument: *mut c_void) -> i32;
    fn _Unwind_GetIPInfo(frame: *mut c_void, interrupted: *mut i32) -> usize;
    fn _Unwind_GetCFA(frame: *mut c_void) -> usize;
    fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
}

/// One frame of a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pc: usize,
    /// The code was interrupted or left at `pc`. Otherwise `pc` is where its call returns to.
    exact: bool,
}

impl Frame {
    /// Code that stands at `pc`.
    fn at(pc: usize) -> Frame {
        Frame { pc, exact: true }
    }

    /// For readers of tables, which all take what they get for a return address and look at the
    /// byte before it.
    pub(crate) fn returns_to(self) -> usize {
        self.pc + usize::from(self.exact)
    }

    /// How many bytes behind the beginning of its function the frame goes on, if the tables know
    /// the function.
    pub(crate) fn offset(self) -> Option<usize> {
        // SAFETY: a search in read-only tables; any address may be asked for.
        let entry = unsafe { _Unwind_FindEnclosingFunction(self.returns_to() as *mut c_void) };
        let entry = entry as usize;
        (entry != 0).then(|| self.pc - entry)
    }
}

/// What is found on the way.
struct Walk {
    frames: Vec<Frame>,
    /// Frames at the beginning that are not wanted.
    skip: usize,
    /// Where the stack pointer of a frame may be; it only grows.
    lo: usize,
    hi: usize,
}

/// One frame. Anything but 0 ends the walk.
extern "C" fn each(frame: *mut c_void, walk: *mut c_void) -> i32 {
    let mut interrupted = 0;
    // SAFETY: the unwinder hands on what the call of `_Unwind_Backtrace` below gave it, and a frame of its own.
    let (walk, pc, sp) = unsafe {
        (
            &mut *walk.cast::<Walk>(),
            _Unwind_GetIPInfo(frame, &mut interrupted),
            _Unwind_GetCFA(frame),
        )
    };
    if walk.skip > 0 {
        walk.skip -= 1;
        return 0;
    }
    if pc == 0 || walk.frames.len() >= MAX_FRAMES || !(walk.lo..=walk.hi).contains(&sp) {
        return 1;
    }
    walk.lo = sp;
    walk.frames.push(Frame {
        pc,
        exact: interrupted != 0,
    });
    0
}

/// The frames of the caller and of its callers, innermost first.
#[inline(never)]
pub(crate) fn callers() -> Vec<Frame> {
    let mut walk = Walk {
        frames: Vec::new(),
        skip: 1,
        lo: 0,
        hi: usize::MAX,
    };
    // SAFETY: the unwinder reads this thread's own stack; the callback never unwinds.
    unsafe { _Unwind_Backtrace(each, (&raw mut walk).cast()) };
    walk.frames
}

/// The frames of a goroutine that does not run, from where it stands. `lo` is the lowest address
/// of its stack that is mapped.
///
/// # Safety
/// The goroutine has a stack, and does not run meanwhile.
pub(crate) unsafe fn switched_out(gp: &G, lo: usize) -> Vec<Frame> {
    let hi = gp.stack.hi.get();
    let mut at = Standing {
        sp: gp.sched.sp.get(),
        pc: gp.sched.pc.get(),
        bp: gp.sched.bp.get(),
        bx: 0,
    };
    // One that has not run yet stands at the very top of its stack.
    if !(lo..hi - SAVED).contains(&at.sp) {
        return vec![Frame::at(at.pc)];
    }
    if left_by_mcall(at.pc) {
        // SAFETY: `mcall` has pushed these words below the frame of the function that it is
        // inlined into; they were tested to lie inside the stack.
        at.bx = unsafe { *((at.sp + SAVED - 8) as *const usize) };
        at.sp += SAVED;
    }
    // SAFETY: the registers are those of the goroutine, which does not move.
    unsafe { standing(&at, hi) }
}

/// The frames of code that stands still with these registers. No frame lies above `hi`.
///
/// # Safety
/// The registers are those of the code, whose stack does not change meanwhile.
unsafe fn standing(at: &Standing, hi: usize) -> Vec<Frame> {
    let mut walk = Walk {
        frames: Vec::new(),
        // `call_from` itself.
        skip: 1,
        lo: at.sp,
        hi,
    };
    // SAFETY: the caller's promise.
    unsafe { call_from(at, each, (&raw mut walk).cast()) };
    walk.frames
}

/// Bytes that `mcall` pushes: the control words, `rbp` and `rbx`.
const SAVED: usize = 24;

/// Whether `pc` is where `mcall` goes on: at its two first instructions. A system call leaves
/// another place, with nothing pushed.
fn left_by_mcall(pc: usize) -> bool {
    // mov ecx, [rsp]; and ecx, 0xffc0
    const BACK: [u8; 9] = [0x8b, 0x0c, 0x24, 0x81, 0xe1, 0xc0, 0xff, 0x00, 0x00];
    // SAFETY: an address of this program's code, which `mcall` or `here` saved; neither stands
    // at the end of a section.
    unsafe { *(pc as *const [u8; 9]) == BACK }
}

/// Calls `_Unwind_Backtrace(each, argument)`, and its tables say that it interrupted the code at
/// `at`: the stack pointer there is the word at `rbx`, and the three other registers
/// were saved in the words behind it.
#[unsafe(naked)]
unsafe extern "C" fn call_from(at: *const Standing, each: Callback, argument: *mut c_void) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "mov rbx, rdi",
        // DW_CFA_def_cfa_expression: the word at rbx + SP (DW_OP_breg3, DW_OP_deref).
        ".cfi_escape 0x0f, 3, 0x73, {sp}, 0x06",
        // DW_CFA_expression: rip (16), rbp (6) and rbx (3) are at rbx + ... (DW_OP_breg3).
        ".cfi_escape 0x10, 16, 2, 0x73, {pc}",
        ".cfi_escape 0x10, 6, 2, 0x73, {bp}",
        ".cfi_escape 0x10, 3, 2, 0x73, {bx}",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "call {backtrace}",
        "pop rbx",
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbx",
        ".cfi_restore rbp",
        ".cfi_offset rip, -8",
        "ret",
        ".cfi_endproc",
        sp = const offset_of!(Standing, sp),
        pc = const offset_of!(Standing, pc),
        bp = const offset_of!(Standing, bp),
        bx = const offset_of!(Standing, bx),
        backtrace = sym _Unwind_Backtrace,
    )
}

#[cfg(test)]
mod tests {
    use super::{Frame, Standing, standing};
    use std::arch::naked_asm;
    use std::hint::black_box;
    use std::sync::Mutex;

    /// Calls `f(n)` with the processor's trap flag up: after each instruction the thread gets a
    /// SIGTRAP.
    #[unsafe(naked)]
    extern "C" fn stepped(f: extern "C" fn(u64) -> u64, n: u64) -> u64 {
        naked_asm!(
            ".cfi_startproc",
            "push rbp",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset rbp, -16",
            "mov rbp, rsp",
            ".cfi_def_cfa_register rbp",
            "mov rax, rdi",
            "mov rdi, rsi",
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            "call rax",
            "pushfq",
            "and qword ptr [rsp], ~0x100",
            "popfq",
            "pop rbp",
            ".cfi_def_cfa rsp, 8",
            "ret",
            ".cfi_endproc",
        )
    }

    /// What the stepped code did, read off its instructions: the addresses to return to, outermost
    /// first, each with the word of the stack that holds it.
    struct Steps {
        calls: Vec<(usize, usize)>,
        pc: usize,
        sp: usize,
        /// Steps whose frames were compared, and how many frames those had at most.
        compared: usize,
        deepest: usize,
        wrong: Vec<String>,
    }

    static STEPS: Mutex<Steps> = Mutex::new(Steps {
        calls: Vec::new(),
        pc: 0,
        sp: 0,
        compared: 0,
        deepest: 0,
        wrong: Vec::new(),
    });

    impl Steps {
        /// The code has come to `at`: was the last instruction a call or a return?
        fn follow(&mut self, at: &Standing) {
            // SAFETY: the stack pointer of code that was interrupted.
            let top = unsafe { *(at.sp as *const usize) };
            let pushed = at.sp + 8 == self.sp && (2..8).contains(&top.wrapping_sub(self.pc));
            if pushed && top != at.pc {
                self.calls.push((top, at.sp));
            } else if self.calls.last() == Some(&(at.pc, at.sp - 8)) {
                self.calls.pop();
            }
            (self.pc, self.sp) = (at.pc, at.sp);
        }

        fn compare(&mut self, at: &Standing) {
            // SAFETY: the code waits in its handler, on the same stack, further down.
            let frames = unsafe { standing(at, usize::MAX) };
            let calls = self.calls.iter().rev();
            let callers = calls.map(|&(pc, _)| Frame { pc, exact: false });
            let expected: Vec<Frame> = std::iter::once(Frame::at(at.pc)).chain(callers).collect();
            if !frames.starts_with(&expected) {
                let function = frames.first().and_then(|f| f.offset());
                self.wrong
                    .push(format!("at +{function:x?}: {frames:x?}, not {expected:x?}"));
            }
            self.compared += 1;
            self.deepest = self.deepest.max(expected.len());
        }
    }

    extern "C" fn on_step(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel gives an SA_SIGINFO handler a valid context.
        let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
        let register = |which: libc::c_int| registers[which as usize] as usize;
        let at = Standing {
            sp: register(libc::REG_RSP),
            pc: register(libc::REG_RIP),
            bp: register(libc::REG_RBP),
            bx: register(libc::REG_RBX),
        };
        let mut steps = STEPS.lock().expect("no panic while it is held");
        steps.follow(&at);
        if !steps.calls.is_empty() {
            steps.compare(&at);
        }
    }

    /// Small enough to have no frame of its own in an optimized build.
    #[inline(never)]
    extern "C" fn leaf(n: u64) -> u64 {
        black_box(n).wrapping_mul(31)
    }

    /// Keeps values over calls, in registers and on the stack.
    #[inline(never)]
    extern "C" fn branch(n: u64) -> u64 {
        let mut kept = [n; 5];
        for i in 0..kept.len() {
            kept[i] = leaf(kept[i] + i as u64) ^ leaf(n + 1);
        }
        let [a, b, c, d, e] = black_box(kept);
        a + leaf(b) + leaf(c) * d + e
    }

    /// A frame of several pages, and a drop.
    #[inline(never)]
    extern "C" fn root(n: u64) -> u64 {
        struct Last(u64);
        impl Drop for Last {
            fn drop(&mut self) {
                black_box(leaf(self.0));
            }
        }
        let pages = black_box([n as u8; 9_000]);
        let _last = Last(branch(n));
        branch(u64::from(pages[n as usize])) + leaf(n)
    }

    /// The unwinder finds the callers from every instruction of these functions: before a frame
    /// is built, while it is, and when it is gone.
    #[test]
    fn every_instruction_has_its_callers() {
        let old = unsafe {
            // SAFETY: a zeroed sigaction is a valid value; only the stepped thread gets a SIGTRAP,
            // and what it steps through takes no lock and allocates nothing.
            let (mut new, mut old): (libc::sigaction, libc::sigaction) =
                (std::mem::zeroed(), std::mem::zeroed());
            new.sa_sigaction = on_step as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO;
            libc::sigfillset(&mut new.sa_mask);
            libc::sigaction(libc::SIGTRAP, &new, &mut old);
            old
        };
        let plain = root(3);
        assert_eq!(stepped(root, 3), plain);
        // SAFETY: the kernel filled it in.
        unsafe { libc::sigaction(libc::SIGTRAP, &old, std::ptr::null_mut()) };
        let steps = STEPS.lock().expect("no panic while it is held");
        assert!(steps.wrong.is_empty(), "{:#?}", steps.wrong);
        assert!(steps.calls.is_empty() && steps.deepest >= 4);
        assert!(steps.compared > 300, "{}", steps.compared);
        println!("{} instructions", steps.compared);
    }
}
