//! How long sysmon sleeps.
//!
//! The starter looks every ten milliseconds, whatever happens. That is often enough for
//! slices. See what a system call of five milliseconds makes of it.

/// How many microseconds to sleep now, after `idle` rounds in a row that found nothing, when
/// the last sleep was `delay`.
pub fn sysmon_delay(_idle: u32, _delay: u32) -> u32 {
    10_000
}
