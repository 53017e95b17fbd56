//! A ruler for stacks: frames of exactly the size that one asks for.
//!
//! How much stack a function takes is the compiler's business, so the depth at which a
//! stack must grow differs from build to build, and with it a trace. [`with_frame`] puts
//! the stack pointer on a mark instead: one mark deeper for each call. It is for
//! experiments with growth; nothing of Go corresponds to it.
//!
//! Tests: below; `check::growth::a_frame_of_the_ruler_begins_below_what_is_in_use`.

use crate::arch::{getg, on_goroutine, on_stack};
use crate::stack::slots::frames_room;

/// The marks lie half a KiB off the multiples of the frame, so that neither the guard
/// (928 bytes above a power of two) nor the compiler's frame in between comes near one.
const OFFSET: usize = 512;

/// Calls `f` with the stack pointer at the next mark below: marks are `bytes` apart,
/// counted from the top of the goroutine's stack. So each nested call takes exactly `bytes`
/// as long as what the compiler adds in between fits (400 bytes of a KiB).
///
/// # Panics
/// Off a goroutine, or when `bytes` is not a multiple of 64 between 1024 and 4096.
pub fn with_frame<R>(bytes: usize, f: impl FnOnce() -> R) -> R {
    assert!(
        (1024..=4096).contains(&bytes) && bytes.is_multiple_of(64),
        "with_frame takes a multiple of 64 between 1024 and 4096 bytes"
    );
    assert!(on_goroutine(), "with_frame measures a goroutine's stack");
    struct Call<F, R> {
        f: Option<F>,
        result: Option<R>,
    }
    extern "C-unwind" fn call<F: FnOnce() -> R, R>(c: *mut Call<F, R>) {
        // SAFETY: `c` points at the structure on the caller's stack, which waits for us.
        let c = unsafe { &mut *c };
        c.result = c.f.take().map(|f| f());
    }
    fn address<F: FnOnce() -> R, R>(_: &F) -> usize {
        call::<F, R> as *const () as usize
    }

    let gp = getg();
    let hi = gp.stack.hi.get();
    let here = hi - approximate_sp();
    let before = gp.ruler.get();
    // In lockstep the marks begin deeper, and what is above the first one may take that room.
    let room = frames_room();
    let depth = next_mark(here - if before > 0 { room } else { 0 }, bytes) + room;
    touch(hi - here, hi - depth);
    gp.ruler.set(depth);
    let f_address = address::<_, R>(&f);
    let mut c = Call {
        f: Some(f),
        result: None,
    };
    // SAFETY: `next_mark` puts the new stack pointer below everything in use, the two words
    // that `on_stack` pushes first included, and at most 5 KiB and the room for frames deeper,
    // which the slack below every usable part holds; past its end `touch` has met the guard
    // page. `call` may
    // unwind, and `on_stack` has the CFI for it.
    unsafe { on_stack((&raw mut c).cast(), f_address, hi - depth) };
    gp.ruler.set(before);
    match c.result {
        Some(result) => result,
        None => unreachable!("call ran"),
    }
}

/// Bytes below the stack pointer that are in use before the new one is loaded: the return
/// address and the frame pointer that `on_stack` pushes.
const PUSHED: usize = 16;

/// The depth of the next mark below what is in use at depth `here`.
fn next_mark(here: usize, bytes: usize) -> usize {
    (here + PUSHED)
        .saturating_sub(OFFSET)
        .next_multiple_of(bytes)
        + OFFSET
}

/// Reads the stack from `sp` down to `new`, in steps that no guard page fits between.
fn touch(sp: usize, new: usize) {
    let mut at = sp;
    while at > new {
        at = new.max(at - 2048);
        // SAFETY: a read of this goroutine's own stack, whose value is thrown away; below
        // the end of the stack stands its guard page, and to fault there is what is wanted.
        unsafe {
            std::arch::asm!(
                "test byte ptr [{at} - 8], 0", at = in(reg) at,
                options(nostack, readonly),
            );
        }
    }
}

#[inline(always)]
fn approximate_sp() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags));
    }
    sp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_mark_is_below_all_that_is_in_use() {
        for bytes in (1024..=4096).step_by(64) {
            for here in (64..3 * bytes).step_by(8) {
                let depth = next_mark(here, bytes);
                assert!(depth >= here + PUSHED, "{here} {bytes}: {depth}");
                assert!(
                    depth <= here.max(OFFSET) + PUSHED + bytes,
                    "{here} {bytes}: {depth}"
                );
                assert_eq!((depth - OFFSET) % bytes, 0);
            }
        }
    }
}
