//! The switch: leaving one stack in the middle of a function and going on with another.
//!
//! An M has a scheduler stack, `g0`, and runs goroutines on theirs. [`gogo`] goes from `g0`
//! to a goroutine; [`mcall`] comes back and says what to do with the goroutine that was
//! left. Mirrors `gogo`, `mcall` and `systemstack` of Go's `asm_amd64.s`, with one
//! difference: Go's `mcall` enters a *fresh* frame on `g0` each time and never returns from
//! it. Here `gogo` is a call that returns when the goroutine comes back. Rust's frames have
//! destructors, and a scheduler that forgets frames would forget those; besides, calls and
//! returns stay paired, which the processor's return predictor thanks with 10 ns.
//!
//! The chapter *Two stacks and a switch* draws the stacks.
//!
//! Tests: `check::switch`.

use crate::arch::tls::getg;
use crate::gmp::{G, M};
use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// What `g0` does with a goroutine that came off the processor: Go's functions whose names
/// end in `_m`. Returns the goroutine to go on with at once, or `None` to ask `schedule`.
pub type McallFn = fn(&'static G) -> Option<&'static G>;

/// Goes to the goroutine `gp`; returns when it calls [`mcall`], with what it asked for and
/// itself. Go's `gogo`.
///
/// # Safety
/// The caller runs on `mp.g0`. `gp.sched` holds a context that no other thread will resume:
/// `gp` belongs to the caller (status running, `gp.m` is `mp`).
#[inline(always)]
pub unsafe fn gogo(mp: &'static M, gp: &'static G) -> (McallFn, &'static G) {
    let f: usize;
    let back: *const G;
    let gp: *const G = gp;
    // What the assembly does, stack by stack:
    //
    //        g0's stack                      gp's stack
    //   ... caller of gogo              ... caller of mcall
    //   rbx, rbp (pushed here)          rbx, rbp (pushed by mcall)
    //   ^-- g0.sched.sp                 ^-- gp.sched.sp
    //
    // rbx and rbp cannot be named as clobbers (LLVM keeps them), so they are pushed; all
    // others are declared lost, and the compiler saves what it needs and no more. The jump
    // through a register, not `ret`: the return predictor never hears of the switch.
    //
    // SAFETY: the compiler is told of every register that does not survive. Memory: no
    // `nomem`, so it assumes that all of it may have changed.
    unsafe {
        // ANCHOR: gogo
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "mov [rcx + {PC}], rax",
            "mov [rcx + {SP}], rsp",
            "mov fs:[go_tls_g@tpoff], rdx",
            "mov rsp, [rdx + {SP}]",
            "mov rbp, [rdx + {BP}]",
            "jmp qword ptr [rdx + {PC}]",
            "2:", // here from mcall: rax = f, rdx = the goroutine that left
            "pop rbp",
            "pop rbx",
            PC = const offset_of!(G, sched.pc),
            SP = const offset_of!(G, sched.sp),
            BP = const offset_of!(G, sched.bp),
            inlateout("rcx") &mp.g0 => _,
            inlateout("rdx") gp => back,
            lateout("rax") f,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("C"),
        );
        // ANCHOR_END: gogo
        (std::mem::transmute::<usize, McallFn>(f), &*back)
    }
}

/// Leaves the current goroutine: its context is saved and `f` runs on `g0` with it. Returns
/// when the goroutine is `execute`d again, perhaps on another M. Go's `mcall`.
///
/// # Safety
/// The caller runs on a goroutine, and holds nothing that is tied to this thread: it may
/// come back on another. It is a function that is never inlined into a goroutine's own code.
#[inline(always)]
pub unsafe fn mcall(f: McallFn) {
    let gp = getg();
    // SAFETY: as in `gogo`. `gp.m` is the M that runs us, and its `g0.sched` was saved by
    // the `gogo` that brought us here.
    unsafe {
        // ANCHOR: mcall
        asm!(
            "push rbx",
            "push rbp",
            // The floating-point control words are the callee's to preserve, too. They are
            // nearly always at their defaults, which every switch leaves behind: so only a
            // goroutine that changed them pays for loading them.
            "sub rsp, 8",
            "stmxcsr [rsp]",
            "fnstcw [rsp + 4]",
            "mov ecx, [rsp]",
            "and ecx, 0xffc0", // not the sticky exception flags
            "cmp ecx, 0x1f80",
            "jne 3f",
            "cmp word ptr [rsp + 4], 0x37f",
            "je 4f",
            "3:",
            "push 0x1f80",
            "ldmxcsr [rsp]",
            "mov word ptr [rsp], 0x37f",
            "fldcw [rsp]",
            "add rsp, 8",
            "4:",
            "lea rcx, [rip + 2f]",
            "mov [rdx + {PC}], rcx",
            "mov [rdx + {SP}], rsp",
            "mov [rdx + {BP}], rbp",
            "mov rcx, [rdx + {M}]",
            "add rcx, {G0}",
            "mov fs:[go_tls_g@tpoff], rcx",
            "mov rsp, [rcx + {SP}]",
            "jmp qword ptr [rcx + {PC}]",
            "2:", // here from gogo
            "mov ecx, [rsp]",
            "and ecx, 0xffc0",
            "cmp ecx, 0x1f80",
            "jne 5f",
            "cmp word ptr [rsp + 4], 0x37f",
            "je 6f",
            "5:",
            "ldmxcsr [rsp]",
            "fldcw [rsp + 4]",
            "6:",
            "add rsp, 8",
            "pop rbp",
            "pop rbx",
            PC = const offset_of!(G, sched.pc),
            SP = const offset_of!(G, sched.sp),
            BP = const offset_of!(G, sched.bp),
            M = const offset_of!(G, m),
            G0 = const offset_of!(M, g0),
            inlateout("rax") f as usize => _,
            inlateout("rdx") gp => _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("C"),
        );
        // ANCHOR_END: mcall
    }
}

/// The floating-point control words of a thread: rounding, masks, flush-to-zero. The ABI
/// makes them the callee's to preserve.
#[derive(Clone, Copy)]
pub(crate) struct FpControls {
    mxcsr: u32,
    x87: u16,
}

/// Loads the defaults, which every `g0` runs with and every goroutine begins with, and
/// returns what was there.
pub(crate) fn default_fp_controls() -> FpControls {
    let mut was = FpControls { mxcsr: 0, x87: 0 };
    // SAFETY: both instructions store into our own words.
    unsafe {
        asm!("stmxcsr [{}]", in(reg) &raw mut was.mxcsr, options(nostack, preserves_flags));
        asm!("fnstcw [{}]", in(reg) &raw mut was.x87, options(nostack, preserves_flags));
    }
    set_fp_controls(FpControls {
        mxcsr: 0x1f80,
        x87: 0x37f,
    });
    was
}

/// Loads these control words. The sticky exception flags of MXCSR come with them.
pub(crate) fn set_fp_controls(to: FpControls) {
    // SAFETY: both values were stored by the processor, or are its defaults.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const to.mxcsr, options(nostack, preserves_flags));
        asm!("fldcw [{}]", in(reg) &raw const to.x87, options(nostack, preserves_flags));
    }
}

/// Runs `f` on the M's `g0` stack and returns: for work that needs room, or that must not
/// be counted as the goroutine's own. Go's `systemstack`. Already on `g0` (or on a foreign
/// thread) it is a plain call. Never inlined into a goroutine's own code, as all that looks at its
/// M.
#[inline(never)]
pub fn systemstack<F: FnOnce()>(f: F) {
    extern "C" fn call<F: FnOnce()>(f: *mut Option<F>) {
        // SAFETY: `f` points at the Option on the caller's stack, which waits for us.
        if let Some(f) = unsafe { (*f).take() } {
            crate::throw::no_panic(f);
        }
    }
    if !crate::arch::on_goroutine() {
        return f();
    }
    let gp = getg();
    let mp = crate::arch::getm();
    let mut f = Some(f);
    // SAFETY: we are on a goroutine, so `g0` is parked inside `gogo` and the stack below
    // its saved pointer is free. `call` does not unwind.
    unsafe {
        let sp = mp.g0.sched.sp.get();
        crate::arch::setg(&mp.g0);
        on_stack((&raw mut f).cast(), call::<F> as *const () as usize, sp);
        crate::arch::setg(gp);
    }
}

/// Calls `f(arg)` with the stack pointer `sp`. The old stack pointer waits in `rbp`, and the
/// CFI says so: a debugger walks from `f` back into the goroutine.
#[unsafe(naked)]
pub(crate) unsafe extern "C-unwind" fn on_stack(arg: *mut (), f: usize, sp: usize) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdx",
        "and rsp, -16",
        "call rsi", // rdi = arg
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

/// Asks the processor for the top of a stack that will be needed soon.
#[inline(always)]
pub(crate) fn prefetch_stack(gp: &G) {
    prefetch(gp.sched.sp.get(), 3);
}

/// Asks the processor for the first lines of a stack that begins at `hi`.
#[inline(always)]
pub(crate) fn prefetch_below(hi: usize) {
    prefetch(hi - 4 * 64, 4);
}

/// Asks the processor for a G that will be needed soon: the lines for waking and running it.
#[inline(always)]
pub(crate) fn prefetch_g(gp: &G) {
    prefetch(std::ptr::from_ref(gp) as usize, 3);
}

#[inline(always)]
fn prefetch(at: usize, lines: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in 0..lines {
        // SAFETY: a prefetch of any address, mapped or not, has no effect but on caches.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(64 * line) as *const i8) };
    }
}
