//! The learner's piece of `sysmon-sleep`, plugged into its socket: a row of stage 2's own table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/sysmon_sleep.rs"]
mod work;

use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    more: &[&Rows {
        sysmon_delay: work::sysmon_delay,
        ..ROWS
    }],
    ..STAGE
};

fn main() {
    exercises::stage2::sysmon_sleep::attempt(MINE);
}
