//! caught by: never-back
//!
//! How long sysmon sleeps.

/// How many microseconds to sleep now, after `idle` rounds in a row that found nothing, when
/// the last sleep was `delay`.
pub fn sysmon_delay(idle: u32, delay: u32) -> u32 {
    if idle > 50 {
        (delay * 2).min(10_000)
    } else {
        delay.max(20)
    }
}
