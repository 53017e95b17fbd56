//! A processor in a system call: take it?

use exercises::stage2::three_conditions::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called by sysmon for a processor that has been in the same call for a whole round, with the
/// time in nanoseconds: shall it be taken away?
pub fn retake_syscall(pp: &'static P, now: u64) -> bool {
    // The other way round: when may it stay where it is? If there is nothing to run on it,
    // and another thread is there for what may come, and the call is still a short one.
    let there_are_others = idle() > 0 || looking() > 0;
    let short = now.saturating_sub(first_seen(pp)) < SYSCALL_NS;
    !(there_are_others && short && pp.runq.is_empty())
}
