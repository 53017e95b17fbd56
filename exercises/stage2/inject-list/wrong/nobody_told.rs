//! caught by: ps-idle
//!
//! Many become runnable at once.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    let mut sched = lock();
    for gp in list {
        put_global(&mut sched, gp);
    }
}
