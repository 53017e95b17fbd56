//! caught by: flag-left-up
//!
//! `newstack`: the order of decisions.

use exercises::stage1::newstack_order::helpers::*;
use stage1_coop::rt::gmp::G;
use stage1_coop::rt::last_words::throw;
use stage1_coop::rt::sched::Next;
use std::sync::atomic::Ordering::Relaxed;

/// Called on `g0` when a guard check of `gp` has failed.
pub fn newstack(gp: &'static G) -> Next {
    if let Some(what) = bug(gp) {
        throw(what);
    }
    if asked(gp) {
        if why_not().is_some() {
            // Refuses, and raises the flag again so that it is not forgotten.
            let request = gp.stackguard0.load(Relaxed);
            refuse(gp);
            gp.stackguard0.store(request, Relaxed);
            return Some(gp);
        }
        return obey(gp);
    }
    grow(gp);
    Some(gp)
}
