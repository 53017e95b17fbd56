//! The learner's piece of `newstack-order`, plugged into its socket: a row of the stage table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/newstack_order.rs"]
mod work;

use stage1_coop::{STAGE, Stage};

const MINE: &Stage = &Stage {
    newstack: work::newstack,
    ..STAGE
};

fn main() {
    exercises::stage1::newstack_order::attempt(MINE);
}
