//! A processor in a system call: take it?
//!
//! The starter takes each one that sysmon has seen twice in the same call. Look at the calls
//! of a goroutine that is alone.

use exercises::stage2::three_conditions::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called by sysmon for a processor that has been in the same call for a whole round, with the
/// time in nanoseconds: shall it be taken away?
pub fn retake_syscall(_pp: &'static P, _now: u64) -> bool {
    true
}
