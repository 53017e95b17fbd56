//! Signals that a stage uses for the length of a run: handlers chained to the program's own,
//! masks, and the numbers of threads that are there to be signalled.

use tests::trace::{KINDS, Kinds, Trace};
use tests::{fresh_folder, scenario};

mod kinds;

#[test]
fn every_signal_goes_to_the_program_s_handler_and_to_the_stage_s() {
    for (kind, program) in [("none", 0), ("ignored", 0), ("number", 606), ("whole", 606)] {
        for seed in [&[][..], &[("SAFEPOINT_SEED", "1")]] {
            let ended = scenario!(seed, "chained", kind);
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
            assert_eq!(
                ended.stdout,
                format!("stage: 606 program: {program} wrong: 0\nas before: true\n").repeat(3),
                "{kind}: {ended:#?}"
            );
        }
    }
}

#[test]
fn a_handler_that_the_program_puts_over_it_stays() {
    let ended = scenario!([], "covered");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    // For one signal each. In a later run it comes to the stage's handler twice: by itself, and
    // by the one that was put over it. To the program's handlers it comes once.
    let all = "over: 1 program: 1 stage: 1";
    let twice = "over: 1 program: 1 stage: 2";
    let below = "over: 0 program: 1 stage: 1";
    assert_eq!(
        ended.stdout,
        format!(
            "{below}\nin place: true, now false\n{all}\nafter the run: {all}\n\
             in place: true\n{twice}\nafter the run: {all}\n\
             in place: true\n{twice}\nafter the run: {all}\n"
        )
    );
}

#[test]
fn no_m_blocks_a_signal_of_the_stage_s() {
    for env in [
        &[][..],
        &[("GOMAXPROCS", "1")],
        &[("SAFEPOINT_SEED", "1")],
        &[("SAFEPOINT_SEED", "2"), ("GOMAXPROCS", "2")],
    ] {
        let ended = scenario!(env, "never_blocked");
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        assert_eq!(
            ended.stdout,
            "blocked by an M: SIGUSR2\nblocked after the run: SIGUSR2 SIGURG\n".repeat(2),
            "{env:?} {ended:#?}"
        );
    }
}

#[test]
fn it_is_said_before_there_are_other_threads() {
    let ended = scenario!([], "never_blocked_late");
    assert!(
        ended
            .stderr
            .contains("never_block: there are threads that block it already"),
        "{ended:#?}"
    );
}

#[test]
fn a_handler_of_the_program_s_own_keeps_its_signal() {
    let ended = scenario!([], "own_signal");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    assert_eq!(
        ended.stdout,
        "taken: false, free: true\nprogram: 1 stage: 1\nended: 1\n"
    );
}

#[test]
fn a_thread_that_has_ended_has_no_number() {
    let ended = scenario!([], "numbers");
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    assert_eq!(ended.stdout, "with a number: 0\nm0: 0\n");
}

#[test]
fn a_fault_that_the_program_mends_leaves_errno_alone() {
    let ended = scenario!([], "mended_fault");
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "mended, errno 77\n"),
        "{ended:#?}"
    );
}

#[test]
fn signals_rain_while_threads_come_and_go() {
    let rounds = if tests::long() { "2000" } else { "100" };
    for stage in ["1", "2"] {
        let ended = scenario!([], "rain", stage, rounds);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        assert_eq!(ended.stdout, "the program has seen every one: true\n");
    }
}

/// The events of a goroutine and those of a handler that interrupts it, mostly in the middle of
/// recording one.
#[test]
fn a_handler_records_between_two_halves_of_an_event() {
    const ALL: Kinds = &[KINDS, stage2_sysmon::rt::table::KINDS, kinds::KINDS];
    let n = if tests::long() { 1_000_000 } else { 200_000 };
    let folder = fresh_folder("safepoint-records-").expect("a folder");
    let file = folder.join("trace.txt").display().to_string();
    for streams in ["0", "1"] {
        let env = [
            ("SAFEPOINT_TRACE", &*file),
            ("SAFEPOINT_TRACE_STREAM", streams),
        ];
        let ended = scenario!(env, "records", &n.to_string());
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        let text = std::fs::read_to_string(&file).expect("the trace");
        // Stage 2's own events are no part of this.
        let of = |name: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.contains(name));
            lines.map(str::to_owned).collect()
        };
        let (turns, struck) = (of(" Turn "), of(" Struck "));
        let handled = crate::fixture::number(&ended.stdout, "handled: ");
        assert_eq!((turns.len(), struck.len()), (n, handled), "none is lost");
        assert!(
            handled > 100,
            "{handled} signals while {n} events were recorded"
        );
        for (i, line) in turns.iter().enumerate() {
            assert!(line.contains("p0  g1   Turn "), "{line}");
            assert!(line.ends_with(&format!(" n={i}")), "turn {i}: {line}");
        }
        for (i, line) in struck.iter().enumerate() {
            let end = format!(" n={i} in the handler");
            assert!(
                line.ends_with(&end) && line.contains("  g1   Struck "),
                "{i}: {line}"
            );
        }
        let trace = Trace::parse(&text, ALL);
        assert_eq!(trace.check_run(), Ok(()));
    }
    let _ = std::fs::remove_dir_all(&folder);
}
