//! Many become runnable at once.
//!
//! The starter keeps them all, if the caller has a processor. See what the others do.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    if let Some(pp) = my_p() {
        for gp in list {
            put_mine(pp, gp);
        }
        return;
    }
    for gp in list {
        put_global(&mut lock(), gp);
        start_one();
    }
}
