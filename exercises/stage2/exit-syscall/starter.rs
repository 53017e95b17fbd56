//! Back from a call, and no processor.
//!
//! The starter makes the goroutine runnable, and lets its thread rest. Which thread will run it?

use exercises::stage2::exit_syscall::helpers::*;
use stage2_sysmon::rt::gmp::G;
use stage2_sysmon::rt::sched::Next;

/// Called when `gp` is back from a system call and found no processor: its old one is gone, and
/// none was idle.
pub fn exitsyscall_slow(gp: &'static G) -> Next {
    runnable(gp);
    rest()
}
