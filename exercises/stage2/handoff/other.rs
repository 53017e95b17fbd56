//! A processor that its thread cannot use.

use exercises::stage2::handoff::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called with a processor that its thread has just given up: another runs it, or it is
/// idle.
pub fn handoffp(pp: &'static P) {
    // Everything under the lock: slower, and there is no second look to forget.
    let mut sched = lock();
    let work = has_work(pp) || sched.runqhead.is_some();
    let alone = idle() + looking() == 0;
    if !work && !alone {
        return set_aside(&mut sched, pp);
    }
    drop(sched);
    if work || !start_looking(pp) {
        // If a thread has begun to look meanwhile, one thread more does no harm.
        start(pp);
    }
}
