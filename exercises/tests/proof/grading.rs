//! What is handed in: which files the grader refuses, and what it makes of the others.

use super::{own, places};
use exercises::runner;
use exercises::runner::places::Places;
use exercises::runner::submission;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What may be handed in: an honest file is never refused.
#[test]
fn the_grader_refuses_no_honest_file() {
    for exercise in runner::all() {
        let file = Places::file_name(exercise.name, exercise.kind.ending());
        for folder in ["starters", "solutions", "alternates"] {
            let path = places().root.join("exercises").join(folder).join(&file);
            if let Ok(text) = std::fs::read_to_string(&path) {
                let inspected = submission::inspect(exercise, &text);
                assert_eq!(inspected, Ok(()), "{}", path.display());
            }
        }
    }
}

/// The grader through its command line: all points for the solutions, none for tricks.
/// Long: the first time it builds what the files stand on.
#[test]
fn grading_is_fair() {
    let root = places().root;
    if !tests::long() || !root.join("exercises/solutions").is_dir() {
        println!("skipped: needs SAFEPOINT_LONG=1 and exercises/solutions");
        return;
    }
    let dir = tests::fresh_folder("safepoint-grade-").expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).expect("a file");
    for entry in std::fs::read_dir(root.join("exercises/solutions"))
        .expect("solutions")
        .flatten()
    {
        std::fs::copy(entry.path(), dir.join(entry.file_name())).expect("a copy");
    }
    for stage in ["1", "2"] {
        let (code, value) = grade(stage, &dir);
        assert_eq!((code, &value["points"]), (Some(0), &value["of"]), "{value}");
    }

    let solutions = root.join("exercises/solutions").display().to_string();
    put("read_a_trace.toml", "first = [");
    put(
        "guard_check.rs",
        "pub fn must_look(_: usize, _: usize) -> bool { println!(\"@ end\"); true }\n\
         pub const REQUEST: usize = { let mut i = 0_usize; loop { i ^= 1; if i == 2 { break } } i };",
    );
    put(
        "sticky_flag.rs",
        "pub use stage1_coop::rt::stack::releasem_slow;",
    );
    put(
        "newstack_order.rs",
        &format!("#[path = \"{solutions}/newstack_order.rs\"] mod m;"),
    );
    put(
        "half_plus_one.rs",
        &format!("include!(\"{solutions}/half_plus_one.rs\");"),
    );
    put(
        "every_61st.rs",
        "use std as s; pub fn look_first(_: u32, _: usize) -> bool { s::process::exit(0) }",
    );
    put(
        "steal_half.rs",
        "use stage1_coop::rt::gmp::P;\n\
         pub fn runqgrab(_: &'static P, _: &'static P, _: u32, _: bool) -> u32 { println!(\"@ end\"); loop {} }",
    );
    std::fs::remove_file(dir.join("lost_wakeup.rs")).expect("it was there");
    std::os::unix::fs::symlink(
        format!("{solutions}/lost_wakeup.rs"),
        dir.join("lost_wakeup.rs"),
    )
    .expect("a link");
    put("find_the_bug.toml", "");
    std::fs::remove_file(dir.join("snapshot_your_own.rs")).expect("it was there");
    let rules = |stage: &str| -> Vec<String> {
        let (code, value) = grade(stage, &dir);
        assert_eq!((code, &value["points"]), (Some(1), &0.into()), "{value}");
        let rows = value["exercises"].as_array().expect("rows");
        let rule = |row: &Value| row["rule"].as_str().expect("a rule").to_owned();
        rows.iter().map(rule).collect()
    };
    assert_eq!(
        rules("1"),
        [
            "not-toml",
            "does-not-build",
            "refused",
            "refused",
            "refused",
            "refused",
            "endless",
            "refused",
            "no-event",
            "missing"
        ]
    );

    put(
        "sysmon_sleep.rs",
        "pub fn sysmon_delay(_: u32, _: u32) -> u32 { println!(\"@ end\"); loop {} }",
    );
    put(
        "retake_slice.rs",
        "pub fn retake(now: u64) -> u32 { (stage2_sysmon::rt::table::ROWS.retake)(now) }",
    );
    put(
        "three_conditions.rs",
        "pub use stage2_sysmon::rt::sysmon::retake_syscall;",
    );
    put(
        "handoff.rs",
        "use stage2_sysmon::rt::{gmp::P, last_words::throw}; pub fn handoffp(_: &'static P) { throw(\"no\") }",
    );
    put(
        "exit_syscall.rs",
        "use stage2_sysmon::rt::{gmp::G, sched::Next}; pub fn exitsyscall_slow(gp: &'static G) -> Next { stage2_sysmon::rt::syscall::exitsyscall0(gp) }",
    );
    put(
        "inject_list.rs",
        "use stage2_sysmon::rt::gmp::G; pub fn injectglist(list: &[&'static G]) { stage2_sysmon::rt::syscall::injectglist_split(list) }",
    );
    put(
        "check_dead.rs",
        "use stage2_sysmon::rt::gmp::M; pub fn m_idle(_: &'static M) { stage2_sysmon::rt::sysmon::checkdead() }",
    );
    std::fs::remove_file(dir.join("stuck_processor.toml")).expect("it was there");
    assert_eq!(
        rules("2"),
        [
            "endless", "refused", "refused", "throw", "refused", "refused", "refused", "missing"
        ]
    );
    std::fs::remove_dir_all(&dir).expect("it was there");
}

/// Files that try to leave the game; and those that only limits can stop.
const HOSTILE: &[(&str, Option<&str>)] = &[
    ("every_61st.left-to-right-mark.rs", Some("U+200E")),
    ("every_61st.line-separator.rs", Some("U+2028")),
    ("every_61st.next-line.rs", Some("U+0085")),
    ("every_61st.reference.rs", Some("`ALL`")),
    ("guard_check.kelvin-sign.rs", Some("U+212A")),
    ("sticky_flag.byte-order-mark.rs", Some("`pub use`")),
    ("sticky_flag.forged-event.rs", Some("`user_log`")),
    ("sticky_flag.frontmatter.rs", Some("a note for cargo")),
    ("sticky_flag.lifetime.rs", Some("a lifetime runs")),
    ("sticky_flag.shell.rs", Some("a line for the shell")),
    ("sticky_flag.suffix.rs", Some("a literal runs")),
    ("every_61st.for-ever.rs", None),
    ("every_61st.large.rs", None),
    ("every_61st.messages.rs", None),
];

fn hostile(file: &str) -> String {
    let path = places().root.join("exercises/hostile").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn hostile_files_are_refused() {
    let dir = places().root.join("exercises/hostile");
    assert_eq!(
        std::fs::read_dir(dir).expect("a folder").count(),
        HOSTILE.len()
    );
    for (file, why) in HOSTILE {
        let name = file.split('.').next().unwrap_or_default().replace('_', "-");
        let exercise = runner::find(&name).expect("an exercise");
        let inspected = submission::inspect(exercise, &hostile(file));
        match why {
            Some(why) => {
                let said = inspected.expect_err(file);
                assert!(said.contains(why), "{file}: {said}");
            }
            None => assert_eq!(inspected, Ok(()), "{file}"),
        }
    }
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

/// A folder to hand in: three files, worth 30 points, from one of our folders.
fn handed_in(from: &str) -> PathBuf {
    let dir = tests::fresh_folder("safepoint-handed-").expect("a folder");
    let from = places().root.join("exercises").join(from);
    for file in ["sticky_flag.rs", "half_plus_one.rs", "every_61st.rs"] {
        std::fs::copy(from.join(file), dir.join(file)).expect("a copy");
    }
    dir
}

/// Two graders at once judge each their own files, and a file that breaks the compiler costs
/// its own points only.
#[test]
fn no_file_and_no_grader_harms_another() {
    if !tests::long() || !places().root.join("exercises/solutions").is_dir() {
        println!("skipped: needs SAFEPOINT_LONG=1 and exercises/solutions");
        return;
    }
    let (right, starters) = (handed_in("solutions"), handed_in("starters"));
    let both = [&right, &starters].map(|work| start_grade("1", work, &[]));
    let [(_, right_said), (_, starters_said)] = both.map(graded);
    assert_eq!(right_said["points"], 30, "{right_said}");
    assert_eq!(starters_said["points"], 0, "{starters_said}");

    for file in [
        "every_61st.large.rs",
        "every_61st.for-ever.rs",
        "every_61st.messages.rs",
    ] {
        std::fs::write(starters.join("every_61st.rs"), hostile(file)).expect("a file");
        let (code, value) = grade("1", &starters);
        let rows = value["exercises"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["name"] == "every-61st");
        let row = row.expect("a row");
        assert_eq!(
            (code, &row["rule"]),
            (Some(1), &"does-not-build".into()),
            "{file}: {row}"
        );
        let what = row["what"].as_str().expect("a text");
        assert_eq!(what, runner::clean::clean(what), "{file}");
        let (_, value) = grade("1", &right);
        assert_eq!(value["points"], 30, "after {file}: {value}");
    }
    for dir in [right, starters] {
        std::fs::remove_dir_all(dir).expect("it is there");
    }
}

/// The grader builds below a relative target folder, and in a checkout whose path has any
/// character.
#[test]
fn a_copy_with_an_odd_name_grades_itself() {
    if !tests::long() || !places().root.join("exercises/solutions").is_dir() {
        println!("skipped: copies the workspace and builds it; SAFEPOINT_LONG=1 does");
        return;
    }
    let dir = tests::fresh_folder("safepoint-copy-").expect("a folder");
    // The second letter is an e with a combining accent.
    let root = dir.join("ca fe\u{301}");
    copy_tree(&places().root, &root);
    let work = root.join("exercises/work");
    std::fs::create_dir_all(&work).expect("a folder");
    let from = root.join("exercises/solutions/every_61st.rs");
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
