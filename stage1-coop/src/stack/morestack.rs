//! `morestack`: where the guard check goes when it fails.
//!
//! The check stands at the start of a function, but the compiler may have kept anything in
//! any register across it, so everything is saved: the general registers by hand, the
//! vector and floating-point state by `XSAVEC`, or its older forms, with the mask that this
//! processor and kernel support. Then `newstack` decides on `g0`. Mirrors `runtime·morestack` of `asm_amd64.s`;
//! Go's saves less, because Go's compiler promises that nothing lives in a register there.
//! The chapter *The check and the flag* follows the whole way.
//!
//! Tests: `check::registers`.

use crate::stack::newstack::morestack_entry;
use crate::stack::save_area::{SAVE_FORM, SAVE_MASK, SAVE_SIZE};
use std::arch::naked_asm;

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
        "cmp qword ptr [rip + {form}], 2",
        "jb 3f",
        // These leave most of the header alone and XRSTOR wants it zero.
        "mov eax, 0",
        "mov [rsp+512], rax", "mov [rsp+520], rax", "mov [rsp+528], rax", "mov [rsp+536], rax",
        "mov [rsp+544], rax", "mov [rsp+552], rax", "mov [rsp+560], rax", "mov [rsp+568], rax",
        "mov rax, [rip + {mask}]",
        "mov edx, 0",
        "je 2f",
        "xsavec64 [rsp]",
        "jmp 5f",
        "2:",
        "xsave64 [rsp]",
        "5:",
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
        size = sym SAVE_SIZE,
        mask = sym SAVE_MASK,
        form = sym SAVE_FORM,
        newstack = sym morestack_entry,
    )
}
