//! Programs about sysmon, calls and the last goroutine that sleeps.

pub mod calls;
pub mod deadlock;
pub mod ends;

use crate::start;
use stage2_sysmon::*;

/// Runs `main` on `procs` Ps, or as many as the environment says.
fn run(procs: usize, main: impl FnOnce() + Send + 'static) {
    start(Runtime::new(&STAGE).procs(procs), main);
}

fn forever() {
    Chan::<()>::new(0).recv();
}

#[gofunc]
fn checked() {}
