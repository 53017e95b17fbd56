//! caught by: order
//!
//! A thief takes half.

use stage1_coop::rt::gmp::{G, P};

/// Called by a thief, `pp`, for each victim: moves half of the victim's ring into its own,
/// from position `t` on, and says how many. `steal_next`: this is the last pass.
pub fn runqgrab(pp: &'static P, victim: &'static P, t: u32, steal_next: bool) -> u32 {
    loop {
        let (h, tail) = victim.runq.ends();
        let len = tail.wrapping_sub(h);
        let n = len - len / 2;
        if n == 0 {
            let next: Option<&'static G> = victim.runq.next();
            let Some(gp) = next.filter(|_| steal_next) else {
                return 0;
            };
            if victim.runq.take_next(gp) {
                pp.runq.lay(t, Some(gp));
                return 1;
            }
            continue;
        }
        for i in 0..n {
            let gp = victim.runq.peek(h.wrapping_add(n - 1 - i));
            pp.runq.lay(t.wrapping_add(i), gp);
        }
        if victim.runq.claim(h, n) {
            return n;
        }
    }
}
