//! Is any thread left?

use exercises::stage2::check_dead::helpers::*;
use stage2_sysmon::rt::gmp::M;

/// Called by a thread that is about to sleep, or to end, and is counted as asleep already.
pub fn m_idle(_mp: &'static M) {
    // Forwards: those that sleep, and those that never run anything. Is that all of them?
    let Threads {
        all,
        idle,
        locked,
        system,
    } = threads();
    if idle + locked + system >= all {
        report()
    }
}
