//! A thief takes half.

use stage1_coop::rt::gmp::{G, P};

/// Called by a thief, `pp`, for each victim: moves half of the victim's ring into its own,
/// from position `t` on, and says how many. `steal_next`: this is the last pass.
pub fn runqgrab(pp: &'static P, victim: &'static P, t: u32, steal_next: bool) -> u32 {
    // Not the ring first and runnext after, but the other way round; and div_ceil.
    for _ in 0..1000 {
        let (h, tail) = victim.runq.ends();
        let n = tail.wrapping_sub(h).div_ceil(2);
        match victim.runq.next() {
            Some(gp) if n == 0 && steal_next => {
                if take(victim, gp) {
                    pp.runq.lay(t, Some(gp));
                    return 1;
                }
            }
            _ if n == 0 => return 0,
            _ => {
                (0..n).for_each(|i| {
                    pp.runq
                        .lay(t.wrapping_add(i), victim.runq.peek(h.wrapping_add(i)));
                });
                if victim.runq.claim(h, n) {
                    return n;
                }
            }
        }
    }
    // Others are quicker all the time; let them.
    0
}

fn take(victim: &'static P, gp: &'static G) -> bool {
    victim.runq.take_next(gp)
}
