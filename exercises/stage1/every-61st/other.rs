//! Every 61st turn.

/// Whether this turn of the scheduler looks at the global queue before its own.
pub fn look_first(schedtick: u32, global: usize) -> bool {
    // A power of two needs no division; any number near 60 does.
    global != 0 && schedtick & 63 == 17
}
