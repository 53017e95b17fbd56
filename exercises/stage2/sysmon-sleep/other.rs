//! How long sysmon sleeps.

/// How many microseconds to sleep now, after `idle` rounds in a row that found nothing, when
/// the last sleep was `delay`.
pub fn sysmon_delay(idle: u32, _delay: u32) -> u32 {
    // The last sleep is not needed: the number of idle rounds says it all.
    let doublings = idle.saturating_sub(50).min(9);
    (20 << doublings).min(10_000)
}
