//! A processor that its thread cannot use.
//!
//! The starter puts it on the idle list, whatever there is to do. See what waits.

use exercises::stage2::handoff::helpers::*;
use stage2_sysmon::rt::gmp::P;

/// Called with a processor that its thread has just given up: another runs it, or it is
/// idle.
pub fn handoffp(pp: &'static P) {
    set_aside(&mut lock(), pp);
}
