//! The check and what it leads to: the one comparison, the way to `newstack`, stacks that
//! grow, and the switch, which must not lose a single bit of what a goroutine had in its
//! registers. Rows 4 to 9, 15 and 31 of the list of mechanisms.

use crate::fixture::stage1::on;
use crate::fixture::{ask_myself, raise_the_flag, step, with};
use stage1_coop::*;
use std::arch::naked_asm;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

/// Runs `f` as a goroutine of its own, on a fresh stack, and returns its result.
fn fresh<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Option<R> {
    let result = Chan::new(1);
    let to = result.clone();
    go("fresh", move || to.send(f()));
    result.recv()
}

#[inline(always)]
fn stack_pointer() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags))
    };
    sp
}

// ---- Row 5: one comparison serves two questions.

#[test]
fn the_request_is_larger_than_any_stack_pointer() {
    assert_eq!(rt::stack::STACK_PREEMPT, 0xffff_ffff_ffff_fade);
    assert_eq!(rt::stack::STACK_FORK, 0xffff_ffff_ffff_fb2e);
    // The largest address of a program, with five levels of page tables too.
    const { assert!(rt::stack::STACK_PREEMPT > 1 << 57 && rt::stack::STACK_FORK > 1 << 57) };
    assert_ne!(rt::stack::STACK_PREEMPT, rt::stack::STACK_FORK);
}

#[test]
fn one_raised_flag_is_one_way_through_the_slow_path() {
    static SLOW: AtomicUsize = AtomicUsize::new(0);
    fn newstack(gp: &'static rt::gmp::G) -> rt::sched::Next {
        SLOW.fetch_add(1, SeqCst);
        rt::stack::newstack(gp)
    }
    const COUNTING: Stage = Stage {
        name: "counting",
        newstack,
        ..STAGE
    };
    let counts = with(Runtime::new(&COUNTING).procs(1), || {
        let mut counts = Vec::new();
        let mut after = |n: usize| {
            for _ in 0..n {
                step();
            }
            counts.push(SLOW.load(SeqCst));
        };
        after(1000);
        for _ in 0..3 {
            ask_myself();
            after(1000);
        }
        counts
    });
    assert_eq!(counts, [0, 1, 2, 3]);
}

// ---- Rows 7 and 15: where things run.

/// The stack of the calling thread.
fn thread_stack() -> std::ops::Range<usize> {
    // SAFETY: a zeroed attribute is filled in by the call, and destroyed once.
    unsafe {
        let mut attr: libc::pthread_attr_t = std::mem::zeroed();
        let (mut base, mut size) = (std::ptr::null_mut(), 0);
        libc::pthread_getattr_np(libc::pthread_self(), &mut attr);
        libc::pthread_attr_getstack(&attr, &mut base, &mut size);
        libc::pthread_attr_destroy(&mut attr);
        base as usize..base as usize + size
    }
}

/// Whether the caller runs on its thread's own stack, with `g0` as its G.
fn on_g0() -> bool {
    thread_stack().contains(&stack_pointer())
        && std::ptr::eq(rt::arch::getg(), &rt::arch::getm().g0)
        && !rt::arch::on_goroutine()
}

/// Whether the caller runs on the stack of its goroutine.
fn on_its_own() -> bool {
    let gp = rt::arch::getg();
    let stack = gp.stack.hi.get() - rt::stack::SLOT..gp.stack.hi.get();
    stack.contains(&stack_pointer()) && !thread_stack().contains(&stack_pointer())
}

#[test]
fn the_slow_path_and_the_scheduler_s_functions_run_on_g0() {
    static RIGHT: AtomicUsize = AtomicUsize::new(0);
    fn newstack(gp: &'static rt::gmp::G) -> rt::sched::Next {
        RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
        rt::stack::newstack(gp)
    }
    fn preempted(gp: &'static rt::gmp::G) -> rt::sched::Next {
        RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
        rt::sched::gopreempt_m(gp)
    }
    const WATCHED: Stage = Stage {
        name: "watched",
        newstack,
        preempted,
        ..STAGE
    };
    let seen = with(Runtime::new(&WATCHED).procs(1), || {
        let mut seen = vec![on_its_own()];
        ask_myself();
        step();
        seen.push(RIGHT.load(SeqCst) == 2);
        let mut inside = false;
        rt::arch::systemstack(|| inside = on_g0());
        seen.push(inside && on_its_own());
        // On g0 it is a plain call.
        rt::arch::systemstack(|| rt::arch::systemstack(|| inside = on_g0()));
        seen.push(inside && on_its_own());
        fn look(gp: &'static rt::gmp::G) -> rt::sched::Next {
            RIGHT.fetch_add(usize::from(on_g0()), SeqCst);
            Some(gp)
        }
        // SAFETY: on a goroutine that holds nothing of its thread; `look` hands it back.
        unsafe { rt::arch::mcall(look) };
        seen.push(RIGHT.load(SeqCst) == 3 && on_its_own());
        seen
    });
    assert_eq!(seen, [true; 5]);
}

#[test]
fn checks_pass_on_threads_that_the_runtime_does_not_know() {
    #[gofunc]
    fn deep(n: u64) -> u64 {
        let here = black_box([n; 16]);
        if n == 0 { 0 } else { deep(n - 1) + here[3] }
    }
    let sum = 5000 * 5001 / 2;
    // Before any run, beside one, and after it.
    let call = || std::thread::spawn(|| deep(5000)).join().ok();
    assert_eq!(deep(5000), sum);
    assert_eq!(call(), Some(sum));
    assert_eq!(on(2, call), Some(sum));
    assert_eq!(call(), Some(sum));
    assert_eq!(deep(5000), sum);
}

// ---- Rows 4 and 31: stacks grow.

/// For each level: the stack pointer at the check, and the size afterwards.
#[gofunc]
fn descend(levels: u64, seen: &mut Vec<(usize, usize)>) {
    let gp = rt::arch::getg();
    let hi = gp.stack.hi.get();
    seen.push((hi - stack_pointer(), hi - gp.stack.lo.get()));
    if levels > 0 {
        with_frame(1024, || descend(levels - 1, seen));
    }
}

#[test]
fn a_stack_doubles_where_the_guard_says() {
    let seen = on(1, || {
        fresh(|| {
            let mut seen = Vec::with_capacity(300);
            descend(210, &mut seen);
            seen
        })
    });
    let seen = seen.expect("it has descended");
    for (level, &(depth, size)) in seen.iter().enumerate() {
        // The check passes while the stack pointer is more than 928 bytes above `lo`.
        assert!(
            depth < size - rt::stack::STACK_GUARD,
            "level {level}: {depth} of {size}"
        );
        assert!(
            size == rt::stack::STACK_MIN
                || depth >= size.next_power_of_two() / 2 - rt::stack::STACK_GUARD,
            "level {level}: {size} bytes are too many for {depth}"
        );
    }
    // Marks are 1 KiB apart and half a KiB off, so from there on the levels are the same in
    // every build.
    let grown: Vec<(usize, usize)> = seen
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w[0].1 != w[1].1)
        .map(|(level, w)| (level + 1, w[1].1))
        .collect();
    let kib = 1024;
    let expected = [
        (7, 16 * kib),
        (15, 32 * kib),
        (31, 64 * kib),
        (63, 128 * kib),
        (127, rt::stack::STACK_MAX),
    ];
    let first = seen[0].1;
    assert_eq!(first, rt::stack::STACK_MIN);
    let off = grown[0].0 as isize - 7;
    // The first mark is half a KiB below the top; whether level 1 is there or at the next
    // one is up to the frames of those who call.
    assert!((0..=1).contains(&off), "{grown:?}");
    let shifted: Vec<_> = expected
        .iter()
        .map(|&(level, size)| ((level as isize + off) as usize, size))
        .collect();
    assert_eq!(grown, shifted);
}

/// Calls `f` with the stack pointer `bytes` lower, a multiple of 16.
#[unsafe(naked)]
extern "C" fn lower(bytes: usize, f: extern "C" fn()) {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, rdi",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        "ret",
    )
}

/// The stack pointer may be anywhere between two marks, and on one: the new stack must not
/// begin inside what is in use.
#[test]
fn a_frame_of_the_ruler_begins_below_what_is_in_use() {
    static SUM: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn frame() {
        let mut mine = [1_u8; 64];
        black_box(&mut mine);
        let n = with_frame(1024, || black_box(41)) + 1;
        let sum: usize = black_box(&mine).iter().map(|&n| usize::from(n)).sum();
        SUM.fetch_add(n + sum - 64, SeqCst);
    }
    on(1, || {
        (0..2048).step_by(16).for_each(|bytes| lower(bytes, frame))
    });
    assert_eq!(SUM.load(SeqCst), 128 * 42);
}

#[gofunc]
fn keep(levels: u64) -> Result<(), u64> {
    let mut here = [levels; 40];
    let address = here.as_ptr() as usize;
    if levels > 0 {
        with_frame(1024, || keep(levels - 1))?;
    }
    black_box(&mut here);
    let same = here.as_ptr() as usize == address && here.iter().all(|&n| n == levels);
    if same { Ok(()) } else { Err(levels) }
}

#[test]
fn what_lies_on_a_growing_stack_stays_where_and_what_it_is() {
    let kept = with(
        Runtime::new(&STAGE).procs(3).third_party(raise_the_flag),
        || {
            let results = Chan::new(100);
            for i in 0..100 {
                let to = results.clone();
                go("keeps", move || to.send(keep(100 + i)));
            }
            (0..100).map(|_| results.recv()).all(|r| r == Some(Ok(())))
        },
    );
    assert!(kept);
}

/// Go runs the check again after a preemption, so a stack that is too small besides grows
/// then. Asked at every single check, it must grow all the same.
#[test]
fn requests_at_every_check_do_not_keep_a_stack_from_growing() {
    #[gofunc]
    fn asked(levels: u64) -> usize {
        let gp = rt::arch::getg();
        let room = stack_pointer() > gp.stack.lo.get() + rt::stack::STACK_GUARD;
        if levels == 0 {
            return usize::from(!room);
        }
        ask_myself();
        usize::from(!room) + with_frame(1024, || asked(levels - 1))
    }
    let heeded = on(1, || fresh(|| asked(200)));
    assert_eq!(heeded, Some(0), "calls went on below the guard");
    let refused = on(1, || {
        fresh(|| {
            let _section = acquirem();
            asked(200)
        })
    });
    assert_eq!(refused, Some(0), "calls went on below the guard");
}

#[test]
fn a_stack_is_small_again_for_the_next_goroutine() {
    let sizes = on(1, || {
        (0..10)
            .map(|i| {
                fresh(move || {
                    let gp = rt::arch::getg();
                    let size = gp.stack.hi.get() - gp.stack.lo.get();
                    if i % 2 == 0 {
                        let _ = keep(200);
                    }
                    size
                })
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(sizes, [Some(rt::stack::STACK_MIN); 10]);
}

// ---- Row 15: what a switch must keep.

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

/// Requests far faster than anybody can heed them: the work still comes to its end.
#[test]
fn asking_all_the_time_stops_nobody_s_work() {
    fn storm(me: &mut ThirdParty) {
        while me.sleep(Duration::from_micros(50)) {
            for _ in 0..20 {
                me.raise_the_flag();
            }
        }
    }
    with(Runtime::new(&STAGE).procs(2).third_party(storm), || {
        let all = WaitGroup::new();
        for _ in 0..4 {
            all.add(1);
            let all = all.clone();
            go("hog", move || {
                for _ in 0..200_000 {
                    step();
                }
                all.done();
            });
        }
        all.wait();
    });
}
