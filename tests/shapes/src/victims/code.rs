//! What the compiler makes of Rust's code: loops, large frames, destructors, landing pads; and the
//! check in front of it all, when it fails.

use stage3_signals::{gofunc, prologue, rt};
use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Integers in registers.
#[gofunc]
pub fn loops(turns: u64) -> u64 {
    let mut x = turns | 1;
    for i in 0..turns {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x = x.rotate_left((i & 31) as u32);
    }
    x
}

/// Floating point, as the compiler spreads it over vectors.
#[gofunc]
pub fn floats(turns: u64) -> u64 {
    let mut x = [1.25_f64; 16];
    for n in 0..turns {
        for (i, x) in x.iter_mut().enumerate() {
            *x = *x * 0.999 + (n + i as u64) as f64;
        }
    }
    x.iter().fold(0, |sum, x| sum.rotate_left(5) ^ x.to_bits())
}

/// The same with AVX2.
pub fn wide_floats(turns: u64) -> u64 {
    // SAFETY: it is called where there is AVX2 and FMA.
    unsafe { with_avx2(turns) }
}

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
#[unsafe(link_section = "gotext")]
fn with_avx2(turns: u64) -> u64 {
    let mut x = [1.25_f64; 16];
    for n in 0..turns {
        for (i, x) in x.iter_mut().enumerate() {
            *x = x.mul_add(0.999, (n + i as u64) as f64);
        }
    }
    x.iter().fold(0, |sum, x| sum.rotate_left(5) ^ x.to_bits())
}

/// A frame of 12 KB: the stack pointer goes down page by page, and stands in pages that nothing
/// has touched.
#[gofunc]
pub fn several_pages(turns: u64) -> u64 {
    let mut page = black_box([0_u8; 12_288]);
    let mut sum = 0_u64;
    for n in 0..turns {
        let at = (n as usize * 4_093) % page.len();
        page[at] = page[at].wrapping_add(n as u8 | 1);
        sum = sum.rotate_left(7) ^ u64::from(black_box(&page)[at]) ^ n;
    }
    sum
}

/// Adds to a sum when it is dropped.
struct Adds<'a> {
    sum: &'a Cell<u64>,
    n: u64,
}

impl Drop for Adds<'_> {
    fn drop(&mut self) {
        self.sum
            .set(self.sum.get().rotate_left(3).wrapping_add(self.n));
    }
}

/// Destructors, of values that move and are dropped in other places.
#[gofunc]
pub fn drops(turns: u64) -> u64 {
    let sum = Cell::new(1);
    let mut last = None;
    for n in 0..turns {
        let first = Adds { sum: &sum, n };
        let boxed = Box::new(Adds {
            sum: &sum,
            n: n ^ 0x55,
        });
        if n % 2 == 0 {
            drop(first);
        }
        last = Some(boxed);
    }
    drop(last);
    sum.get()
}

/// Destructors on the way of a panic.
pub fn landing_pads(turns: u64) -> u64 {
    let sum = Cell::new(1);
    for n in 0..turns {
        let caught = catch_unwind(AssertUnwindSafe(|| unwinds(&sum, n, 3)));
        sum.set(sum.get().wrapping_mul(31) + u64::from(caught.is_err()));
    }
    sum.get()
}

#[gofunc]
fn unwinds(sum: &Cell<u64>, n: u64, frames: u64) -> u64 {
    let first = Adds { sum, n };
    let second = Adds { sum, n: n ^ frames };
    if frames == 0 {
        resume_unwind(Box::new(n));
    }
    // Black: it comes back here, if only to unwind.
    let below = black_box(unwinds(sum, n + 1, frames - 1));
    drop(second);
    below + first.n
}

/// The flag is raised on this P, so the next check fails.
#[gofunc]
pub fn failing_check(turns: u64) -> u64 {
    let mut sum = 1_u64;
    for n in 0..turns {
        rt::stack::preemptall();
        sum = sum.wrapping_mul(31) ^ checked(sum, n);
    }
    sum
}

#[gofunc]
fn checked(a: u64, b: u64) -> u64 {
    a.rotate_left(9).wrapping_sub(b)
}

/// Frames until the stack has to grow.
#[gofunc]
pub fn growing_stack(depth: u64) -> u64 {
    let here = black_box([depth; 32]);
    match depth {
        0 => 1,
        _ => here[5] ^ growing_stack(depth - 1).wrapping_mul(31),
    }
}
