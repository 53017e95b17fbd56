//! What the book shows of a terminal, as snapshots: no page shows lines that the program no
//! longer prints.

use std::process::Command;
use std::time::Duration;
use tests::{example, run, trace_of_program};

/// What an example of stage 2 prints on standard error, in lockstep on one P.
fn errors(name: &str, godebug: &str) -> String {
    let env = [
        ("GODEBUG", godebug),
        ("GOMAXPROCS", "1"),
        ("SAFEPOINT_SEED", "1"),
    ];
    let mut command = Command::new(example("stage2-sysmon", name));
    let ended = run(&mut command, &env, Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended.stderr
}

fn fence(text: &str) -> String {
    format!("```text\n{}\n```\n", text.trim_end())
}

fn page(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_line_every_twenty_milliseconds() {
    let text = errors("hogs_with_calls", "schedtrace=20");
    page("schedtrace__hogs_with_calls", &fence(&text));
}

/// The first of the lists: sysmon has just seen a P in a system call.
#[test]
fn a_line_for_each_p_m_and_g() {
    let text = errors("blocking_call", "schedtrace=1000,scheddetail=1");
    let Some((_, first)) = text.split_once("SCHED 0ms: ") else {
        panic!("no list: {text}");
    };
    assert!(!first.contains("SCHED"), "more than one: {text}");
    page("scheddetail__blocking_call", &fence(&text));
}

/// The runs behind the questions of the review of stage 2. No page shows the programs.
#[test]
fn stage2_review() {
    for (name, procs) in [
        ("slices", 1),
        ("back", 1),
        ("alone", 2),
        ("alarm", 1),
        ("last", 1),
    ] {
        let scenario = trace_of_program(tests::program!("review2"), &[name]);
        let text = scenario.procs(procs).may_die().text();
        page(&format!("review2__{name}"), &text);
    }
}
