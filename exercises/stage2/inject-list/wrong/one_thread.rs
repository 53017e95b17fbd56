//! caught by: too-few
//!
//! Many become runnable at once.

use exercises::stage2::inject_list::helpers::*;
use stage2_sysmon::rt::gmp::G;

/// Called with goroutines that have just become runnable and stand in no queue yet: queues
/// them all, and starts threads for them.
pub fn injectglist(list: &[&'static G]) {
    let mine = my_p();
    let n = if mine.is_some() {
        list.len().min(idle())
    } else {
        list.len()
    };
    for gp in &list[..n] {
        put_global(&mut lock(), gp);
    }
    start_one();
    if let Some(pp) = mine {
        for gp in &list[n..] {
            put_mine(pp, gp);
        }
    }
}
