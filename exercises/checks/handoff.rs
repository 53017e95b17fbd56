//! The learner's piece of `handoff`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/handoff.rs"]
mod work;

use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    handoffp: work::handoffp,
    ..STAGE
};

fn main() {
    exercises::stage2::handoff::attempt(MINE);
}
