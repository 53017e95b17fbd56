//! A failed check loses no bit of any register, wherever the compiler put it. Row 9.

use crate::fixture::{ask_myself, raise_the_flag, with};
use stage1_coop::*;
use std::arch::naked_asm;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// All general registers around a failed check: it is called in the middle of a function,
/// where the compiler may keep anything in any of them. Loads 15 words from `from`, calls
/// `morestack`, stores them to `to`.
#[unsafe(naked)]
unsafe extern "C" fn general(from: *const u64, to: *mut u64) {
    naked_asm!(
        "push rbp", "push rbx", "push r12", "push r13", "push r14", "push r15",
        "push rsi",
        "mov rax, [rdi]", "mov rbx, [rdi+8]", "mov rcx, [rdi+16]", "mov rdx, [rdi+24]",
        "mov rsi, [rdi+32]", "mov rbp, [rdi+40]", "mov r8, [rdi+48]", "mov r9, [rdi+56]",
        "mov r10, [rdi+64]", "mov r11, [rdi+72]", "mov r12, [rdi+80]", "mov r13, [rdi+88]",
        "mov r14, [rdi+96]", "mov r15, [rdi+104]", "mov rdi, [rdi+112]",
        "call {morestack}",
        "push rdi",
        "mov rdi, [rsp+8]",
        "mov [rdi], rax", "mov [rdi+8], rbx", "mov [rdi+16], rcx", "mov [rdi+24], rdx",
        "mov [rdi+32], rsi", "mov [rdi+40], rbp", "mov [rdi+48], r8", "mov [rdi+56], r9",
        "mov [rdi+64], r10", "mov [rdi+72], r11", "mov [rdi+80], r12", "mov [rdi+88], r13",
        "mov [rdi+96], r14", "mov [rdi+104], r15",
        "pop rax",
        "mov [rdi+112], rax",
        "pop rsi",
        "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp",
        "ret",
        morestack = sym rt::stack::morestack,
    )
}

/// One function for each width of vector registers: loads all of them from `from`, calls
/// `morestack`, and stores them to `to`. Without a `to` it only fills them.
macro_rules! vectors {
    ($name:ident, $mov:literal, $reg:literal, $size:literal, [$($n:literal)+], [$($k:literal)*]) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(from: *const u8, to: *mut u8) {
            naked_asm!(
                "push rbx",
                "mov rbx, rsi",
                $(concat!($mov, " ", $reg, $n, ", [rdi + ", $n, "*", $size, "]"),)+
                $(concat!("kmovq k", $k, ", [rdi + 2048 + ", $k, "*8]"),)*
                "test rbx, rbx",
                "jz 2f",
                "call {morestack}",
                $(concat!($mov, " [rbx + ", $n, "*", $size, "], ", $reg, $n),)+
                $(concat!("kmovq [rbx + 2048 + ", $k, "*8], k", $k),)*
                "2:",
                "pop rbx",
                "ret",
                morestack = sym rt::stack::morestack,
            )
        }
    };
}

vectors!(xmm, "movups", "xmm", 16, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15], []);
vectors!(ymm, "vmovups", "ymm", 32, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15], []);
vectors!(zmm, "vmovups", "zmm", 64,
    [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31],
    [1 2 3 4 5 6 7]);

type Vectors = unsafe extern "C" fn(*const u8, *mut u8);

/// The widths that this processor has, with the bytes that each fills.
fn widths() -> Vec<(Vectors, usize)> {
    let mut widths: Vec<(Vectors, usize)> = vec![(xmm, 256)];
    if is_x86_feature_detected!("avx") {
        widths.push((ymm, 512));
    }
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        widths.push((zmm, 2048 + 64));
    } else {
        println!("skipped: zmm registers, which this processor does not have");
    }
    widths
}

/// How many times a register was not what it should be, under constant requests.
fn registers_lost(stage: &'static Stage, widths: fn() -> Vec<(Vectors, usize)>) -> usize {
    with(
        Runtime::new(stage).procs(2).third_party(raise_the_flag),
        move || {
            let wrong = Arc::new(AtomicUsize::new(0));
            let all = WaitGroup::new();
            for id in 1..=4_u8 {
                all.add(1);
                let (wrong, all) = (wrong.clone(), all.clone());
                // Each overwrites with its own pattern what the others have.
                go("registers", move || {
                    let widths = widths();
                    for round in 0..100_u64 {
                        let from: [u64; 15] =
                            std::array::from_fn(|i| u64::from(id) << 56 | round << 8 | i as u64);
                        let mut to = [0; 15];
                        ask_myself();
                        // SAFETY: both arrays have the 15 words; a check may stand here, and
                        // the stack is aligned at the call in the function.
                        unsafe { general(from.as_ptr(), to.as_mut_ptr()) };
                        wrong.fetch_add(usize::from(from != to), SeqCst);
                        for &(f, bytes) in &widths {
                            let from: Vec<u8> = (0..bytes)
                                .map(|i| (i as u8).wrapping_mul(id).wrapping_add(round as u8) | 1)
                                .collect();
                            let mut to = vec![0; bytes];
                            ask_myself();
                            // SAFETY: both have the bytes that this width takes, and the
                            // processor has the registers; as above.
                            unsafe { f(from.as_ptr(), to.as_mut_ptr()) };
                            // k0 is no mask: its place is never written.
                            let k0 = 2048..2056;
                            let same = (0..bytes).all(|i| k0.contains(&i) || from[i] == to[i]);
                            wrong.fetch_add(usize::from(!same), SeqCst);
                            // And others find these here, if nothing protects theirs.
                            // SAFETY: as above; nothing is stored.
                            unsafe { f(from.as_ptr(), std::ptr::null_mut()) };
                            gosched();
                        }
                    }
                    all.done();
                });
            }
            all.wait();
            wrong.load(SeqCst)
        },
    )
}

#[test]
fn every_register_survives_a_failed_check() {
    assert_eq!(registers_lost(&STAGE, widths), 0);
}

/// Processors and virtual machines without `XSAVEC` have AVX all the same; those without
/// `XSAVE` have SSE.
#[test]
fn every_register_survives_with_the_older_ways_to_save_them() {
    const XSAVE: Stage = Stage {
        name: "xsave",
        godebug: || {
            rt::stack::save_at_most(rt::stack::SaveForm::Xsave);
            rt::life::GODEBUG
        },
        ..STAGE
    };
    const FXSAVE: Stage = Stage {
        name: "fxsave",
        godebug: || {
            rt::stack::save_at_most(rt::stack::SaveForm::Fxsave);
            rt::life::GODEBUG
        },
        ..STAGE
    };
    assert_eq!(registers_lost(&XSAVE, widths), 0);
    assert_eq!(registers_lost(&FXSAVE, || widths()[..1].to_vec()), 0);
    if widths().len() > 1 {
        // The test would notice: FXSAVE knows nothing of the upper halves.
        assert_ne!(registers_lost(&FXSAVE, widths), 0);
    }
}

#[test]
fn floating_point_sums_are_the_same_with_and_without_interruptions() {
    #[gofunc]
    fn term(x: f64) -> f64 {
        (x * 1.000_1).sqrt() + 1.0 / (x + 0.5)
    }
    fn sum(seed: u32) -> (u64, u64) {
        let (mut a, mut b) = (0.0, 1.0);
        for i in 1..20_000 {
            let x = f64::from(i + seed);
            // Kept in registers over the check, if the compiler sees fit.
            a += x * 0.25;
            b += term(x) * a.fract();
        }
        (a.to_bits(), b.to_bits())
    }
    let alone: Vec<_> = (0..8).map(sum).collect();
    let beside = with(
        Runtime::new(&STAGE).procs(3).third_party(raise_the_flag),
        || {
            let results = Chan::new(8);
            for i in 0..8 {
                let to = results.clone();
                go("sums", move || {
                    let all: Vec<_> = (0..10).map(|_| sum(i)).collect();
                    to.send((i, all));
                });
            }
            (0..8).filter_map(|_| results.recv()).collect::<Vec<_>>()
        },
    );
    for (i, sums) in beside {
        assert!(sums.iter().all(|s| *s == alone[i as usize]), "{i}");
    }
}
