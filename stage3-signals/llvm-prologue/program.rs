//! The check without `#[gofunc]`: LLVM itself puts it in front of `go.fib`.
//!
//! `run.sh` compiles this file with two flags that hand LLVM a list of functions and an attribute
//! for them, `split-stack`. What comes out is the prologue of a Go function: compare the stack
//! pointer with a word of the thread's, and call `__morestack` if it is not above. The word is at
//! `fs:0x70`, which the C library keeps free for this. A second thread plays sysmon: it raises the
//! flag twenty times. Nothing here is part of the runtime, and nothing of the runtime is needed.

use std::arch::{asm, naked_asm};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Go's `stackPreempt`: larger than any stack pointer.
const STACK_PREEMPT: usize = -1314isize as usize;
/// Where LLVM's check finds its limit, from the thread pointer.
const LIMIT: usize = 0x70;

/// Requests that were found.
static FOUND: AtomicU32 = AtomicU32::new(0);

/// No check is written here, and no macro. The name is the one in the list that `run.sh` makes.
#[unsafe(export_name = "go.fib")]
#[inline(never)]
fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    fib(n - 1).wrapping_add(fib(n - 2))
}

/// The limit of the calling thread.
fn limit() -> &'static AtomicUsize {
    let thread: usize;
    // SAFETY: fs:0 holds the thread pointer; the word at LIMIT behind it belongs to split stacks,
    // which no other part of this program uses, and lives as long as the thread.
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) thread, options(nostack, preserves_flags, readonly));
        &*((thread + LIMIT) as *const AtomicUsize)
    }
}

/// The check has failed: `__morestack` comes here. Everything that is called from here is without a
/// check, so the limit needs no care.
extern "C" fn newstack() {
    if limit().swap(0, Relaxed) == STACK_PREEMPT {
        // A runtime would yield here. This program counts.
        FOUND.fetch_add(1, Relaxed);
    }
}

/// Called by the prologue before the function has touched anything, so only what arguments are
/// passed in is live, and `r10` and `r11`, which carry the frame's size here. Behind the call in
/// the prologue stands a `ret`, for the return from a stack that was exchanged; there is none, so
/// it is skipped: one byte.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn __morestack() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rax", "push rcx", "push rdx", "push rsi", "push rdi", "push r8", "push r9", "push r11",
        "sub rsp, 128",
        "and rsp, -16",
        "movups [rsp], xmm0", "movups [rsp + 16], xmm1", "movups [rsp + 32], xmm2",
        "movups [rsp + 48], xmm3", "movups [rsp + 64], xmm4", "movups [rsp + 80], xmm5",
        "movups [rsp + 96], xmm6", "movups [rsp + 112], xmm7",
        "call {newstack}",
        "movups xmm0, [rsp]", "movups xmm1, [rsp + 16]", "movups xmm2, [rsp + 32]",
        "movups xmm3, [rsp + 48]", "movups xmm4, [rsp + 64]", "movups xmm5, [rsp + 80]",
        "movups xmm6, [rsp + 96]", "movups xmm7, [rsp + 112]",
        "lea rsp, [rbp - 64]",
        "pop r11", "pop r9", "pop r8", "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rax",
        "pop rbp",
        "inc qword ptr [rsp]",
        "ret",
        newstack = sym newstack,
    )
}

fn main() {
    let limit = limit();
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(5));
                limit.store(STACK_PREEMPT, Relaxed);
            }
            std::thread::sleep(Duration::from_millis(5));
            done.store(true, Relaxed);
        });
        while !done.load(Relaxed) {
            assert_eq!(black_box(fib(black_box(20))), 6765);
        }
    });
    println!("20 requests, {} found", FOUND.load(Relaxed));
}
