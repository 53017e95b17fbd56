//! Contexts: a cancel and a deadline reach everything below.

use crate::fixture::stage2::on;
use ContextError::{Canceled, DeadlineExceeded};
use stage2_sysmon::*;
use std::sync::Arc;
use std::time::Duration;
use tests::scenario;

#[test]
fn a_context_that_is_canceled_ends_those_below_it() {
    for seed in [vec![], vec![("SAFEPOINT_SEED", "1")]] {
        let ended = scenario!(seed, "contexts");
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(ended.stdout, "canceled, then out of time\n");
    }
}

/// Those that wait for a context, those that make one below it, and two that cancel it.
#[test]
fn canceling_races_with_new_children() {
    on(4, || {
        for i in 0..200 {
            let root = Context::background();
            let (top, cancel) = Context::with_cancel(&root);
            let (done, cancel) = (WaitGroup::new(), Arc::new(cancel));
            done.add(10);
            for n in 0..8 {
                let (top, done) = (top.clone(), done.clone());
                go("child", move || {
                    spin((i * n) % 997);
                    let (one, _cancel) = Context::with_timeout(&top, Duration::from_secs(3600));
                    let (two, _cancel) = Context::with_cancel(&one);
                    assert_eq!(two.done().recv(), None);
                    assert_eq!((one.err(), two.err()), (Some(Canceled), Some(Canceled)));
                    done.done();
                });
            }
            for _ in 0..2 {
                let (cancel, done) = (cancel.clone(), done.clone());
                go("cancels", move || {
                    spin(1_000);
                    cancel.cancel();
                    done.done();
                });
            }
            done.wait();
            assert_eq!(
                rt::timers::time_sleep_until(),
                rt::timers::NEVER,
                "a timer was left behind"
            );
        }
    });
}

/// A context whose time comes at the very moment at which it is canceled is over for one reason.
#[test]
fn a_deadline_races_with_a_cancel() {
    on(2, || {
        let root = Context::background();
        for us in 0..500 {
            let (c, cancel) = Context::with_timeout(&root, Duration::from_micros(us % 50));
            spin(us * 20);
            let before = c.err();
            cancel.cancel();
            let after = c.err();
            assert!(after == Some(Canceled) || after == Some(DeadlineExceeded));
            assert!(before.is_none() || before == after);
            assert_eq!(c.done().recv(), None);
        }
    });
}

/// A context that nobody has any more takes its timer along, and its place below its parent; a
/// line of ten thousand does not need ten thousand frames for it.
#[test]
fn contexts_that_nobody_has_leave_nothing_behind() {
    on(1, || {
        let hour = Duration::from_secs(3600);
        let (mut last, first) = Context::with_timeout(&Context::background(), 10_000 * hour);
        for n in (1..10_000).rev() {
            // Without its cancel: dropping that would end the line at once.
            let (next, cancel) = Context::with_timeout(&last, n * hour);
            std::mem::forget(cancel);
            last = next;
        }
        first.cancel();
        assert_eq!(last.err(), Some(Canceled));
        assert_eq!(
            rt::timers::time_sleep_until(),
            rt::timers::NEVER,
            "a timer was left behind"
        );
        drop(last);
    });
}
