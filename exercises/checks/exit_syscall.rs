//! The learner's piece of `exit-syscall`, plugged into its socket: a row of stage 2's own table.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/exit_syscall.rs"]
mod work;

use stage2_sysmon::rt::table::{ROWS, Rows};
use stage2_sysmon::{STAGE, Stage};

const MINE: &Stage = &Stage {
    more: &[&Rows {
        exitsyscall_slow: work::exitsyscall_slow,
        ..ROWS
    }],
    ..STAGE
};

fn main() {
    exercises::stage2::exit_syscall::attempt(MINE);
}
