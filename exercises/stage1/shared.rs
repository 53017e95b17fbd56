// The exercises of stage 1, and what their judges share. Each has a folder beside this file, with
// its scenarios and a judge that looks at what a run of one showed.
//
// Behavior decides, and the invariants of the trace; never equality with the reference
// trace, which is only shown beside the learner's.

use crate::attempt::{Fault, Run, start};
#[doc(hidden)]
pub use stage1_coop as library;
use stage1_coop::rt;
use stage1_coop::rt::gmp::{G, SCHED};
use stage1_coop::rt::sched::Next;
use stage1_coop::{Runtime, STAGE, Stage, ThirdParty, gofunc, prologue, spin};
use std::time::Duration;

/// A function of a goroutine: one guard check, and then as many nanoseconds of
/// lockstep's clock.
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

/// Runs `main` on `stage`, with a third party to raise the flag.
pub(crate) fn with(
    stage: &'static Stage,
    flag: fn(&mut ThirdParty),
    main: impl FnOnce() + Send + 'static,
) {
    start(Runtime::new(stage).third_party(flag), main);
}

/// The changed scheduler: a goroutine that yields does not go to the end of the queue, but to
/// its front.
pub(crate) static CHANGED: Stage = Stage {
    preempted: back_to_the_front,
    ..STAGE
};

fn back_to_the_front(gp: &'static G) -> Next {
    let pp = rt::arch::getm().p.get();
    (STAGE.preempted)(gp);
    // Out of the global queue again, and into runnext.
    let back = pp.and_then(|pp| {
        let mut sched = SCHED.lock();
        rt::queues::globrunqget(&mut sched, pp, 1)
    });
    if let (Some(pp), Some(gp)) = (pp, back) {
        rt::queues::runqput(pp, gp, true);
    }
    None
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

/// Every request in the trace was obeyed.
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
