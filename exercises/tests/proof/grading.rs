//! What is handed in: which files the grader refuses, and what it makes of the others.

use super::{PLACES, own, read, variants};
use exercises::attempt::Kind;
use exercises::catalogue;
use exercises::runner;
use exercises::runner::places::Places;
use exercises::runner::submission;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What may be handed in: an honest file is never refused.
#[test]
fn the_grader_refuses_no_honest_file() {
    for which in ["starter", "solution", "other"] {
        for variant in variants(which) {
            let inspected = submission::inspect(variant.exercise, &read(&variant.file));
            assert_eq!(inspected, Ok(()), "{}", variant.name);
        }
    }
}

/// What becomes of a hostile file, as its last line says it: the rule, and if it is refused,
/// the reason.
fn ends_as(text: &str) -> (&str, Option<&str>) {
    let line = text.lines().next_back().unwrap_or_default();
    let (_, end) = line.split_once("ends as: ").expect("`ends as: RULE`");
    match end.split_once(", ") {
        Some((rule, why)) => (rule, Some(why)),
        None => (end, None),
    }
}

#[test]
fn hostile_files_are_refused() {
    let hostile = variants("hostile");
    assert!(hostile.len() > 20);
    for variant in hostile {
        let text = read(&variant.file);
        let inspected = submission::inspect(variant.exercise, &text);
        match ends_as(&text) {
            ("refused", Some(why)) => {
                let said = inspected.expect_err(&variant.name);
                assert!(said.contains(why), "{}: {said}", variant.name);
            }
            _ => assert_eq!(inspected, Ok(()), "{}", variant.name),
        }
    }
}

fn name_of(exercise: &catalogue::Exercise) -> String {
    Places::file_name(exercise.name, exercise.kind.ending())
}

/// The stages that have exercises, as the command line takes them.
fn stages() -> BTreeSet<String> {
    let all = catalogue::all().iter();
    all.map(|exercise| exercise.card.stage.to_string())
        .collect()
}

fn are_there(which: &str) -> bool {
    variants(which).len() == catalogue::all().len()
}

/// The grader through its command line: all points for the solutions, none for tricks. What
/// one file does harms no other. Long: the first time it builds what the files stand on.
#[test]
fn grading_is_fair() {
    if !tests::long() || !are_there("solution") {
        println!("skipped: needs SAFEPOINT_LONG=1 and all solutions");
        return;
    }
    let dir = tests::fresh_folder("safepoint-grade-").expect("a folder");
    for solution in variants("solution") {
        let to = dir.join(name_of(solution.exercise));
        std::fs::copy(&solution.file, to).expect("a copy");
    }
    for stage in stages() {
        let (code, value) = grade(&stage, &dir);
        assert_eq!((code, &value["points"]), (Some(0), &value["of"]), "{value}");
    }
    std::fs::remove_dir_all(&dir).expect("it was there");

    let (right, hostile) = (handed_in("solution"), variants("hostile"));
    for round in 0.. {
        let dir = tests::fresh_folder("safepoint-grade-").expect("a folder");
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut tricks = 0;
        for exercise in catalogue::all() {
            let file = dir.join(name_of(exercise));
            let mut its = hostile.iter().filter(|h| h.exercise.name == exercise.name);
            let rule = match its.nth(round) {
                Some(trick) => {
                    tricks += 1;
                    std::fs::copy(&trick.file, file).expect("a copy");
                    ends_as(&read(&trick.file)).0.to_owned()
                }
                // With nothing up the sleeve: a link to the solution.
                None if matches!(exercise.kind, Kind::Rust(_)) && round == 0 => {
                    let solution = PLACES.given(exercise, "solution");
                    std::os::unix::fs::symlink(solution, file).expect("a link");
                    "refused".to_owned()
                }
                None => "missing".to_owned(),
            };
            let stage = exercise.card.stage.to_string();
            wanted.entry(stage).or_default().push(rule);
        }
        for (stage, wanted) in &wanted {
            let (code, value) = grade(stage, &dir);
            assert_eq!((code, &value["points"]), (Some(1), &0.into()), "{value}");
            let rows = value["exercises"].as_array().expect("rows");
            let rule = |row: &Value| row["rule"].as_str().expect("a rule").to_owned();
            let rules: Vec<String> = rows.iter().map(rule).collect();
            assert_eq!(&rules, wanted, "round {round}: {value}");
            for what in rows.iter().filter_map(|row| row["what"].as_str()) {
                assert_eq!(what, runner::clean::clean(what), "round {round}");
            }
        }
        std::fs::remove_dir_all(&dir).expect("it was there");
        let (_, value) = grade("1", &right);
        assert_eq!(value["points"], 30, "after round {round}: {value}");
        if tricks == 0 {
            break;
        }
    }
    std::fs::remove_dir_all(&right).expect("it was there");
}

fn start_grade(stage: &str, work: &Path, vars: &[(&str, &str)]) -> Child {
    Command::new(own())
        .args(["grade", "--stage", stage, "--json", "--work"])
        .arg(work)
        .envs(vars.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts")
}

fn graded(child: Child) -> (Option<i32>, Value) {
    let output = child.wait_with_output().expect("it ends");
    let value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), value)
}

fn grade(stage: &str, work: &Path) -> (Option<i32>, Value) {
    graded(start_grade(stage, work, &[]))
}

/// A folder to hand in: three files, worth 30 points.
fn handed_in(which: &str) -> PathBuf {
    let dir = tests::fresh_folder("safepoint-handed-").expect("a folder");
    for name in ["sticky-flag", "half-plus-one", "every-61st"] {
        let exercise = catalogue::find(name).expect("an exercise");
        let to = dir.join(name_of(exercise));
        std::fs::copy(PLACES.given(exercise, which), to).expect("a copy");
    }
    dir
}

/// Two graders at once judge each their own files.
#[test]
fn no_grader_harms_another() {
    if !tests::long() || !are_there("solution") {
        println!("skipped: needs SAFEPOINT_LONG=1 and all solutions");
        return;
    }
    let (right, starters) = (handed_in("solution"), handed_in("starter"));
    let both = [&right, &starters].map(|work| start_grade("1", work, &[]));
    let [(_, right_said), (_, starters_said)] = both.map(graded);
    assert_eq!(right_said["points"], 30, "{right_said}");
    assert_eq!(starters_said["points"], 0, "{starters_said}");
    for dir in [right, starters] {
        std::fs::remove_dir_all(dir).expect("it is there");
    }
}

/// The grader builds below a relative target folder, and in a checkout whose path has any
/// character.
#[test]
fn a_copy_with_an_odd_name_grades_itself() {
    if !tests::long() || !are_there("solution") {
        println!("skipped: copies the workspace and builds it; SAFEPOINT_LONG=1 does");
        return;
    }
    let dir = tests::fresh_folder("safepoint-copy-").expect("a folder");
    // The second letter is an e with a combining accent.
    let root = dir.join("ca fe\u{301}");
    copy_tree(&PLACES.root, &root);
    let work = root.join("exercises/work");
    std::fs::create_dir_all(&work).expect("a folder");
    let from = root.join("exercises/stage1/every-61st/solution.rs");
    std::fs::copy(from, work.join("every_61st.rs")).expect("a copy");
    // Our own program, started in the copy as cargo would: it must judge the copy.
    let output = Command::new(own())
        .args(["grade", "--stage", "1", "--json"])
        .current_dir(root.join("exercises"))
        .env("CARGO_MANIFEST_DIR", root.join("exercises"))
        .env("CARGO_TARGET_DIR", "tgt")
        .output()
        .expect("it starts");
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    let rows = value["exercises"].as_array().expect("rows");
    let passed = rows.iter().filter(|row| row["passed"] == true);
    let passed: Vec<_> = passed.map(|row| row["name"].as_str()).collect();
    assert_eq!(passed, [Some("every-61st")], "{value}");
    assert!(root.join("exercises/tgt/debug").is_dir());
    std::fs::remove_dir_all(dir).expect("it is there");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if ["target", ".git", "work"].iter().any(|n| name == *n) {
            continue;
        }
        if path.is_dir() {
            copy_tree(&path, &to.join(name));
        } else if path.is_file() {
            std::fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}
