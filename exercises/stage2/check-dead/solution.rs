//! Is any thread left?

use exercises::stage2::check_dead::helpers::*;
use stage2_sysmon::rt::gmp::M;

/// Called by a thread that is about to sleep, or to end, and is counted as asleep already.
pub fn m_idle(_mp: &'static M) {
    let n = threads();
    let awake = n.all - n.idle - n.locked - n.system;
    if awake == 0 {
        report();
    }
}
