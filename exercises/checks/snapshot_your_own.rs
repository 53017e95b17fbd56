//! The learner's scenario of `snapshot-your-own`, and its record.

#[forbid(unsafe_code)]
#[allow(unused_imports)]
#[rustfmt::skip]
#[path = "../work/snapshot_your_own.rs"]
mod work;

use exercises::stage1::snapshot_your_own::{Work, attempt};

fn main() {
    attempt(Work {
        scenario: work::scenario,
        events: work::EVENTS,
        expected: work::EXPECTED,
    });
}
