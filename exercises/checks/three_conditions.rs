//! The learner's piece of `three-conditions`, plugged into its socket: a row of stage 2's own table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/three_conditions.rs"]
mod work;

use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    more: &[&Rows {
        retake_syscall: work::retake_syscall,
        ..ROWS
    }],
    ..STAGE
};

fn main() {
    exercises::stage2::three_conditions::attempt(MINE);
}
