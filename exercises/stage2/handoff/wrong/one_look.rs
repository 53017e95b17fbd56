//! caught by: in-between
//!
//! A processor that its thread cannot use.

use exercises::stage2::handoff::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called with a processor that its thread has just given up: another runs it, or it is
/// idle.
pub fn handoffp(pp: &'static P) {
    if has_work(pp) || global() > 0 {
        return start(pp);
    }
    if idle() + looking() == 0 && start_looking(pp) {
        return;
    }
    set_aside(&mut lock(), pp);
}
