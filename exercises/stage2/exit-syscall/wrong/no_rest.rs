//! caught by: no-rest
//!
//! Back from a call, and no processor.

use exercises::stage2::exit_syscall::helpers::*;
use stage2_sysmon::rt::gmp::G;
use stage2_sysmon::rt::sched::Next;

/// Called when `gp` is back from a system call and found no processor: its old one is gone, and
/// none was idle.
pub fn exitsyscall_slow(gp: &'static G) -> Next {
    runnable(gp);
    let mut sched = lock();
    let idle = idle_p(&mut sched);
    if idle.is_none() {
        queue(&mut sched, gp);
    }
    drop(sched);
    idle.and_then(|pp| go_on(pp, gp))
}
