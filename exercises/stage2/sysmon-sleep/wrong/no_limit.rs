//! caught by: too-long
//!
//! How long sysmon sleeps.

/// How many microseconds to sleep now, after `idle` rounds in a row that found nothing, when
/// the last sleep was `delay`.
pub fn sysmon_delay(idle: u32, delay: u32) -> u32 {
    match idle {
        0 => 20,
        1..=50 => delay,
        _ => delay.saturating_mul(2),
    }
}
