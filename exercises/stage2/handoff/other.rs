//! A processor that its thread cannot use.

use exercises::stage2::handoff::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called with a processor that its thread has just given up: somebody runs it, or it lies
/// idle.
pub fn handoffp(pp: &'static P) {
    // Everything under the lock: slower, and there is no second look to forget.
    let mut sched = lock();
    let work = has_work(pp) || sched.runqhead.is_some();
    let nobody = idle() + looking() == 0;
    if !work && !nobody {
        return set_aside(&mut sched, pp);
    }
    drop(sched);
    if work || !start_looking(pp) {
        // If somebody has begun to look meanwhile, one thread more does no harm.
        start(pp);
    }
}
