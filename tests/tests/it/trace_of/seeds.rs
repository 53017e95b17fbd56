//! A rule on many schedules.

use super::{panic_of, traced, work};
use stage1_coop::{WaitGroup, go, gosched};
use tests::in_order;
use tests::trace::Trace;

/// Two goroutines on two Ps: which of them is made last depends on nothing, which ends first
/// depends on the seed.
fn race() {
    let all = WaitGroup::new();
    for name in ["left", "right"] {
        all.add(1);
        let all = all.clone();
        go(name, move || {
            work(1_000);
            gosched();
            work(1_000);
            all.done();
        });
    }
    all.wait();
}

#[test]
fn a_rule_that_holds_on_every_schedule() {
    traced(race).procs(2).seeds(0..12).check(|trace| {
        assert_eq!(trace.count("GoCreate"), 3);
    });
    // A later call in the same test: its child passes the search above without repeating it.
    assert_eq!(traced(race).trace().count("GoEnd"), 3);
}

#[test]
fn the_first_seed_that_breaks_a_rule_is_named() {
    let first_end = |trace: &Trace| {
        let end = trace.find("GoEnd").next().expect("one ends first");
        trace.events[end].g
    };
    let (left, right) = {
        let trace = traced(race).procs(2).trace();
        (trace.goroutine("left"), trace.goroutine("right"))
    };
    let ends: Vec<bool> = (0..40)
        .map(|seed| first_end(&traced(race).procs(2).seed(seed).trace()) == left)
        .collect();
    let broken = ends.iter().filter(|&&is_left| !is_left).count();
    assert!(0 < broken && broken < 40, "{ends:?}");
    let first = ends.iter().position(|&is_left| !is_left).expect("one");
    let words = panic_of(|| {
        traced(race).procs(2).seeds(0..40).check(|trace| {
            assert_ne!(first_end(trace), right, "right was first");
        });
    });
    in_order(
        &words,
        &[
            &format!("{broken} of 40 schedules broke something"),
            &format!("The first is .seed({first}): "),
            "right was first",
            // The place of the assertion: the panics themselves are not printed.
            "trace_of/seeds.rs:",
            "The shortest trace, ",
            "# safepoint trace v1",
        ],
    );
}

#[test]
fn a_schedule_on_which_the_scenario_dies_is_found_with_its_trace() {
    let words = panic_of(|| {
        traced(|| {
            gosched();
            panic!("on purpose");
        })
        .seeds(3..=4)
        .check(|_| {});
    });
    in_order(
        &words,
        &["2 of 2", ".seed(3): it dies", "on purpose", "GoSched"],
    );
    let empty = panic_of(|| traced(|| {}).seeds(5..5).check(|_| {}));
    assert!(empty.contains("there is none"), "{empty}");
}
