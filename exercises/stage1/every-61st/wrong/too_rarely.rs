//! caught by: too-rarely
//!
//! Every 61st turn.

/// Whether this turn of the scheduler looks at the global queue before its own.
pub fn look_first(schedtick: u32, global: usize) -> bool {
    schedtick.is_multiple_of(610) && global > 0
}
