//! Nothing shows that a goroutine was stopped: registers, flags, the bytes below its stack
//! pointer. Every instruction is another test's; here they are compared under a storm of requests.

use crate::fixture::stage3::stormy;
use stage3_signals::rt;
use stage3_signals::rt::stack::SaveForm;
use stage3_signals::*;
use std::arch::{asm, naked_asm};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

/// A chain through all general registers, the carry flag, and the red zone: a leaf.
#[unsafe(naked)]
#[unsafe(link_section = "gotext")]
extern "C" fn all_registers(turns: u64) -> u64 {
    naked_asm!(
        ".cfi_startproc",
        "push rbx; push rbp; push r12; push r13; push r14; push r15",
        "mov rcx, rdi",
        "mov eax, 1; mov ebx, 2; mov edx, 3; mov esi, 4; mov edi, 5; mov ebp, 6",
        "mov r8d, 7; mov r9d, 8; mov r10d, 9; mov r11d, 10; mov r12d, 11",
        "mov r13d, 12; mov r14d, 13; mov r15d, 14",
        "2:", // each sum carries into the next one
        "add rax, r15; adc rbx, rax; adc rdx, rbx; adc rsi, rdx; adc rdi, rsi",
        "adc rbp, rdi; adc r8, rbp; adc r9, r8; adc r10, r9; adc r11, r10",
        "adc r12, r11; adc r13, r12; adc r14, r13; adc r15, r14",
        "rcl rax, 3",
        "mov [rsp - 8], rax; mov [rsp - 64], rbx; mov [rsp - 128], r15",
        "xor rax, rbp",
        "add rbx, [rsp - 8]; adc rdx, [rsp - 64]; adc r15, [rsp - 128]",
        "lea rcx, [rcx - 1]",
        "jrcxz 3f",
        "jmp 2b",
        "3:",
        "xor rax, rbx; xor rax, rdx; xor rax, rsi; xor rax, rdi; xor rax, rbp",
        "xor rax, r8; xor rax, r9; xor rax, r10; xor rax, r11; xor rax, r12",
        "xor rax, r13; xor rax, r14; xor rax, r15",
        "pop r15; pop r14; pop r13; pop r12; pop rbp; pop rbx",
        "ret",
        ".cfi_endproc",
    )
}

/// A chain through registers of SSE, with rounding and flushing of the goroutine's own.
#[gofunc]
fn floats(turns: u64) -> u64 {
    let (mine, usual) = (0xdf80_u32, 0x1f80_u32);
    let (x, y) = (1.000_000_1_f64, 0.333_f64);
    let mut out = 0_u64;
    // SAFETY: the control word is put back at the end; everything else is declared.
    unsafe {
        asm!(
            "ldmxcsr [{mine}]",
            "movsd xmm0, [{x}]", "movsd xmm1, [{y}]",
            "movapd xmm2, xmm0", "movapd xmm3, xmm1", "movapd xmm4, xmm0", "movapd xmm15, xmm1",
            "2:",
            "mulsd xmm2, xmm0", "addsd xmm3, xmm2", "divsd xmm3, xmm4", "addsd xmm4, xmm15",
            "sqrtsd xmm15, xmm3", "mulsd xmm2, xmm15", "addsd xmm2, xmm1", "sqrtsd xmm4, xmm4",
            "sqrtsd xmm2, xmm2",
            "dec {n}",
            "jnz 2b",
            "addsd xmm2, xmm3", "addsd xmm2, xmm4", "addsd xmm2, xmm15",
            "movq {out}, xmm2",
            "ldmxcsr [{usual}]",
            n = inout(reg) turns => _, out = out(reg) out,
            mine = in(reg) &mine, usual = in(reg) &usual, x = in(reg) &x, y = in(reg) &y,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm15") _,
        );
    }
    out
}

/// Values that stay on the x87 stack.
#[gofunc]
fn x87(turns: u64) -> u64 {
    let mut out = 0_u64;
    // Rounding down, 53 bits.
    let control = 0x067f_u16;
    // SAFETY: what is pushed is popped again; the control word is put back.
    unsafe {
        asm!(
            "fninit", "fldcw [{control}]", "fld1", "fldpi", "fldl2e", "fldln2",
            "2:",
            "fadd st(0), st(1)", "fmul st(0), st(3)", "fxch st(2)", "fsqrt", "fxch st(1)",
            "dec {n}",
            "jnz 2b",
            "faddp", "faddp", "faddp",
            "fstp qword ptr [{out}]",
            "fninit",
            n = inout(reg) turns => _, out = in(reg) &raw mut out,
            control = in(reg) &control,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
        );
    }
    out
}

/// Copies backwards: the direction flag is up.
#[gofunc]
fn backwards(turns: u64) -> u64 {
    let (mut from, mut to) = ([0_u64; 64], [0_u64; 64]);
    let mut sum = 0_u64;
    for n in 0..turns {
        from[(n % 64) as usize] = sum.wrapping_mul(31).wrapping_add(n);
        // SAFETY: both end where the arrays end; the flag is down again afterwards.
        unsafe {
            asm!("std", "rep movsq", "cld",
                inout("rcx") 64_u64 => _,
                inout("rsi") from.as_ptr().add(63) => _,
                inout("rdi") to.as_mut_ptr().add(63) => _);
        }
        sum = to.iter().fold(sum, |s, x| s.rotate_left(1) ^ x);
    }
    sum
}

/// What the compiler makes of it, with the widest registers there are.
#[gofunc]
fn vectors(turns: u64) -> u64 {
    #[target_feature(enable = "avx2")]
    fn avx2(turns: u64) -> u64 {
        chain(turns)
    }
    #[inline(always)]
    fn chain(turns: u64) -> u64 {
        let mut x = [1_u32; 64];
        for n in 0..turns as u32 {
            for (i, x) in x.iter_mut().enumerate() {
                *x = x.wrapping_mul(1_664_525).wrapping_add(n ^ i as u32);
            }
        }
        x.iter()
            .fold(0, |sum, &x| sum.rotate_left(7) ^ u64::from(x))
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: just asked.
        unsafe { avx2(turns) }
    } else {
        chain(turns)
    }
}

type Victim = (&'static str, fn(u64) -> u64, u64);
const VICTIMS: [Victim; 5] = [
    ("registers", |n| all_registers(n), 400_000),
    ("floats", floats, 40_000),
    ("x87", x87, 400_000),
    ("backwards", backwards, 20_000),
    ("vectors", vectors, 20_000),
];

/// Runs all victims side by side, asked all the time, until they were stopped `wanted` times.
/// Returns the names of those whose result was wrong.
fn under_a_storm(wanted: u32) -> Vec<&'static str> {
    stormy(2, move |stopped| {
        let wrong = Arc::new([const { AtomicBool::new(false) }; VICTIMS.len()]);
        let all = WaitGroup::new();
        for (i, &(name, f, turns)) in VICTIMS.iter().enumerate() {
            all.add(1);
            let (wrong, all) = (wrong.clone(), all.clone());
            go(name, move || {
                let right = {
                    let _alone = acquirem();
                    f(turns)
                };
                while stopped.load(Relaxed) < wanted {
                    if f(turns) != right {
                        wrong[i].store(true, Relaxed);
                    }
                }
                all.done();
            });
        }
        all.wait();
        let names = VICTIMS.iter().enumerate();
        names
            .filter(|(i, _)| wrong[*i].load(Relaxed))
            .map(|(_, victim)| victim.0)
            .collect()
    })
}

#[test]
fn registers_flags_and_the_red_zone_are_as_they_were() {
    assert_eq!(under_a_storm(2_000), [] as [&str; 0]);
}

/// Without AVX in the compiler's code the older form saves everything, too.
#[test]
fn a_processor_without_xsavec_saves_by_an_older_instruction() {
    rt::stack::save_at_most(SaveForm::Xsave);
    assert_eq!(under_a_storm(500), [] as [&str; 0]);
}

/// How much stack it takes to be stopped: with what was measured the veto is right, with room to
/// spare.
#[test]
fn the_stack_that_is_asked_for_is_more_than_is_used() {
    let used = stormy(1, depth);
    let need = rt::safepoint::async_preempt_stack();
    assert!(
        used > rt::stack::SAVE_SIZE.get() as usize,
        "{used}: it was not stopped"
    );
    assert!(used + 256 <= need, "{used} of {need}");
    println!("stopped, a goroutine uses {used} bytes of the {need} that must be left");
}

/// Fills its stack below, waits until it has been stopped, and looks how far down that went.
#[gofunc]
fn depth(stopped: &'static AtomicU32) -> usize {
    let (before, left): (u32, usize);
    // SAFETY: 16 KiB below the stack pointer are this goroutine's, and nothing lives there: the
    // compiler keeps nothing below it across a block that may push.
    unsafe {
        asm!(
            "mov {before:e}, [{word}]",
            "lea rdi, [rsp - 16384]",
            "mov ecx, 2000",
            "mov rax, 0x5af3d00d5af3d00d",
            "rep stosq",
            "2:",
            "cmp [{word}], {before:e}",
            "je 2b",
            "lea rdi, [rsp - 16384]",
            "mov ecx, 2000",
            "repe scasq",
            before = out(reg) before,
            word = in(reg) stopped.as_ptr(),
            out("rax") _, out("rdi") _, inout("rcx") 0_usize => left,
        );
    }
    let _ = before;
    // The first word that differs, from below: so many are above it, and 384 bytes were not filled.
    (left + 1) * 8 + 384
}
