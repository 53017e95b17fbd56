//! The learner's piece of `retake-slice`, plugged into its socket: a row of stage 2's own table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/retake_slice.rs"]
mod work;

use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    more: &[&Rows {
        retake: work::retake,
        ..ROWS
    }],
    ..STAGE
};

fn main() {
    exercises::stage2::retake_slice::attempt(MINE);
}
