//! caught by: too-busy
//!
//! How long sysmon sleeps.

/// How many microseconds to sleep now, after `idle` rounds in a row that found nothing, when
/// the last sleep was `delay`.
pub fn sysmon_delay(_idle: u32, _delay: u32) -> u32 {
    20
}
