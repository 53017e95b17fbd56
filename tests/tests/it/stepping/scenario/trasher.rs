//! The goroutine that runs while another one is stopped: it leaves nothing as it was.

use shapes::victims::Needs;
use stage3_signals::gosched;
use std::arch::naked_asm;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

static OVER: AtomicBool = AtomicBool::new(false);
static TURNS: AtomicU64 = AtomicU64::new(0);
static ODD: AtomicU64 = AtomicU64::new(0);

/// Fills all registers in every turn, until [`end`].
pub fn trasher() {
    let level = [Needs::Avx2, Needs::Avx512]
        .iter()
        .take_while(|needs| needs.is_there())
        .count();
    while !OVER.load(SeqCst) {
        // SAFETY: it keeps the C ABI, and the processor has what it uses.
        unsafe { trash(level as u64) };
        TURNS.fetch_add(1, SeqCst);
        gosched();
        // SAFETY: it keeps the C ABI.
        if unsafe { world() } != 0 {
            ODD.fetch_add(1, SeqCst);
        }
    }
}

/// The trasher's last turn.
pub fn end() {
    OVER.store(true, SeqCst);
}

/// How often it has had its turn, and in how many of them the registers for floating point were
/// not as every function may expect them.
pub fn turns() -> (u64, u64) {
    (TURNS.load(SeqCst), ODD.load(SeqCst))
}

/// Fills all registers: those of SSE, with `level` 1 of AVX, with 2 of AVX-512.
#[unsafe(naked)]
unsafe extern "C" fn trash(level: u64) {
    naked_asm!(
        r#"
        .cfi_startproc
        push rbx
        push rbp
        push r12
        push r13
        push r14
        push r15
        fninit
        fldpi
        fldl2e
        fldpi
        push 0x7f80
        ldmxcsr [rsp]
        mov word ptr [rsp], 0xb7f
        fldcw [rsp]
        add rsp, 8
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        pcmpeqd xmm\i, xmm\i
        .endr
        cmp rdi, 1
        jb 2f
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vpcmpeqd ymm\i, ymm\i, ymm\i
        .endr
        cmp rdi, 2
        jb 2f
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vpternlogd zmm\i, zmm\i, zmm\i, 0xff
        .endr
        .irp i,0,1,2,3,4,5,6,7
        kxnorq k\i, k\i, k\i
        .endr
        2:
        .irp r,rax,rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15
        mov \r, -1
        .endr
        add rax, rax
        fninit
        push 0x1f80
        ldmxcsr [rsp]
        add rsp, 8
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbp
        pop rbx
        ret
        .cfi_endproc
        "#
    )
}

/// 0 if the control words of SSE and of the x87 are the default ones, and the x87 stack is empty.
#[unsafe(naked)]
unsafe extern "C" fn world() -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        sub rsp, 40
        .cfi_def_cfa_offset 48
        stmxcsr [rsp]
        mov eax, [rsp]
        and eax, 0xffc0
        xor eax, 0x1f80
        fnstenv [rsp]
        fldenv [rsp]
        movzx ecx, word ptr [rsp]
        xor ecx, 0x37f
        or eax, ecx
        movzx ecx, word ptr [rsp + 8]
        xor ecx, 0xffff
        or eax, ecx
        add rsp, 40
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        "#
    )
}
