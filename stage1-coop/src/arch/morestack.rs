//! `morestack`: where the guard check goes when it fails.
//!
//! The check stands at the start of a function, but the compiler may have kept anything in
//! any register across it, so everything is saved: the general registers by hand, the
//! vector and floating-point state by `XSAVEC` with the mask that this processor and kernel
//! support. Then `newstack` decides on `g0`. Mirrors `runtime·morestack` of `asm_amd64.s`;
//! Go's saves less, because Go's compiler promises that nothing lives in a register there.
//! The chapter *The check and the flag* follows the whole way.

use std::arch::naked_asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// State components to save, 0 for a processor without `XSAVEC` (then `FXSAVE`).
static XSAVE_MASK: AtomicU64 = AtomicU64::new(0);
/// Bytes that they need, a multiple of 64.
static XSAVE_SIZE: AtomicU64 = AtomicU64::new(512);

/// x87, SSE, AVX, opmask and the two halves of AVX-512. Not PKRU, which is the thread's.
const WANTED: u64 = 0xe7;

/// Asks the processor what there is to save. Called once per run, before any check can
/// fail.
pub fn morestackinit() {
    let leaf1 = __cpuid(1);
    let (xsave, osxsave) = (leaf1.ecx & (1 << 26) != 0, leaf1.ecx & (1 << 27) != 0);
    if !(xsave && osxsave && __cpuid_count(0xd, 1).eax & 2 != 0) {
        return;
    }
    // SAFETY: OSXSAVE says that XGETBV may be used.
    let xcr0 = unsafe { xcr0() };
    // EBX of leaf 0xd/0 counts the uncompacted area of all enabled components: never less
    // than the compacted area of some.
    let size = u64::from(__cpuid_count(0xd, 0).ebx);
    XSAVE_SIZE.store(size.next_multiple_of(64), Relaxed);
    XSAVE_MASK.store(WANTED & xcr0, Relaxed);
}

#[target_feature(enable = "xsave")]
unsafe fn xcr0() -> u64 {
    // SAFETY: XCR0 exists where XSAVE does.
    unsafe { _xgetbv(0) }
}

/// The slow path of the guard check. Entered with every register live; goes back with every
/// register as it was (flags excepted), perhaps much later and on another thread.
///
/// The check comes by a jump, with the address to go back to on the stack, so the way back
/// is a jump too: a `ret` without a `call` would make the processor's return predictor wrong
/// about every return that follows.
///
/// # Safety
/// Only the check may enter here, on a goroutine's stack.
#[unsafe(naked)]
pub unsafe extern "C" fn morestack() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        // The caller's registers. The six that a call preserves are preserved by newstack's
        // own switch, but a dump should find them all here.
        "push rax", "push rcx", "push rdx", "push rbx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
        ".cfi_offset rbx, -48", ".cfi_offset r12, -104", ".cfi_offset r13, -112",
        ".cfi_offset r14, -120", ".cfi_offset r15, -128",
        "sub rsp, [rip + {size}]",
        "and rsp, -64",
        "mov rax, [rip + {mask}]",
        "test rax, rax",
        "jz 3f",
        // XSAVEC leaves most of the header alone and XRSTOR wants it zero.
        "xor edx, edx",
        "mov [rsp+512], rdx", "mov [rsp+520], rdx", "mov [rsp+528], rdx", "mov [rsp+536], rdx",
        "mov [rsp+544], rdx", "mov [rsp+552], rdx", "mov [rsp+560], rdx", "mov [rsp+568], rdx",
        "xsavec64 [rsp]",
        "lea rdi, [rbp + 16]", // the stack pointer that was compared
        "call {newstack}",
        "xor edx, edx",
        "mov rax, [rip + {mask}]",
        "xrstor64 [rsp]",
        "jmp 4f",
        "3:",
        "fxsave64 [rsp]",
        "lea rdi, [rbp + 16]",
        "call {newstack}",
        "fxrstor64 [rsp]",
        "4:",
        "lea rsp, [rbp - 112]",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rbx", "pop rdx", "pop rcx", "pop rax",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "lea rsp, [rsp + 8]",
        ".cfi_def_cfa_offset 0",
        // Still there: whatever interrupts us here leaves 128 bytes below rsp alone.
        "jmp qword ptr [rsp - 8]",
        ".cfi_endproc",
        size = sym XSAVE_SIZE,
        mask = sym XSAVE_MASK,
        newstack = sym crate::newstack::morestack_entry,
    )
}
