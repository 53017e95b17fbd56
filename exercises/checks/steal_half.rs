//! The learner's piece of `steal-half`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/steal_half.rs"]
mod work;

use stage1_coop::{STAGE, Stage};

const MINE: &Stage = &Stage {
    runqgrab: work::runqgrab,
    ..STAGE
};

fn main() {
    exercises::stage1::steal_half::attempt(MINE);
}
