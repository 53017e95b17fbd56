//! The reasons to wait that this stage adds to Go's list, as dumps and traces name them.
//!
//! Tests: `sysmon`, `netpoll`: the dumps in them.

use stage1_coop::rt::trace::WaitReason;

/// Why a goroutine waits that sleeps.
pub const SLEEP: WaitReason = WaitReason::Later0;
/// Why a goroutine waits that waits for a descriptor.
pub const IO_WAIT: WaitReason = WaitReason::Later1;
/// Their names, in this order.
pub const WAIT_REASONS: &[&str] = &["sleep", "IO wait"];
/// The one that Go's tracer calls otherwise.
pub const WAIT_REASONS_TRACED: &[(&str, &str)] = &[("IO wait", "network")];
