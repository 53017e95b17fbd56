pub fn retake(now: u64) -> u32 {
    (stage2_sysmon::rt::table::ROWS.retake)(now)
}
// ends as: refused, `ROWS`
