//! Is any thread left?
//!
//! The starter never asks. See how a program ends in which every goroutine waits.

use exercises::stage2::check_dead::helpers::*;
use stage2_sysmon::rt::gmp::M;

/// Called by a thread that is about to sleep, or to end, and is counted as asleep already.
pub fn m_idle(_mp: &'static M) {}
