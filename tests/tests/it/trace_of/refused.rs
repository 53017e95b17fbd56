//! What is no snapshot, and what the refusal says.

use super::{panic_of, traced};
use crate::fixture::with_panic_hook;
use stage1_coop::{Chan, STAGE, ThirdParty, gofunc, gosched, spin};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;
use tests::{example, in_order, trace_of_example, trace_of_program};

#[test]
fn what_depends_on_the_compiler_is_refused_with_the_ways_out() {
    // Compiled code without a check, far beyond the laboratory's patience.
    #[gofunc(nosplit)]
    fn burn() {
        // Counted, and not timed: the laboratory's patience is processor time.
        for i in 0..300_000_000_u32 {
            std::hint::black_box(i);
        }
    }
    // Somebody who waits for a time; else nobody is left to interrupt the loop.
    fn somebody(me: &mut ThirdParty) {
        while me.sleep(Duration::from_millis(10)) {}
    }
    let scenario = || {
        burn();
        gosched();
    };
    let panic = catch_unwind(AssertUnwindSafe(|| {
        traced(scenario).third_party(somebody).text()
    }))
    .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(
        message,
        &[
            "depends on what the compiler made",
            "a loop without a check ran long",
            "#[gofunc]",
            "spin(n)",
            ".only(",
        ],
    );
}

#[test]
fn a_scenario_that_dies_is_no_snapshot() {
    let panic = catch_unwind(AssertUnwindSafe(|| traced(|| panic!("on purpose")).text()))
        .expect_err("it is refused");
    let message = panic.downcast_ref::<String>().expect("a text");
    in_order(message, &["did not end well: status 2", "on purpose"]);
}

#[test]
fn a_misspelled_event_is_refused() {
    let near = panic_of(|| trace_of_example(&STAGE, "hello").only(&["GoStrat"]));
    assert!(near.contains("is `GoStart` meant?"), "{near}");
    let far = panic_of(|| trace_of_example(&STAGE, "hello").only(&["Nonsense"]));
    in_order(&far, &["stage1-coop", "GoCreate", ".stage(&STAGE)"]);
    // A kind of a later stage is none here, even if it could happen there.
    let later = panic_of(|| trace_of_example(&STAGE, "hello").only(&["ProcSteal"]));
    in_order(&later, &["there is no event `ProcSteal`"]);
    let stage = &stage2_sysmon::STAGE;
    // One that is known and does not happen is a fact about the schedule.
    assert_eq!(trace_of_example(stage, "sleepers").only(&["ProcSteal"]), "");
}

/// A count of a misspelled event would be 0 on every schedule.
#[test]
fn a_misspelled_event_is_refused_in_questions_too() {
    let trace = trace_of_example(&STAGE, "hello").trace();
    for near in [
        panic_of(|| trace.count("GoSnd")),
        panic_of(|| trace.find("GoSnd").count()),
    ] {
        assert!(near.contains("is `GoEnd` meant?"), "{near}");
        assert!(near.contains("Also near: GoSched"), "{near}");
    }
    // One that is known and does not happen is a fact about the schedule.
    assert_eq!(trace.count("PollHit"), 0);
}

/// A program whose stage was not said: its events are not known, and nothing can be held.
#[test]
fn a_trace_of_another_stage_says_that_the_stage_is_missing() {
    let program = example("stage2-sysmon", "blocking_call");
    let words = panic_of(|| safepoint_testkit::trace_of_program(&program, &[]).text());
    in_order(
        &words,
        &["no event `GoSysCall`", "stage2-sysmon", ".stage(&STAGE)"],
    );
}

#[test]
fn what_is_refused_says_what_to_do() {
    let none = panic_of(|| trace_of_program("/nowhere/prog", &[]).text());
    in_order(&none, &["/nowhere/prog cannot be started"]);
    let example = panic_of(|| safepoint_testkit::trace_of_example("no_such").text());
    in_order(&example, &["examples/no_such", "trace_of_program"]);
    let dead = panic_of(|| traced(|| assert_eq!(Chan::<u32>::new(0).recv(), None)).text());
    in_order(
        &dead,
        &["status 2", ".may_die()", "nothing can happen any more"],
    );
    let procs = panic_of(|| traced(|| {}).procs(0));
    assert_eq!(procs, "procs(0): a run has 1 to 256 Ps");
}

/// A scenario that never ends shows where it was.
#[test]
fn a_scenario_without_an_end_shows_its_last_events() {
    let scenario = traced(|| {
        loop {
            spin(1_000);
            gosched();
        }
    });
    let late = panic_of(|| scenario.limit(Duration::from_millis(500)).text());
    in_order(
        &late,
        &["did not end within 500ms", ".limit(", "GoSched", "GoSched"],
    );
}

/// Where a panic is reported, in the words of the harness: at the caller's line.
#[test]
fn a_refusal_names_the_line_of_the_test() {
    static AT: Mutex<Option<(String, u32)>> = Mutex::new(None);
    let me = std::thread::current().id();
    let remember = move |info: &std::panic::PanicHookInfo<'_>| {
        if std::thread::current().id() == me {
            let at = info.location().map(|at| (at.file().to_owned(), at.line()));
            *AT.lock().expect("no panic while it is held") = at;
        }
    };
    let line = line!() + 2;
    let _ = with_panic_hook(remember, || {
        catch_unwind(|| trace_of_program("/nowhere/prog", &[]).text())
    });
    let at = AT.lock().expect("no panic while it is held").take();
    assert_eq!(at, Some((file!().to_owned(), line)));
}
