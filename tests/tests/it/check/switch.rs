//! What a switch must keep, and what a new goroutine begins with. Row 15.

use crate::fixture::stage1::on;
use crate::fixture::{ask_myself, raise_the_flag, step, with};
use stage1_coop::*;
use std::arch::naked_asm;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Fills every register that a call preserves, calls `f`, and returns which of them came
/// back different, as bits: rbx, rbp, r12 to r15, MXCSR's control bits, the x87 control word.
#[unsafe(naked)]
extern "C" fn preserved(f: extern "C" fn(), seed: u64, mxcsr: u64, x87: u64) -> u64 {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 40",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 4]",
        "mov [rsp + 8], rsi",
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], rcx",
        "ldmxcsr [rsp + 16]",
        "fldcw [rsp + 24]",
        "lea rbx, [rsi + 1]",
        "lea rbp, [rsi + 2]",
        "lea r12, [rsi + 3]",
        "lea r13, [rsi + 4]",
        "lea r14, [rsi + 5]",
        "lea r15, [rsi + 6]",
        "call rdi",
        "mov rsi, [rsp + 8]",
        "xor eax, eax",
        "sub rbx, rsi",
        "sub rbp, rsi",
        "sub r12, rsi",
        "sub r13, rsi",
        "sub r14, rsi",
        "sub r15, rsi",
        "cmp rbx, 1",
        "setne cl",
        "or al, cl",
        "cmp rbp, 2",
        "setne cl",
        "shl cl, 1",
        "or al, cl",
        "cmp r12, 3",
        "setne cl",
        "shl cl, 2",
        "or al, cl",
        "cmp r13, 4",
        "setne cl",
        "shl cl, 3",
        "or al, cl",
        "cmp r14, 5",
        "setne cl",
        "shl cl, 4",
        "or al, cl",
        "cmp r15, 6",
        "setne cl",
        "shl cl, 5",
        "or al, cl",
        "stmxcsr [rsp + 32]",
        "mov edx, [rsp + 32]",
        "xor edx, [rsp + 16]",
        "test edx, 0xffc0", // the low six bits are sticky flags, not control
        "setne cl",
        "shl cl, 6",
        "or al, cl",
        "fnstcw [rsp + 32]",
        "mov dx, [rsp + 32]",
        "cmp dx, [rsp + 24]",
        "setne cl",
        "shl cl, 7",
        "or al, cl",
        "movzx eax, al",
        "ldmxcsr [rsp]",
        "fldcw [rsp + 4]",
        "add rsp, 40",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

const MXCSR: u64 = 0x1f80;
const X87: u64 = 0x37f;

extern "C" fn yields() {
    gosched();
}

extern "C" fn parks() {
    let c = Chan::new(0);
    let to = c.clone();
    go("waker", move || to.send(()));
    c.recv();
}

extern "C" fn checks() {
    ask_myself();
    step();
}

extern "C" fn on_system_stack() {
    rt::arch::systemstack(|| {
        black_box(spin(10));
    });
}

#[test]
fn a_switch_keeps_what_a_call_keeps() {
    let wrong = with(
        Runtime::new(&STAGE).procs(3).third_party(raise_the_flag),
        || {
            let wrong = Arc::new(AtomicUsize::new(0));
            let all = WaitGroup::new();
            // Default control words, and other ones: rounding and precision.
            for (i, (mxcsr, x87)) in [
                (MXCSR, X87),
                (MXCSR | 0x6000, X87 | 0xc00),
                (MXCSR | 0x8040, X87 & !0x300),
                (MXCSR, X87),
                (MXCSR | 0x2000, X87),
                (MXCSR, X87 | 0x400),
            ]
            .into_iter()
            .enumerate()
            {
                all.add(1);
                let (wrong, all) = (wrong.clone(), all.clone());
                go("canary", move || {
                    for n in 0..300_u64 {
                        let f = [yields, parks, checks, on_system_stack][n as usize % 4];
                        let seed = (i as u64 + 1) << 32 | n << 8;
                        let bits = preserved(f, seed, mxcsr, x87);
                        wrong.fetch_or(bits as usize, SeqCst);
                        // Between calls everybody has the defaults.
                        let plain = preserved(yields, seed, MXCSR, X87);
                        wrong.fetch_or(plain as usize, SeqCst);
                    }
                    all.done();
                });
            }
            all.wait();
            wrong.load(SeqCst)
        },
    );
    assert_eq!(
        wrong, 0,
        "{wrong:#b}: rbx rbp r12 r13 r14 r15 mxcsr x87, from the right"
    );
}

#[test]
fn a_new_goroutine_has_the_default_control_words() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn makes_one() {
        go("new", || {
            let (mut mxcsr, mut x87) = (0_u32, 0_u16);
            // SAFETY: both store into our own variables.
            unsafe {
                std::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr);
                std::arch::asm!("fnstcw [{}]", in(reg) &mut x87);
            }
            let default = u64::from(mxcsr & 0xffc0) == MXCSR && u64::from(x87) == X87;
            SEEN.fetch_add(1 + usize::from(default), SeqCst);
        });
        gosched();
    }
    on(1, || preserved(makes_one, 0, MXCSR | 0x6000, X87 | 0xc00));
    assert_eq!(SEEN.load(SeqCst), 2);
}

/// `run` is a function: the control words of its caller are as they were when it returns, and
/// they are nobody else's meanwhile. A thread inherits them from the one that makes it.
#[test]
fn control_words_stay_with_the_caller_of_run_and_with_their_goroutine() {
    fn controls() -> (u64, u64) {
        let (mut mxcsr, mut x87) = (0_u32, 0_u16);
        // SAFETY: both store into our own variables.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr);
            std::arch::asm!("fnstcw [{}]", in(reg) &mut x87);
        }
        (u64::from(mxcsr & 0xffc0), u64::from(x87))
    }
    static SEEN: std::sync::Mutex<Vec<(u64, u64)>> = std::sync::Mutex::new(Vec::new());
    fn note() {
        SEEN.lock()
            .expect("no panic while it is held")
            .push(controls());
    }
    extern "C" fn runs() {
        on(4, || {
            note();
            preserved(makes_some, 0, MXCSR | 0x2000, X87 | 0x400);
        });
    }
    /// Each needs an M of its own, which our thread may have to make.
    extern "C" fn makes_some() {
        let here = Arc::new(AtomicUsize::new(0));
        let all = WaitGroup::new();
        for _ in 0..3 {
            all.add(1);
            let (here, all) = (here.clone(), all.clone());
            go("on another M", move || {
                here.fetch_add(1, SeqCst);
                while here.load(SeqCst) < 3 {
                    std::thread::yield_now();
                }
                note();
                all.done();
            });
        }
        all.wait();
    }
    let changed = preserved(runs, 0, MXCSR | 0x8040, X87 | 0xc00);
    assert_eq!(
        changed & 0b1100_0000,
        0,
        "mxcsr x87, from the right: {changed:#b}"
    );
    assert_eq!(*SEEN.lock().expect("as above"), [(MXCSR, X87); 4]);
}
