//! The G that a handler runs as. Mirrors `m.gsignal` and `minitSignalStack` of `os_linux.go` and
//! `signal_unix.go`; the chapter is *Signals*.
//!
//! A goroutine's stack may be nearly full, and the kernel puts three kilobytes on the stack before
//! a handler runs at all. So each M has a stack for its handlers, from stage 1 on. A stack has a
//! G: it is what a guard check compares with, and what code asks that wants to know whether it is
//! on a goroutine. Without one of its own a handler would be taken for the goroutine that it
//! interrupted, on a stack that is not that goroutine's.
//!
//! Tests: `asynchronous`.

use crate::table::words::Own;
use stage2_sysmon::rt::gmp::M;
use stage2_sysmon::rt::stack::STACK_GUARD;
use std::sync::atomic::Ordering::Relaxed;

/// The calling thread is `mp`: its signal stack gets its G.
pub(crate) fn minit(mp: &'static M, own: &'static Own) {
    let gsignal = &own.gsignal;
    gsignal.name.set("gsignal");
    gsignal.m.set(Some(mp));
    let (lo, hi) = (mp.signal_stack.lo.get(), mp.signal_stack.hi.get());
    gsignal.stack.lo.set(lo);
    gsignal.stackguard0.store(lo + STACK_GUARD, Relaxed);
    // Last: from here on the handler finds it.
    gsignal.stack.hi.set(hi);
}

/// The calling thread leaves the run: to a handler it is any other thread from now on.
pub(crate) fn unminit(own: &'static Own) {
    own.gsignal.stack.hi.set(0);
}

/// Why the handler's stack of `size` bytes is too small on this machine, if it is: the kernel's
/// frame alone, with all registers that it saves (`AT_MINSIGSTKSZ`), may take a quarter. Handlers
/// nest, and a program's own handler may be called from ours.
pub(crate) fn too_small(size: usize, frame: usize) -> Option<String> {
    (frame > size / 4).then(|| {
        format!(
            "a signal's frame takes {frame} bytes on this machine, and a thread's signal stack has \
             {size}: no more than a quarter is safe"
        )
    })
}

/// Bytes of the kernel's frame, as it says itself; 0 where it does not.
pub(crate) fn frame_size() -> usize {
    // SAFETY: getauxval takes a number.
    unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) as usize }
}

#[cfg(test)]
mod tests {
    use super::{frame_size, too_small};

    #[test]
    fn a_frame_of_more_than_a_quarter_is_refused() {
        assert_eq!(too_small(64 << 10, 16 << 10), None);
        assert_eq!(
            too_small(64 << 10, 0),
            None,
            "an old kernel does not say it"
        );
        assert_eq!(
            too_small(64 << 10, (16 << 10) + 1).as_deref(),
            Some(
                "a signal's frame takes 16385 bytes on this machine, and a thread's signal stack \
                 has 65536: no more than a quarter is safe"
            )
        );
        assert_eq!(too_small(64 << 10, frame_size()), None, "this machine");
    }
}
