//! The learner's piece of `inject-list`, plugged into its socket: a row of stage 2's own table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/inject_list.rs"]
mod work;

use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    more: &[&Rows {
        injectglist: work::injectglist,
        ..ROWS
    }],
    ..STAGE
};

fn main() {
    exercises::stage2::inject_list::attempt(MINE);
}
