//! `newstack`: the order of decisions.

use exercises::stage1::newstack_order::helpers::*;
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::Next;

/// Called on `g0` when a guard check of `gp` has failed.
pub fn newstack(gp: &'static G) -> Next {
    match (bug(gp), asked(gp), why_not()) {
        (Some(what), _, _) => throw(what),
        (None, true, None) => return obey(gp),
        (None, true, Some(_)) => refuse(gp),
        (None, false, _) => grow(gp),
    }
    Some(gp)
}
