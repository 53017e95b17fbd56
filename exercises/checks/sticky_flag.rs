//! The learner's piece of `sticky-flag`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/sticky_flag.rs"]
mod work;

use stage1_coop::{STAGE, Stage};

const MINE: &Stage = &Stage {
    releasem_slow: work::releasem_slow,
    ..STAGE
};

fn main() {
    exercises::stage1::sticky_flag::attempt(MINE);
}
