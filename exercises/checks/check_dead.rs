//! The learner's piece of `check-dead`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/check_dead.rs"]
mod work;

use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    m_idle: work::m_idle,
    ..STAGE
};

fn main() {
    exercises::stage2::check_dead::attempt(MINE);
}
