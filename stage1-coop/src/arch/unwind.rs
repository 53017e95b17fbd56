//! Walking a stack: the return addresses of code that runs, and of a goroutine that was left
//! in the middle of a function.
//!
//! The compiler's tables say how each frame is undone, whatever flags the program was built
//! with; frame pointers would need one of them. The unwinder that reads the tables can only
//! begin where it is called. But it believes whatever the tables say about the caller of its
//! caller: so [`call_from`] has tables of its own, by which it was called from the place
//! where the goroutine stands. Mirrors `gentraceback`, which has Go's tables.
//!
//! Tests: `last_words::throws::a_dump_needs_no_frame_pointers`,
//! `last_words::panics::a_dump_shows_the_program_s_own_frames_as_go_does`.

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
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
    fn _Unwind_GetCFA(frame: *mut c_void) -> usize;
    fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;
}

/// What is found on the way.
struct Walk {
    pcs: Vec<usize>,
    /// Frames at the beginning that are not wanted.
    skip: usize,
    /// Where the stack pointer of a frame may be; it only grows.
    lo: usize,
    hi: usize,
}

/// One frame. Anything but 0 ends the walk.
extern "C" fn each(frame: *mut c_void, walk: *mut c_void) -> i32 {
    // SAFETY: the unwinder hands on what the call of `_Unwind_Backtrace` below gave it, and a frame of its own.
    let (walk, pc, sp) = unsafe {
        (
            &mut *walk.cast::<Walk>(),
            _Unwind_GetIP(frame),
            _Unwind_GetCFA(frame),
        )
    };
    if walk.skip > 0 {
        walk.skip -= 1;
        return 0;
    }
    if pc == 0 || walk.pcs.len() >= MAX_FRAMES || !(walk.lo..=walk.hi).contains(&sp) {
        return 1;
    }
    walk.lo = sp;
    walk.pcs.push(pc);
    0
}

/// The return addresses of the caller and of its callers, innermost first.
#[inline(never)]
pub(crate) fn callers() -> Vec<usize> {
    let mut walk = Walk {
        pcs: Vec::new(),
        skip: 1,
        lo: 0,
        hi: usize::MAX,
    };
    // SAFETY: the unwinder reads this thread's own stack; the callback never unwinds.
    unsafe { _Unwind_Backtrace(each, (&raw mut walk).cast()) };
    walk.pcs
}

/// The return addresses of a goroutine that does not run, from where it stands. `lo` is the
/// lowest address of its stack that is mapped.
///
/// # Safety
/// The goroutine has a stack, and does not run meanwhile.
pub(crate) unsafe fn switched_out(gp: &G, lo: usize) -> Vec<usize> {
    let hi = gp.stack.hi.get();
    let mut at = Standing {
        sp: gp.sched.sp.get(),
        pc: gp.sched.pc.get(),
        bp: gp.sched.bp.get(),
        bx: 0,
    };
    // One that has not run yet stands at the very top of its stack.
    if !(lo..hi - SAVED).contains(&at.sp) {
        return vec![at.pc];
    }
    if left_by_mcall(at.pc) {
        // SAFETY: `mcall` has pushed these words below the frame of the function that it is
        // inlined into; they were tested to lie inside the stack.
        at.bx = unsafe { *((at.sp + SAVED - 8) as *const usize) };
        at.sp += SAVED;
    }
    let mut walk = Walk {
        pcs: Vec::new(),
        // `call_from` itself.
        skip: 1,
        lo: at.sp,
        hi,
    };
    // SAFETY: the registers are those of the goroutine, which does not move.
    unsafe { call_from(&at, each, (&raw mut walk).cast()) };
    walk.pcs
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

/// Calls `_Unwind_Backtrace(each, argument)`, and its tables say that it was called by the
/// code at `at`: the stack pointer there is the word at `rbx`, and the three other registers
/// were saved in the words behind it.
#[unsafe(naked)]
unsafe extern "C" fn call_from(at: *const Standing, each: Callback, argument: *mut c_void) {
    naked_asm!(
        ".cfi_startproc",
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

/// Where the function around `pc` begins: what the tables say.
pub(crate) fn entry(pc: usize) -> Option<usize> {
    // SAFETY: a search in read-only tables; any address may be asked for.
    let entry = unsafe { _Unwind_FindEnclosingFunction(pc as *mut c_void) } as usize;
    (entry != 0 && entry < pc).then_some(entry)
}
