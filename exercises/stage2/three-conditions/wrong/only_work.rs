//! caught by: none-left
//!
//! A processor in a system call: take it?

use exercises::stage2::three_conditions::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called by sysmon for a processor that has been in the same call for a whole round, with the
/// time in nanoseconds: shall it be taken away?
pub fn retake_syscall(pp: &'static P, now: u64) -> bool {
    has_work(pp) || first_seen(pp) + SYSCALL_NS <= now
}
