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
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect(path);
    let first = read("stage1-coop/examples/the_loop.rs");
    let second = read("stage2-sysmon/examples/the_loop_2.rs");
    assert_eq!(first, second.replace("stage2_sysmon", "stage1_coop"));
}
