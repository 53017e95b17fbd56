//! Many become runnable at once.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    let mine = my_p();
    let global = {
        let mut sched = lock();
        let n = match mine {
            None => list.len(),
            Some(_) => list.len().min(idle()),
        };
        for gp in &list[..n] {
            put_global(&mut sched, gp);
        }
        n
    };
    for _ in 0..global.min(idle()) {
        start_one();
    }
    if let Some(pp) = mine {
        for gp in &list[global..] {
            put_mine(pp, gp);
        }
    }
}
