//! caught by: none-started
//!
//! Many become runnable at once.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    let Some(pp) = my_p() else {
        let mut sched = lock();
        return list.iter().for_each(|gp| put_global(&mut sched, gp));
    };
    let n = list.len().min(idle());
    for gp in &list[..n] {
        put_global(&mut lock(), gp);
        start_one();
    }
    for gp in &list[n..] {
        put_mine(pp, gp);
    }
}
