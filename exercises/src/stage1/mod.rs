//! The exercises of stage 1: for each its scenarios, and a judge that looks at what a run
//! of one showed.
//!
//! Behavior decides, and the invariants of the trace; never equality with the reference
//! trace, which is only shown beside the learner's.

pub mod every_61st;
pub mod find_the_bug;
pub mod guard_check;
pub mod half_plus_one;
mod in_between;
pub mod lost_wakeup;
pub mod newstack_order;
pub mod read_a_trace;
pub mod snapshot_your_own;
pub mod steal_half;
pub mod sticky_flag;

use crate::attempt::{Exercise, Fault, Run, start};
use stage1_coop::{Runtime, Stage, ThirdParty, gofunc, prologue, spin};
use std::time::Duration;

/// Every exercise of this stage, in the order of the book.
pub(crate) const ALL: &[&Exercise] = &[
    &read_a_trace::EXERCISE,
    &guard_check::EXERCISE,
    &sticky_flag::EXERCISE,
    &newstack_order::EXERCISE,
    &half_plus_one::EXERCISE,
    &every_61st::EXERCISE,
    &steal_half::EXERCISE,
    &lost_wakeup::EXERCISE,
    &find_the_bug::EXERCISE,
    &snapshot_your_own::EXERCISE,
];

/// A function of a goroutine: one guard check, and then as many nanoseconds of the
/// laboratory's clock.
#[gofunc]
pub(crate) fn work(turns: u64) -> u64 {
    spin(turns)
}

/// The third party of most scenarios: raises the flag every 10 ms.
pub(crate) fn every_10_ms(me: &mut ThirdParty) {
    while me.sleep(Duration::from_millis(10)) {
        me.raise_the_flag();
    }
}

/// Raises the flag once, after 10 ms.
pub(crate) fn once(me: &mut ThirdParty) {
    if me.sleep(Duration::from_millis(10)) {
        me.raise_the_flag();
    }
}

/// Runs `main` on `stage`, with somebody to raise the flag.
pub(crate) fn with(
    stage: &'static Stage,
    flag: fn(&mut ThirdParty),
    main: impl FnOnce() + Send + 'static,
) {
    start(Runtime::new(stage).third_party(flag), main);
}

/// The trace keeps the invariants of every trace.
pub(crate) fn sound(run: &Run) -> Result<(), Fault> {
    run.trace.check().map_err(|broken| {
        Fault::new(
            "invariant",
            format!("An invariant of the scheduler broke: {}.", broken.what),
            "No sound scheduler produces this event, whatever the schedule.",
        )
        .at(broken.event)
    })
}

/// Every request in the trace was heeded by somebody.
pub(crate) fn all_heard(run: &Run) -> Result<(), Fault> {
    for i in run.trace.find("Preempt") {
        let asked = &run.trace.events[i];
        let heard = run
            .trace
            .after(i, |e| e.name == "GoPreempt" && e.flow == asked.flow);
        // The last one may come too late to be heard: its goroutine ends first.
        let over = run.trace.after(i, |e| {
            e.name == "GoEnd" && e.g == asked.target() && e.us < asked.us + 1000
        });
        if heard.is_none() && over.is_none() {
            return Err(Fault::new(
                "unheard",
                format!(
                    "Request #{} at {} ms asked g{} to yield, and it never did.",
                    asked.flow.unwrap_or(0),
                    millis(asked.us),
                    asked.target().unwrap_or(0)
                ),
                "The flag was up and no check led to a yield, so the goroutine kept the processor for itself.",
            )
            .at(i));
        }
    }
    Ok(())
}

/// Microseconds as a trace writes them.
pub(crate) fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}
