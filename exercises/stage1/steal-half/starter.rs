//! A thief takes half.
//!
//! The starter is modest: it takes the oldest one, and no more.

use stage1_coop::rt::gmp::P;

/// Called by a thief, `pp`, for each victim: moves half of the victim's ring into its own,
/// from position `t` on, and says how many. `steal_next`: this is the last pass.
pub fn runqgrab(pp: &'static P, victim: &'static P, t: u32, _steal_next: bool) -> u32 {
    let (h, tail) = victim.runq.ends();
    if tail == h {
        return 0;
    }
    pp.runq.lay(t, victim.runq.peek(h));
    u32::from(victim.runq.claim(h, 1))
}
