//! The exercises prove themselves: every starter is unsolved, every solution and one
//! different one pass, and each wrong one is caught for its own reason. Every death gets a
//! calm explanation. The learner's own files take no part, and where a folder has no `solution`
//! or `other`, the rest is proven all the same.

use exercises::attempt::{Kind, Run};
use exercises::catalogue::{self, Exercise};
use exercises::runner::bench::{self, Bench, Piece};
use exercises::runner::build::Built;
use exercises::runner::places::Places;
use exercises::runner::{self, Program, Verdict};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

#[path = "proof/deaths.rs"]
mod deaths;
#[path = "proof/folders.rs"]
mod folders;
#[path = "proof/grading.rs"]
mod grading;
#[path = "proof/offers.rs"]
mod offers;

/// The runner's program.
fn own() -> &'static Path {
    Path::new(tests::program!("exercises"))
}

/// On a busy machine a case may take longer than a learner should wait.
const LIMIT: Duration = Duration::from_secs(20);

static PLACES: LazyLock<Places> = LazyLock::new(|| Places::new(None).expect("the workspace"));

/// Where attempts are built. Not dropped: the folder goes with the next start.
static BENCH: LazyLock<Bench<'static>> =
    LazyLock::new(|| Bench::new(&PLACES).expect("a folder for programs"));

/// A file that takes the learner's place.
struct Variant {
    exercise: &'static Exercise,
    /// `NAME/starter`, `NAME/wrong/too_late`.
    name: String,
    file: PathBuf,
}

impl Variant {
    /// What the first line of a wrong one says after `caught by:`.
    fn rule(&self) -> String {
        let text = read(&self.file);
        let line = text.lines().next().unwrap_or_default();
        let (_, rule) = line
            .split_once("caught by: ")
            .unwrap_or_else(|| panic!("{}: `caught by: RULE`?", self.file.display()));
        rule.to_owned()
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The files of all exercises with this name, or those in the folder `wrong`.
fn variants(which: &str) -> Vec<Variant> {
    let mut found = Vec::new();
    for exercise in catalogue::all() {
        let file = PLACES.given(exercise, which);
        let mut add = |name: String, file: PathBuf| {
            found.push(Variant {
                exercise,
                name,
                file,
            });
        };
        if file.is_file() {
            add(format!("{}/{which}", exercise.name), file);
        }
        for file in files(&PLACES.folder(exercise).join(which)) {
            let stem = file.file_stem().unwrap_or_default().display();
            add(format!("{}/{which}/{stem}", exercise.name), file.clone());
        }
    }
    found
}

/// The files in a folder, in order; none if it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// The text of the program with all these variants that are code.
fn program_of(all: &[Variant]) -> String {
    let pieces: Vec<Piece<'_>> = all
        .iter()
        .filter(|variant| matches!(variant.exercise.kind, Kind::Rust(_)))
        .map(|variant| Piece {
            name: &variant.name,
            exercise: variant.exercise,
            file: &variant.file,
        })
        .collect();
    bench::main(&pieces).expect("paths that are UTF-8")
}

/// The variants of several names.
fn all_of(names: &[&str]) -> Vec<Variant> {
    names.iter().flat_map(|which| variants(which)).collect()
}

/// The program with all variants that are tried, built once.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let tried: &[&str] = match tests::long() {
        true => &["starter", "solution", "other", "wrong"],
        false => &["starter", "solution"],
    };
    let built = BENCH.program("variants", &program_of(&all_of(tried)));
    match built.expect("cargo") {
        Built::Program(path) => path,
        Built::Refused(said) => panic!("the variants do not build:\n{said}"),
    }
});

/// Solutions and judges, too, are goroutines' own code. Judges look into rings and states on
/// purpose: those are memory that no thread owns.
#[test]
fn nothing_of_the_runtime_is_inlined_into_a_goroutine_s_own_code() {
    let look = |program: &Path| {
        let found = tests::gotext::look(program);
        assert!(found.functions >= 20, "{found:?}");
        assert!(found.wrong.is_empty(), "{:#?}", found.wrong);
        let looked_into = ["src/ring.rs: ", "src/link.rs: ", "src/gmp/"];
        let forgotten = |i: &&String| !looked_into.iter().any(|file| i.contains(file));
        let forgotten: Vec<&String> = found.inlined.iter().filter(forgotten).collect();
        assert!(forgotten.is_empty(), "{forgotten:#?}");
        println!("with a thread-local: {:?}", found.thread_locals);
    };
    look(&PROGRAM);
    if !tests::long() {
        println!("skipped: builds them twice more; SAFEPOINT_LONG=1 does");
        return;
    }
    let dir = tests::fresh_folder("safepoint-gotext-").expect("a folder");
    let main = dir.join("main.rs");
    let text = program_of(&all_of(&["starter", "solution", "other"]));
    std::fs::write(&main, text).expect("a file");
    for lto in ["thin", "fat"] {
        let output = tests::cargo()
            .args(["build", "-q", "--release", "-p", "safepoint-judges"])
            .args([
                "--test",
                "attempt",
                "--message-format",
                "json",
                "--target-dir",
            ])
            .arg(PLACES.root.join("target/gotext").join(lto))
            .env("CARGO_PROFILE_RELEASE_LTO", lto)
            .env("EXERCISE_MAIN", &main)
            .current_dir(&PLACES.root)
            .output();
        let said = output.expect("cargo starts").stdout;
        let said = String::from_utf8_lossy(&said);
        let program = said
            .split("\"executable\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        look(Path::new(program.expect("it builds")));
    }
    std::fs::remove_dir_all(dir).expect("it is there");
}

/// Clippy, on what cargo does not build by itself.
#[test]
fn clippy_finds_nothing() {
    if !tests::long() {
        println!("skipped: SAFEPOINT_LONG=1 runs clippy on the files of all exercises");
        return;
    }
    let dir = tests::fresh_folder("safepoint-clippy-").expect("a folder");
    let variants = program_of(&all_of(&["starter", "solution", "other", "wrong"]));
    for text in [variants.as_str(), include_str!("proof/dies.rs")] {
        let main = dir.join("main.rs");
        std::fs::write(&main, text).expect("a file");
        let output = tests::cargo()
            .args(["clippy", "-q", "-p", "safepoint-judges", "-p", "exercises"])
            .args(["--test", "attempt", "--", "-D", "warnings"])
            .env("EXERCISE_MAIN", main)
            .current_dir(&PLACES.root)
            .output()
            .expect("cargo starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    std::fs::remove_dir_all(dir).expect("it is there");
}

/// The answers or the program of a variant, judged.
fn verdict(variant: &Variant) -> Verdict {
    match variant.exercise.kind {
        Kind::Answers(_) => {
            let text = read(&variant.file);
            runner::examine_answers(variant.exercise, &text, own()).expect("it runs")
        }
        Kind::Rust(_) => {
            let program = Program {
                path: &PROGRAM,
                arguments: &[&variant.name],
            };
            runner::examine(variant.exercise, &program, own(), LIMIT).expect("it runs")
        }
    }
}

fn must_pass(variant: &Variant) {
    if let Verdict::Failed(failure) = verdict(variant) {
        panic!(
            "{} is right and was refused in `{}`: {}\n{}\n{}{}",
            variant.name,
            failure.case.name,
            failure.fault.what,
            failure.fault.meaning,
            failure.run.err,
            failure.run.text
        );
    }
}

#[test]
fn every_starter_is_unsolved_and_says_so_visibly() {
    let starters = variants("starter");
    assert_eq!(starters.len(), catalogue::all().len(), "each has one");
    for starter in starters {
        let Verdict::Failed(failure) = verdict(&starter) else {
            panic!("{} passes", starter.name);
        };
        assert!(!failure.fault.what.is_empty() && !failure.fault.meaning.is_empty());
        let report = runner::show::failure(&failure, 100);
        assert!(
            report.contains("broke") && report.contains("means"),
            "{report}"
        );
        println!("== {}\n{report}", starter.name);
    }
}

#[test]
fn every_alternate_passes() {
    if !tests::long() {
        println!("skipped: runs another correct answer to every exercise; SAFEPOINT_LONG=1 does");
        return;
    }
    for other in variants("other") {
        must_pass(&other);
    }
}

#[test]
fn every_solution_passes() {
    // Long: sixty times; a solution that passes by luck is none. Those of stage 2 take
    // longer, and nearly all of their cases are in lockstep: twenty times.
    let rounds = if tests::long() { 60 } else { 1 };
    let solutions = variants("solution");
    for round in 0..rounds {
        for solution in &solutions {
            if solution.exercise.card.stage == 1 || round < 20 {
                must_pass(solution);
            }
        }
        println!("round {round}: {} solutions", solutions.len());
    }
}

#[test]
fn every_wrong_one_is_caught_for_its_own_reason() {
    if !tests::long() {
        println!("skipped: tries some hundred wrong answers; SAFEPOINT_LONG=1 does");
        return;
    }
    let mut faults = String::new();
    for wrong in variants("wrong") {
        let (name, rule) = (&wrong.name, wrong.rule());
        match verdict(&wrong) {
            Verdict::Passed { .. } => faults.push_str(&format!("{name} passes\n")),
            Verdict::Failed(f) if f.fault.rule != rule => faults.push_str(&format!(
                "{name}: expected {rule}, was caught by {} in `{}` seed {:?}: {}\n{}\n",
                f.fault.rule, f.case.name, f.seed, f.fault.what, f.run.err
            )),
            Verdict::Failed(_) => {}
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn each_has_three_wrong_ones_with_messages_of_their_own() {
    let wrong = variants("wrong");
    for exercise in catalogue::all() {
        let its = wrong.iter().filter(|w| w.exercise.name == exercise.name);
        let rules: BTreeSet<String> = its.map(Variant::rule).collect();
        assert!(rules.len() >= 3, "{}: {rules:?}", exercise.name);
    }
}

#[test]
fn cards_are_whole() {
    let mut places = BTreeSet::new();
    for exercise in catalogue::all() {
        let (name, card) = (exercise.name, &exercise.card);
        assert!(places.insert(card.place()), "{name}: its place is taken");
        assert!(card.points > 0 && card.minutes > 0);
        assert!(!card.idea.is_empty() && !card.task.trim().is_empty() && !card.why.is_empty());
        let stands_alone = card.row.is_none() && matches!(exercise.kind, Kind::Rust(_));
        assert_eq!(!card.pieces.is_empty(), stands_alone, "{name}: pieces");
        assert!(card.hints.iter().all(|h| !h.is_empty()));
        for line in card.hints.iter().flat_map(|h| h.lines()) {
            let code = [";", "{", "=>"].iter().any(|sign| line.ends_with(sign));
            assert!(!code || line.starts_with("    "), "code in prose: {line}");
        }
        for case in exercise.cases {
            let refers = ["the same", "as the first", "as before"];
            let refers = refers.iter().any(|words| case.what.contains(words));
            assert!(!refers, "a learner sees one case at a time: {}", case.what);
        }
    }
}

/// What people read about all exercises is what the folders say.
#[test]
fn readme_and_architecture_print_the_folders() {
    let printed = catalogue::markdown();
    let (tables, list) = printed.split_at(printed.find("| stage |").expect("a list"));
    for (file, tables) in [("README.md", tables), ("ARCHITECTURE.md", list)] {
        let text = read(&PLACES.root.join(file));
        for table in tables.split("\n\nStage").filter(|t| !t.trim().is_empty()) {
            let table = table.trim_end();
            assert!(
                text.contains(&format!("{table}\n\n")),
                "{file} should have this, as `exercises list --markdown` prints it:\n{table}"
            );
        }
    }
}

/// The plan in ARCHITECTURE.md for the stages that are not written: each row that it names is
/// in the table, or its stage is to declare it.
#[test]
fn the_rows_of_the_plan_are_there_or_to_be_declared() {
    let rows: Vec<&str> = stage1_coop::STAGE.rows().iter().map(|r| r.name).collect();
    let text = read(&PLACES.root.join("ARCHITECTURE.md"));
    let mut seen = 0;
    for line in text.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [stage @ ("| 3" | "| 4"), _, _, socket] = cells[..] else {
            continue;
        };
        let Some(row) = socket
            .strip_prefix("row `")
            .and_then(|s| s.split('`').next())
        else {
            continue;
        };
        seen += 1;
        let declared = socket.contains(&format!("` of stage {}", &stage[2..]));
        assert_eq!(rows.contains(&row), !declared, "{line}");
    }
    assert!(seen > 10, "the plan is not there");
}

#[test]
fn every_file_is_formatted() {
    let mut files = vec![PLACES.root.join("exercises/tests/proof/dies.rs")];
    for exercise in catalogue::all() {
        collect(&PLACES.folder(exercise), &mut files);
    }
    let rustfmt = std::process::Command::new("rustfmt")
        .args([
            "--check",
            "--edition",
            "2024",
            "--config",
            "skip_children=true",
        ])
        .args(&files)
        .output();
    match rustfmt {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("skip_children") => {
            println!("skipped: this rustfmt cannot look at single files");
        }
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(e) => println!("skipped: rustfmt cannot be started: {e}"),
    }
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for path in files(dir) {
        if path.ends_with("hostile") {
            continue;
        }
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn each_death_has_its_words() {
    let run = |f: &dyn Fn(&mut Run)| {
        let mut run = Run::default();
        f(&mut run);
        run.death().map(|fault| fault.rule)
    };
    assert_eq!(
        run(&|r| {
            r.code = Some(0);
            r.said = "end\n".into();
        }),
        None
    );
    assert_eq!(run(&|r| r.code = Some(0)), Some("left"));
    assert_eq!(run(&|r| r.signal = Some(libc::SIGSEGV)), Some("segfault"));
    assert_eq!(run(&|r| r.signal = Some(libc::SIGBUS)), Some("bus"));
    assert_eq!(
        run(&|r| r.err =
            "fatal error: unexpected signal\n[signal SIGBUS: bus error code=0x2".into()),
        Some("bus")
    );
    assert_eq!(run(&|r| r.signal = Some(libc::SIGABRT)), Some("abort"));
    assert_eq!(run(&|r| r.signal = Some(libc::SIGKILL)), Some("killed"));
    assert_eq!(run(&|r| r.code = Some(9)), Some("status"));
    assert_eq!(
        run(&|r| r.err = "lockstep: every thread sleeps and".into()),
        Some("deadlock")
    );
    assert_eq!(
        run(&|r| {
            r.code = Some(2);
            r.err = "lockstep: the thread that holds the baton has not come back for 10 s".into();
        }),
        Some("endless")
    );
    assert_eq!(
        run(&|r| r.err = "fatal error: stack overflow".into()),
        Some("overflow")
    );
    assert_eq!(
        run(&|r| {
            r.code = Some(2);
            r.err = "fatal error: casgstatus: no".into();
        }),
        Some("throw")
    );
}
