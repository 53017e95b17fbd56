//! Functions of goroutines of which the machine code is looked at.
//!
//! They have a package of their own, because the tests around them are not optimized: an unoptimized
//! loop is full of calls into `core`, and then the program counter is rarely in the goroutine's own
//! code. Here they are compiled as the runtime is. None of these can panic, so each ends where its
//! machine code returns. In `victims` are those that are stopped at every instruction. Tests:
//! `check_shape`, `gotext`, `stepping`, `unsafe_points`.

pub mod victims;

use stage1_coop::{gofunc, prologue, rt};
use std::arch::asm;
use std::cell::Cell;
use std::hint::black_box;

/// No frame and no call.
#[gofunc]
pub fn leaf(a: u64, b: u64) -> u64 {
    a ^ b
}

/// Calls itself.
#[gofunc]
pub fn recursive(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        // Black, or the second call becomes a loop, with a check of its own.
        recursive(n - 1).wrapping_add(black_box(recursive(n - 2)))
    }
}

/// A short way out that needs no frame, before a long one.
#[gofunc]
pub fn may_return_at_once(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let first = recursive(n);
    recursive(n - 1).wrapping_add(first)
}

/// A loop without calls.
#[gofunc]
pub fn looping(n: u64) -> u64 {
    let mut sum = 0;
    for i in 0..n {
        sum = black_box(i).wrapping_add(sum);
    }
    sum
}

/// Half a kilobyte of locals.
#[gofunc]
pub fn with_locals(n: u64) -> u64 {
    let here = black_box([n; 64]);
    here[0] ^ here[63].wrapping_add(1)
}

/// Locals and no call: what other functions keep below the stack pointer.
#[gofunc]
pub fn leaf_with_locals(a: u64, b: u64) -> u64 {
    let here = black_box([a, b, a ^ b]);
    here[0] ^ here[1].wrapping_add(here[2])
}

/// Floating-point registers.
#[gofunc]
pub fn floating(x: f64, y: f64) -> f64 {
    x.mul_add(2.0, y)
}

/// A closure that is inlined.
#[gofunc]
pub fn calls_a_closure(n: u64) -> u64 {
    let add = |m: u64| leaf(n, m);
    add(1).wrapping_add(add(2))
}

/// Without a check.
#[gofunc(nosplit)]
pub fn unchecked(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

/// A section in the allocator.
#[gofunc(nosplit)]
pub fn inside_the_allocator() {
    rt::stack::enter_malloc();
    black_box(());
    rt::stack::leave_malloc();
}

/// Rust's own way to keep something for a thread.
#[gofunc]
pub fn counts_for_its_thread() -> u64 {
    thread_local!(static TURNS: Cell<u64> = const { Cell::new(0) });
    TURNS.set(TURNS.get() + 1);
    TURNS.get()
}

/// What must not be in goroutines' own code: a look at the M.
#[gofunc(nosplit)]
pub fn looks_at_its_m() -> usize {
    rt::arch::getm_opt().map_or(0, |mp| mp.id.get())
}

/// What must not be there: a change of g.
#[gofunc(nosplit)]
pub fn is_another_g() {
    // SAFETY: as `setg` has it, and the G stays the same.
    unsafe {
        asm!("mov {g}, fs:[go_tls_g@tpoff]", "mov fs:[go_tls_g@tpoff], {g}",
             g = out(reg) _, options(nostack, preserves_flags));
    }
}

/// What must not be there: a part of a switch.
#[gofunc(nosplit)]
pub fn saves_the_control_word() -> u32 {
    let mut word = 0_u32;
    // SAFETY: stores into a variable of its own.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
    word
}

/// What must not be there: a thread's word that nothing is known of.
#[gofunc(nosplit)]
pub fn reads_an_unknown_word() -> u64 {
    let word: u64;
    // SAFETY: the thread's own address is the first word there.
    unsafe { asm!("mov {}, fs:[0]", out(reg) word, options(nostack, readonly)) };
    word
}
