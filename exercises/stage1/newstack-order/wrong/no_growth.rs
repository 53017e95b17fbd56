//! caught by: no-growth
//!
//! `newstack`: the order of decisions.

use exercises::stage1::newstack_order::helpers::*;
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::Next;

/// Called on `g0` when a guard check of `gp` has failed.
pub fn newstack(gp: &'static G) -> Next {
    if let Some(what) = bug(gp) {
        throw(what);
    }
    if asked(gp) {
        if why_not().is_some() {
            refuse(gp);
            return Some(gp);
        }
        return obey(gp);
    }
    Some(gp)
}
