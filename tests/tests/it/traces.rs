//! Every example's schedule, as a snapshot: what the page shows is what this test compares.
//! Accept a new schedule with `INSTA_UPDATE=always cargo test -p tests --test it traces::`.

use stage1_coop::{STAGE, Stage};
use std::process::Command;
use tests::{LIMIT, about, example, examples, run, trace_of_example, trace_of_program};

fn snapshot(stage: &'static Stage, procs: usize) {
    let package = stage.name;
    for name in examples(package) {
        if !about(package, &name).replays {
            // Its run is another one each time: see the tests below.
            continue;
        }
        let scenario = trace_of_example(stage, &name).procs(procs);
        let text = scenario.may_die().text();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_description(format!("{package} {name}, {procs} Ps, seed 1"));
        settings.bind(|| {
            insta::assert_snapshot!(format!("{package}__{name}__p{procs}__seed1"), text);
        });
    }
}

#[test]
fn stage1_on_one_p() {
    snapshot(&STAGE, 1);
}

#[test]
fn stage1_on_two_ps() {
    snapshot(&STAGE, 2);
}

#[test]
fn stage1_on_four_ps() {
    snapshot(&STAGE, 4);
}

#[test]
fn stage1_on_eight_ps() {
    snapshot(&STAGE, 8);
}

#[test]
fn stage2_on_one_p() {
    snapshot(&stage2_sysmon::STAGE, 1);
}

#[test]
fn stage2_on_two_ps() {
    snapshot(&stage2_sysmon::STAGE, 2);
}

#[test]
fn stage3_on_one_p() {
    snapshot(&stage3_signals::STAGE, 1);
}

#[test]
fn stage3_on_two_ps() {
    snapshot(&stage3_signals::STAGE, 2);
}

/// The example without goroutines: there is only what it prints.
#[test]
fn stage3_signals_101() {
    let mut program = Command::new(example("stage3-signals", "signals_101"));
    let ended = run(&mut program, &[], LIMIT);
    assert_eq!(ended.stderr, "", "{ended:#?}");
    let code = ended.code.expect("no signal ends it");
    let text = format!("exit {code}\n--- output\n{}--- trace\n", ended.stdout);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("stage3-signals__signals_101", text));
}

/// The example that uses the network has another schedule each time. Its trace says so, and
/// keeps the invariants; nothing that varies is printed.
#[test]
fn stage2_echo() {
    for procs in [1, 2, 4] {
        let scenario = trace_of_example(&stage2_sysmon::STAGE, "echo");
        let events = scenario.procs(procs).only(&["GoBlock", "NetPoll"]);
        assert!(events.contains("IO wait"), "{events}");
        assert!(events.contains("NetPoll"), "{events}");
    }
}

/// The runs behind the questions of the book's review. No page shows the programs.
#[test]
fn stage1_review() {
    for name in ["once", "three", "pair", "section", "wake"] {
        let text = trace_of_program(tests::program!("review"), &[name]).text();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("review__{name}"), text));
    }
}

/// The run behind the figure of sysmon's sleeps: its output holds them.
#[test]
fn stage2_sysmon_s_day() {
    let text = trace_of_program(tests::program!("day"), &[]).text();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("sysmon__day", text));
}

/// The tables that the book prints: which events there are, and which stage decides what.
#[test]
fn generated_pages() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!(
            "legend__stage1-coop",
            stage1_coop::rt::trace::legend(stage1_coop::rt::trace::KINDS)
        );
        insta::assert_snapshot!(
            "stage_table__stage1-coop",
            stage1_coop::rt::stage::table(&[&STAGE])
        );
        insta::assert_snapshot!(
            "legend__stage2-sysmon",
            stage2_sysmon::rt::trace::legend(stage2_sysmon::rt::table::KINDS)
        );
        insta::assert_snapshot!(
            "stage_table__stage2-sysmon",
            stage2_sysmon::rt::stage::table(&[&stage1_coop::STAGE, &stage2_sysmon::STAGE])
        );
        insta::assert_snapshot!(
            "legend__stage3-signals",
            stage3_signals::rt::trace::legend(stage3_signals::rt::table::KINDS)
        );
        insta::assert_snapshot!(
            "stage_table__stage3-signals",
            stage3_signals::rt::stage::table(&[
                &stage1_coop::STAGE,
                &stage2_sysmon::STAGE,
                &stage3_signals::STAGE,
            ])
        );
    });
}
