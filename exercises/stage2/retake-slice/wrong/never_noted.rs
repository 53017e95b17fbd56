//! caught by: never
//!
//! Ten milliseconds, seen from outside.

use exercises::stage2::retake_slice::helpers::*;

/// Called by sysmon in each round, with the time in nanoseconds: asks goroutines that have run for too
/// long. Returns how many processors were taken out of a system call, which is not our
/// business here: 0.
pub fn retake(now: u64) -> u32 {
    for pp in allp() {
        let (seen_tick, when) = seen(pp);
        if runs(pp) && tick(pp) == seen_tick && when + FORCE_PREEMPT_NS <= now {
            ask(pp);
        }
    }
    0
}
