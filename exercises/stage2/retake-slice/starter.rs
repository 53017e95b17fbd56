//! Ten milliseconds, seen from outside.
//!
//! The starter asks every goroutine in every round. Look how long a slice is then.

use exercises::stage2::retake_slice::helpers::*;

/// Called by sysmon in each round, with the time in nanoseconds: asks goroutines that have run for too
/// long. Returns how many processors were taken out of a system call, which is not our
/// business here: 0.
pub fn retake(_now: u64) -> u32 {
    for pp in allp() {
        if runs(pp) {
            ask(pp);
        }
    }
    0
}
