//! Every register, and back. The interrupted function knows nothing of this call, so not one
//! register, flag or control word may differ when it is over, perhaps much later and on another
//! thread. Mirrors `asyncPreempt` of `preempt_amd64.s`, which a program writes for Go; the chapter
//! is *Every register, and back*.
//!
//! Everything is saved on the goroutine's own stack, which stays where it is, and where a
//! collector finds it. (Go 1.26 keeps the vectors elsewhere, because its stacks are small and
//! move.) `XSAVEC` with the mask of what processor and kernel support, or its older forms: as
//! `morestack` does it, with the same words.
//!
//! ```text
//!   rbp + 144   the function's rsp
//!   rbp + 16    its red zone, 128 bytes
//!   rbp + 8     where it goes on
//!   rbp         its rbp: a walk along frame pointers passes here
//!   rbp - 8     flags
//!   rbp - 120   rax rcx rdx rbx rsi rdi r8 ... r15, downwards
//!               the XSAVE area, aligned to 64
//! ```
//!
//! The unwind information is complete and says that this is a signal's frame: a debugger or a
//! dump walks through it to the very instruction, and finds the caller's registers in their
//! places.
//!
//! Tests: `asynchronous`.

use crate::inject::async_preempt2::async_preempt2;
use stage2_sysmon::rt::stack::{SAVE_FORM, SAVE_MASK, SAVE_SIZE};
use std::arch::naked_asm;

/// The row `async_preempt` of this stage: where `push_call` sends an interrupted goroutine.
///
/// # Safety
/// Entered by `push_call` alone.
// `ret 128` at the end takes the red zone with it. A jump back would have to read its target
// from below the stack pointer that it goes back with, by more than the kernel leaves alone.
// ANCHOR: async_preempt
#[unsafe(naked)]
pub unsafe extern "C" fn async_preempt() {
    naked_asm!(
        ".cfi_startproc", ".cfi_signal_frame",
        ".cfi_def_cfa rsp, 136", ".cfi_offset rip, -136",
        "push rbp",
        ".cfi_def_cfa_offset 144", ".cfi_offset rbp, -144",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "pushfq",
        "push rax", "push rcx", "push rdx", "push rbx", "push rsi", "push rdi",
        "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14", "push r15",
        ".cfi_offset 49, -152", // the flags
        ".cfi_offset rax, -160", ".cfi_offset rcx, -168", ".cfi_offset rdx, -176",
        ".cfi_offset rbx, -184", ".cfi_offset rsi, -192", ".cfi_offset rdi, -200",
        ".cfi_offset r8, -208", ".cfi_offset r9, -216", ".cfi_offset r10, -224",
        ".cfi_offset r11, -232", ".cfi_offset r12, -240", ".cfi_offset r13, -248",
        ".cfi_offset r14, -256", ".cfi_offset r15, -264",
        "cld", // as every function expects it
        "sub rsp, [rip + {size}]",
        "and rsp, -64",
        "cmp qword ptr [rip + {form}], 2",
        "jb 3f",
        // These leave most of the header alone and XRSTOR wants it zero.
        "mov eax, 0",
        "mov [rsp+512], rax", "mov [rsp+520], rax", "mov [rsp+528], rax", "mov [rsp+536], rax",
        "mov [rsp+544], rax", "mov [rsp+552], rax", "mov [rsp+560], rax", "mov [rsp+568], rax",
        "mov rax, [rip + {mask}]", "mov edx, 0",
        "je 2f",
        "xsavec64 [rsp]",
        "jmp 4f",
        "2:", "xsave64 [rsp]",
        "jmp 4f",
        "3:", "fxsave64 [rsp]",
        // Rust's code runs with the default control words, an empty x87 stack, and clean upper
        // halves: SSE instructions are slow beside dirty ones.
        "4:", "fninit",
        "push 0x1f80", "ldmxcsr [rsp]", "add rsp, 8",
        "test byte ptr [rip + {mask}], 4",
        "jz 5f",
        "vzeroupper",
        "5:", "call {async_preempt2}",
        "cmp qword ptr [rip + {form}], 2",
        "jb 6f",
        "mov rax, [rip + {mask}]", "xor edx, edx",
        "xrstor64 [rsp]",
        "jmp 7f",
        "6:", "fxrstor64 [rsp]",
        "7:", "lea rsp, [rbp - 120]",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
        "pop rdi", "pop rsi", "pop rbx", "pop rdx", "pop rcx", "pop rax",
        ".cfi_same_value rax", ".cfi_same_value rcx", ".cfi_same_value rdx", ".cfi_same_value rbx",
        ".cfi_same_value rsi", ".cfi_same_value rdi", ".cfi_same_value r8", ".cfi_same_value r9",
        ".cfi_same_value r10", ".cfi_same_value r11", ".cfi_same_value r12",
        ".cfi_same_value r13", ".cfi_same_value r14", ".cfi_same_value r15",
        "popfq",
        ".cfi_same_value 49",
        "pop rbp",
        ".cfi_def_cfa rsp, 136", ".cfi_same_value rbp",
        "ret 128",
        ".cfi_endproc",
        size = sym SAVE_SIZE,
        mask = sym SAVE_MASK,
        form = sym SAVE_FORM,
        async_preempt2 = sym async_preempt2,
    )
}
// ANCHOR_END: async_preempt
