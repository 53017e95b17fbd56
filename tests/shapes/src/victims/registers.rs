//! Chains through one kind of register each, in assembly, so that every register is in use at
//! every instruction. All are leaves, with no check: whatever yields here was made to.

use std::arch::naked_asm;

/// All general registers, the carry flag, and the whole red zone. No branch depends on a flag
/// that a broken save could lose: the loop would not end.
pub fn general(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI.
    unsafe { general_chain(turns) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn general_chain(turns: u64) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        .irp r,rbx,rbp,r12,r13,r14,r15
        push \r
        .endr
        lea rcx, [rdi + 1]
        mov rax, 0x1111111111111111; mov rbx, 0x2222222222222223
        mov rdx, 0x4444444444444447; mov rsi, 0x5555555555555559
        mov rdi, 0x666666666666666b; mov rbp, 0x777777777777777d
        mov r8,  0x8888888888888881; mov r9,  0x9999999999999993
        mov r10, 0xaaaaaaaaaaaaaaa5; mov r11, 0xbbbbbbbbbbbbbbb7
        mov r12, 0xccccccccccccccc9; mov r13, 0xdddddddddddddddb
        mov r14, 0xeeeeeeeeeeeeeeed; mov r15, 0xfffffffffffffff1
        .irp o,8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128
        mov [rsp - \o], rax
        .endr
        2:
        add rax, rbx
        adc rbx, rdx
        adc rdx, rsi
        adc rsi, rdi
        adc rdi, rbp
        adc rbp, r8
        adc r8, r9
        adc r9, r10
        adc r10, r11
        adc r11, r12
        adc r12, r13
        adc r13, r14
        adc r14, r15
        adc r15, rax
        adc rax, 0
        rcl rbx, 7
        xor [rsp - 8], rax; xor [rsp - 16], rbx
        xor [rsp - 24], rdx; xor [rsp - 32], rsi
        xor [rsp - 40], rdi; xor [rsp - 48], rbp
        xor [rsp - 56], r8; xor [rsp - 64], r9
        xor [rsp - 72], r10; xor [rsp - 80], r11
        xor [rsp - 88], r12; xor [rsp - 96], r13
        xor [rsp - 104], r14; xor [rsp - 112], r15
        xor [rsp - 120], rcx
        add rax, [rsp - 128]
        adc rbx, [rsp - 120]
        adc rdx, [rsp - 8]
        mov [rsp - 128], rdx
        lea rcx, [rcx - 1]
        jrcxz 3f
        jmp 2b
        3:
        .irp r,rbx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15
        rol rax, 5
        xor rax, \r
        .endr
        .irp o,8,16,24,32,40,48,56,64,72,80,88,96,104,112,120,128
        rol rax, 3
        xor rax, [rsp - \o]
        .endr
        .irp r,r15,r14,r13,r12,rbp,rbx
        pop \r
        .endr
        ret
        .cfi_endproc
        "#
    )
}

/// Copies and fills backwards: the direction flag is up, and `rep` may be stopped half way.
pub fn backwards(turns: u64) -> u64 {
    let mut memory = [0_u64; 64];
    // SAFETY: it keeps the C ABI, and writes to these 64 words.
    unsafe { backwards_chain(turns, &mut memory) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn backwards_chain(turns: u64, memory: &mut [u64; 64]) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        mov r8, rdi
        mov r9, rsi
        xor eax, eax
        2:
        std
        lea rdi, [r9 + 127]
        mov ecx, 128
        lea rax, [rax * 2 + 1]
        xor rax, r8
        rep stosb
        lea rsi, [r9 + 120]
        lea rdi, [r9 + 248]
        mov ecx, 16
        rep movsq
        lea rsi, [r9 + 248]
        mov ecx, 32
        3:
        mov rdx, rax
        lodsq
        rol rdx, 3
        add rax, rdx
        dec ecx
        jnz 3b
        cld
        dec r8
        jnz 2b
        ret
        .cfi_endproc
        "#
    )
}

/// Eight values on the x87 stack, and rounding of its own.
pub fn x87(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI.
    unsafe { x87_chain(turns) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn x87_chain(turns: u64) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        sub rsp, 40
        .cfi_def_cfa_offset 48
        fnstcw [rsp]
        fninit // where the stack's top is shows in the result
        mov word ptr [rsp + 8], 0x77f // round down
        fldcw [rsp + 8]
        fld1
        fldpi
        fldl2e
        fldl2t
        fldlg2
        fldln2
        fld1
        fldpi
        2:
        fadd st, st(1)
        fmul st, st(3)
        fxch st(2)
        fabs
        fsqrt
        fincstp
        fsub st, st(5)
        fabs
        fsqrt
        fxch st(7)
        dec rdi
        jnz 2b
        xor eax, eax
        .rept 8
        fstp tbyte ptr [rsp + 16]
        add rax, [rsp + 16]
        rol rax, 9
        xor ax, [rsp + 24]
        .endr
        fnstcw [rsp + 8]
        movzx edx, word ptr [rsp + 8]
        rol rax, 16
        xor rax, rdx
        fnstsw [rsp + 8]
        movzx edx, word ptr [rsp + 8]
        rol rax, 16
        xor rax, rdx
        fnclex
        fldcw [rsp]
        add rsp, 40
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        "#
    )
}

/// Rounding up and flushing to zero, by a control word of its own.
pub fn mxcsr(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI.
    unsafe { mxcsr_chain(turns) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn mxcsr_chain(turns: u64) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        stmxcsr [rsp - 8]
        mov dword ptr [rsp - 16], 0xdf80
        ldmxcsr [rsp - 16]
        mov rax, 0x3ff0000000000001
        movq xmm0, rax
        mov rax, 0x3fefffff00000001
        movq xmm1, rax
        movq xmm2, rax
        2:
        mulsd xmm0, xmm1
        addsd xmm2, xmm0
        divsd xmm2, xmm1
        cvtsi2sd xmm3, rdi
        addsd xmm0, xmm3
        sqrtsd xmm0, xmm0
        dec rdi
        jnz 2b
        movq rax, xmm0
        movq rdx, xmm2
        rol rax, 11
        xor rax, rdx
        stmxcsr [rsp - 16]
        mov edx, [rsp - 16]
        rol rax, 16
        xor rax, rdx
        ldmxcsr [rsp - 8]
        ret
        .cfi_endproc
        "#
    )
}

/// Where the chains through vectors begin.
static SEED: [u64; 256] = {
    let mut seed = [0; 256];
    let (mut x, mut i) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    while i < 256 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        seed[i] = x;
        i += 1;
    }
    seed
};

/// The sixteen registers of SSE.
pub fn xmm(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI, and reads the seed.
    unsafe { xmm_chain(turns, &SEED) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn xmm_chain(turns: u64, seed: &[u64; 256]) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movdqu xmm\i, [rsi + 16 * \i]
        .endr
        2:
        paddq xmm0, xmm15
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        paddq xmm\i, xmm0
        pxor xmm0, xmm\i
        .endr
        dec rdi
        jnz 2b
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        paddq xmm0, xmm0
        pxor xmm0, xmm\i
        .endr
        movq rax, xmm0
        punpckhqdq xmm0, xmm0
        movq rdx, xmm0
        rol rdx, 17
        xor rax, rdx
        ret
        .cfi_endproc
        "#
    )
}

/// The sixteen registers of AVX, the upper halves above all.
pub fn ymm(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI, and reads the seed. It is called where there is AVX2.
    unsafe { ymm_chain(turns, &SEED) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn ymm_chain(turns: u64, seed: &[u64; 256]) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovdqu ymm\i, [rsi + 32 * \i]
        .endr
        2:
        vpaddq ymm0, ymm0, ymm15
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vpaddq ymm\i, ymm\i, ymm0
        vpxor ymm0, ymm0, ymm\i
        .endr
        dec rdi
        jnz 2b
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vpaddq ymm0, ymm0, ymm0
        vpxor ymm0, ymm0, ymm\i
        .endr
        vextracti128 xmm1, ymm0, 1
        vpsrlq xmm1, xmm1, 9
        vpxor xmm0, xmm0, xmm1
        vmovq rax, xmm0
        vpextrq rdx, xmm0, 1
        rol rdx, 17
        xor rax, rdx
        vzeroupper
        ret
        .cfi_endproc
        "#
    )
}

/// The thirty-two registers of AVX-512, and its masks.
pub fn zmm(turns: u64) -> u64 {
    // SAFETY: it keeps the C ABI, and reads the seed. It is called where there is AVX-512.
    unsafe { zmm_chain(turns, &SEED) }
}

#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
unsafe extern "C" fn zmm_chain(turns: u64, seed: &[u64; 256]) -> u64 {
    naked_asm!(
        r#"
        .cfi_startproc
        .irp i,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vmovdqu64 zmm\i, [rsi + 64 * \i]
        .endr
        .irp i,0,1,2,3,4,5,6,7
        kmovq k\i, [rsi + 8 * \i]
        .endr
        2:
        vpaddq zmm0 {{k1}}, zmm0, zmm31
        vpxorq zmm31, zmm31, zmm30
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        vpaddq zmm\i {{k2}}, zmm\i, zmm0
        vprolq zmm\i {{k3}}, zmm\i, 7
        .endr
        vpaddq zmm0, zmm0, zmm15
        kaddq k0, k0, k1
        kaddq k1, k1, k2
        kxorq k2, k2, k3
        kaddq k3, k3, k4
        kxorq k4, k4, k5
        kaddq k5, k5, k6
        kxnorq k6, k6, k7
        kaddq k7, k7, k0
        dec rdi
        jnz 2b
        .irp i,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vprolq zmm0, zmm0, 3
        vpxorq zmm0, zmm0, zmm\i
        .endr
        vextracti64x4 ymm1, zmm0, 1
        vpaddq ymm0, ymm0, ymm1
        vextracti128 xmm1, ymm0, 1
        vpaddq xmm0, xmm0, xmm1
        vmovq rax, xmm0
        vpextrq rdx, xmm0, 1
        rol rdx, 17
        xor rax, rdx
        .irp i,0,1,2,3,4,5,6,7
        kmovq rdx, k\i
        rol rax, 3
        add rax, rdx
        .endr
        vzeroupper
        ret
        .cfi_endproc
        "#
    )
}
