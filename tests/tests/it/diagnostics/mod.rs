//! What a running program tells of itself: `scheddetail`, the dump on Ctrl-\, the end of a run
//! that somebody holds up; and what it says when it runs out of threads.

mod end;
mod schedtrace;
mod sigquit;

use tests::{Ended, root, scenario_of};

fn diagnostics(words: &[&str], env: &[(&str, &str)]) -> Ended {
    scenario_of(tests::program!("scenario"), words, env)
}

#[test]
fn the_loop_is_the_same_program_in_every_stage() {
    let stages = [
        ("stage1-coop", "the_loop"),
        ("stage2-sysmon", "the_loop_2"),
        ("stage3-signals", "the_loop_3"),
    ];
    let mut programs = Vec::new();
    for (stage, name) in stages {
        // A stage that is not written yet has no examples.
        if root().join(stage).join("examples").exists() {
            let path = root().join(stage).join(format!("examples/{name}.rs"));
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let library = stage.replace('-', "_");
            assert!(text.contains(&library), "{name} runs with {library}");
            programs.push((name, text.replace(&library, "the_stage")));
        }
    }
    assert!(programs.len() >= 2);
    let (_, first) = &programs[0];
    for (name, program) in &programs {
        assert_eq!(program, first, "{name}");
    }
}

#[test]
fn its_last_line_says_what_became_of_the_other_goroutine() {
    for (stage, name) in [("stage1-coop", "the_loop"), ("stage2-sysmon", "the_loop_2")] {
        for (procs, turn) in [("1", "has never had a turn"), ("2", "has had its turn")] {
            let env = [("SAFEPOINT_SEED", "1"), ("GOMAXPROCS", procs)];
            let mut command = std::process::Command::new(tests::example(stage, name));
            let ended = tests::run(&mut command, &env, tests::LIMIT);
            assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
            let end = format!(" times; the patient goroutine {turn}\n");
            assert!(ended.stdout.ends_with(&end), "{ended:#?}");
        }
    }
}
