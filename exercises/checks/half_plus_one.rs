//! The learner's piece of `half-plus-one`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/half_plus_one.rs"]
mod work;

use stage1_coop::{STAGE, Stage};

const MINE: &Stage = &Stage {
    runqputslow: work::runqputslow,
    ..STAGE
};

fn main() {
    exercises::stage1::half_plus_one::attempt(MINE);
}
