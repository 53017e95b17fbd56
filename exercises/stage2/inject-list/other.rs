//! Many become runnable at once.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    // As Go did it before 1.15: all of them into the global queue, whatever the caller has. Simpler, and
    // the caller has to come for its share.
    {
        let mut sched = lock();
        list.iter().for_each(|gp| put_global(&mut sched, gp));
    }
    for _ in list {
        if idle() == 0 {
            break;
        }
        start_one();
    }
}
