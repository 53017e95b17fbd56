//! Stage 3 on a virtual clock: a signal lands where its thread resumes, the same in each run.

use stage3_signals::STAGE;
use tests::{trace_of_example, two_at_a_time};

/// The loop that calls nothing yields each time it is asked, and the patient goroutine runs.
#[test]
fn a_signal_lands_at_the_same_time_in_each_run() {
    let jobs = [(1, 1), (1, 2), (2, 1), (4, 3)];
    two_at_a_time(&jobs, |&(procs, seed)| {
        let run = || {
            trace_of_example(&STAGE, "the_loop_3")
                .procs(procs)
                .seed(seed)
        };
        let (first, again) = (run().text(), run().text());
        assert_eq!(first, again, "{procs} Ps, seed {seed}");
        let count = |what: &str| first.matches(what).count();
        let (sent, landed) = (count("SignalSent"), count("SignalLanded"));
        let taken = count("GoPreempt    async");
        assert!(taken >= 15, "{first}");
        assert!(landed >= taken && sent <= landed + procs, "{first}");
        assert!(
            first.contains("the patient goroutine has had its turn"),
            "{first}"
        );
    });
}

/// What holds in every trace holds in these, whatever the seed.
#[test]
fn signals_and_refusals_follow_their_rules_on_many_schedules() {
    for procs in [1, 2] {
        let runs = trace_of_example(&STAGE, "the_loop_3")
            .procs(procs)
            .seeds(1..=10);
        runs.check(|trace| assert!(trace.count("SignalSent") > 10));
    }
}
