//! The guard check: what stands in front of every function of a goroutine. Mirrors what Go's
//! compiler (`cmd/internal/obj/x86`) emits; the chapter is *The check and the flag*.
//!
//! Tests: `check`, `check_shape`.

use crate::gmp::G;
use std::mem::offset_of;

/// The guard check that Go's compiler puts in front of every function: three instructions
/// that compare the stack pointer with the current goroutine's `stackguard0`. If the stack
/// pointer is not above it, there is too little stack, or the goroutine was asked to
/// yield; `morestack` finds out which.
///
/// The slow path stands out of the way, behind all functions of the section. It does not
/// call `morestack` but enters it as if the check itself had called it: with the address
/// behind the check as the return address, so that a debugger or a dump that looks at a
/// goroutine in there sees the function that made the check. The three instructions themselves
/// are in no function's unwind table, because a table covers one piece of code.
///
/// The compiler may put the check in front of the function's frame (as Go's does) or behind
/// it. In front, the frame is not counted. It ends in the slack below `lo` then; one larger
/// than that touches the guard page, because Rust touches a large frame page by page.
///
/// `#[gofunc]` writes it in front of a function. In a closure or a loop, write it yourself,
/// as the first statement.
#[macro_export]
macro_rules! prologue {
    () => {
        // SAFETY: `fs:go_tls_g` holds the address of a G on every thread, and its word at
        // offset 16 is `stackguard0`. `morestack` preserves every register but the one that
        // is declared lost, and needs no alignment. The word that is pushed for it lies in
        // no red zone: without `nostack` the compiler uses none.
        unsafe {
            // ANCHOR: prologue
            ::core::arch::asm!(
                "mov {g}, fs:[go_tls_g@tpoff]",
                "cmp rsp, [{g} + 16]",
                "jbe 3f",
                "2:",
                ".subsection 1",
                "3:",
                "lea {g}, [rip + 2b]",
                "push {g}",
                "jmp {morestack}",
                ".subsection 0",
                g = out(reg) _,
                morestack = sym $crate::rt::stack::morestack,
            )
            // ANCHOR_END: prologue
        }
    };
}

const _: () = {
    // What the assembly of the check relies on.
    assert!(offset_of!(G, stackguard0) == 16);
};
