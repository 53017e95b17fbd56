//! Goroutines that a signal stops between two instructions, as a later stage does: what lockstep
//! makes of them, and what a dump shows.

use crate::fixture::number;
use tests::{in_order, scenario, trace_of_program, two_at_a_time};

/// The whole of a run in lockstep, and refused if it depends on the compiler.
#[track_caller]
fn text(scenario: &[&str], procs: usize, seed: u64) -> String {
    trace_of_program(tests::program!("scenario"), scenario)
        .procs(procs)
        .seed(seed)
        .text()
}

/// A stop costs the moment until the loop is declared to spin again. With two periods of the
/// watchdog before each one, 90 stops would take four seconds.
#[test]
fn a_loop_that_a_signal_stops_gives_the_same_trace_each_time() {
    let seeds = [1, 2, 3].into_iter();
    let jobs: Vec<_> = seeds
        .flat_map(|seed| [1, 2, 4].map(|procs| (procs, seed)))
        .collect();
    two_at_a_time(&jobs, |&(procs, seed)| {
        let run = || text(&["interrupted_loops", "1500"], procs, seed);
        let (first, again) = (run(), run());
        assert_eq!(first, again, "{procs} Ps, seed {seed}");
        assert!(!first.contains("of processor time"), "{first}");
        let count = |what: &str| first.matches(what).count();
        let stops = count("UserLog      it is stopped here");
        assert!(stops > 30, "{first}");
        assert!(
            first.contains(&format!("\nstopped {stops} times\n")),
            "{first}"
        );
        // A signal that lands in the scheduler stops nothing, and is no event of a goroutine's.
        assert!(
            count("--   UserLog      it may not be stopped here") > 0,
            "{first}"
        );
        // Behind an `int3` as well, and that one goes on to its end.
        assert_eq!(count("it has had 50 ms"), 1, "{first}");
    });
}

#[test]
fn a_loop_that_ends_after_it_was_declared_is_told_on_whatever_thread() {
    for procs in [1, 2, 4] {
        let program =
            trace_of_program(tests::program!("scenario"), &["interrupted_loop_that_ends"]);
        let trace = program.procs(procs).trace();
        let why = trace.why_not_portable().map(|why| why.words());
        let long = "no (a loop without a check ran long)";
        assert_eq!(why, Some(long), "{:?}", trace.head);
    }
}

/// An address that code returns to belongs to the call before it; one where it was interrupted
/// belongs to itself. The name of the function, its line, and the walk to its callers depend on
/// the difference.
#[test]
fn a_dump_shows_where_a_goroutine_was_interrupted() {
    let ended = scenario!([], "dump_of_interrupted");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let place = |name: &str| format!("interrupted/scenario.rs:{} ", number(&ended.stdout, name));
    let (function, line) = (place("function:"), place("line:"));
    let stands = "yields(...)\n";
    let made = "call_not_made(...)\n";
    in_order(
        &ended.stderr,
        &[
            "\ngoroutine 2 [runnable]:\n",
            stands,
            made,
            "\nscenario::interrupted::before_it_begins(...)\n\t?:0\n",
            "calls_it(...)\n",
            &function,
            "\ncreated by main in goroutine 1 as function\n",
            "\ngoroutine 3 [runnable]:\n",
            stands,
            made,
            "before_a_line(...)\n",
            &line,
            "\ncreated by main in goroutine 1 as line\n",
            "\ngoroutine 4 [runnable]:\n",
            stands,
            made,
            "counts(...)\n",
            "interrupted/scenario.rs:",
            "\ncreated by main in goroutine 1 as loop\n",
        ],
    );
}
