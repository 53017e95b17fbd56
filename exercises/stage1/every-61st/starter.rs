//! Every 61st turn.
//!
//! The starter looks at the global queue only when its own is empty, which `schedule` does
//! anyway. See which goroutines wait.

/// Whether this turn of the scheduler looks at the global queue before its own.
pub fn look_first(_schedtick: u32, _global: usize) -> bool {
    false
}
