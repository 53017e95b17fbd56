//! The learner's piece of `guard-check`. It stands alone: the check is on the hottest path
//! of all, so it has no row.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/guard_check.rs"]
mod work;

use exercises::stage1::guard_check::{Work, attempt};

fn main() {
    attempt(Work {
        must_look: work::must_look,
        request: work::REQUEST,
    });
}
