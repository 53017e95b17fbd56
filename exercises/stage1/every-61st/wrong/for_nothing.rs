//! caught by: for-nothing
//!
//! Every 61st turn.

/// Whether this turn of the scheduler looks at the global queue before its own.
pub fn look_first(schedtick: u32, global: usize) -> bool {
    let _ = global;
    schedtick.is_multiple_of(61)
}
