//! The exercises prove themselves: every starter is unsolved, every solution and one
//! different one pass, and each wrong one is caught for its own reason. Every death gets a
//! calm explanation. The learner's own files take no part, and without
//! `exercises/solutions` the rest is proven all the same.

use exercises::attempt::{Kind, Run};
use exercises::catalogue::{Card, cards};
use exercises::runner::build::{self, Built};
use exercises::runner::places::Places;
use exercises::runner::{self, Program, Verdict};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

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

/// The wrong ones, each with the rule that catches it.
const WRONG: &[(&str, &[(&str, &str)])] = &[
    (
        "read-a-trace",
        &[
            ("asker", "asked"),
            ("both-taken", "taken"),
            ("creator", "first"),
            ("ring", "from"),
        ],
    ),
    (
        "guard-check",
        &[
            ("equal", "equal"),
            ("fork", "fork"),
            ("request-too-small", "request-too-small"),
            ("signed", "signed"),
            ("too-often", "too-often"),
            ("too-rarely", "too-rarely"),
        ],
    ),
    (
        "sticky-flag",
        &[
            ("forgotten", "forgotten"),
            ("forgotten-twice", "forgotten-twice"),
            ("largest-number", "forgotten"),
            ("yields-itself", "yields-itself"),
        ],
    ),
    (
        "newstack-order",
        &[
            ("bug-unseen", "bug-unseen"),
            ("flag-left-up", "flag-left-up"),
            ("forgotten", "forgotten"),
            ("locks", "locks"),
            ("no-growth", "no-growth"),
            ("nothing-to-refuse", "nothing-to-refuse"),
            ("stack-first", "stack-first"),
            ("unheard", "unheard"),
        ],
    ),
    (
        "half-plus-one",
        &[
            ("kept", "kept"),
            ("lost", "lost"),
            ("lost-first", "lost"),
            ("order", "order"),
        ],
    ),
    (
        "every-61st",
        &[
            ("after-61", "too-often"),
            ("for-nothing", "for-nothing"),
            ("starved", "starved"),
            ("too-often", "too-often"),
            ("too-rarely", "too-rarely"),
        ],
    ),
    (
        "steal-half",
        &[
            ("count", "count"),
            ("order", "order"),
            ("rounding", "rounding"),
            ("runnext", "runnext"),
            ("too-few", "too-few"),
            ("too-many", "too-many"),
            ("twice", "twice"),
        ],
    ),
    (
        "lost-wakeup",
        &[
            ("busy", "busy"),
            ("lock-kept", "lock-kept"),
            ("lost", "lost"),
            ("no-wait", "no-wait"),
            ("one-of-three", "one-of-three"),
            ("set-first", "set-first"),
            ("too-early", "too-early"),
        ],
    ),
    (
        "find-the-bug",
        &[
            ("cause", "cause"),
            ("the-request", "the-request"),
            ("the-yield", "the-yield"),
            ("winner", "harmed"),
        ],
    ),
    (
        "snapshot-your-own",
        &[
            ("blind", "blind"),
            ("compiler", "compiler"),
            ("no-events", "no-events"),
            ("nobody-preempted", "nobody-preempted"),
            ("stale", "stale"),
            ("unknown-event", "unknown-event"),
        ],
    ),
    (
        "sysmon-sleep",
        &[
            ("always-20", "too-busy"),
            ("at-once", "too-soon"),
            ("never-back", "never-back"),
            ("no-limit", "too-long"),
            ("zero", "no-sleep"),
        ],
    ),
    (
        "retake-slice",
        &[
            ("always-noted", "never"),
            ("first-only", "one-left"),
            ("never-noted", "never"),
            ("time-only", "too-soon"),
            ("twice-as-long", "too-late"),
        ],
    ),
    (
        "three-conditions",
        &[
            ("after-a-millisecond", "for-nothing"),
            ("never-at-last", "never"),
            ("only-work", "nobody-left"),
            ("the-other-way", "for-nothing"),
            ("work-forgotten", "work-waits"),
        ],
    ),
    (
        "handoff",
        &[
            ("always", "for-nothing"),
            ("global-only", "own-work"),
            ("lock-kept", "lock-held"),
            ("nobody-looks", "nobody-looks"),
            ("one-look", "in-between"),
            ("own-work-only", "work-of-all"),
        ],
    ),
    (
        "exit-syscall",
        &[
            ("both", "twice"),
            ("lock-kept", "lock-held"),
            ("never-looks", "idle-left"),
            ("no-rest", "no-rest"),
            ("still-in-its-call", "not-runnable"),
        ],
    ),
    (
        "inject-list",
        &[
            ("lock-kept", "lock-held"),
            ("nobody-outside", "nobody-started"),
            ("nobody-told", "ps-idle"),
            ("one-thread", "too-few"),
            ("rest-lost", "lost"),
            ("twice", "twice"),
        ],
    ),
    (
        "check-dead",
        &[
            ("locked-counts", "locked"),
            ("one-left", "in-a-call"),
            ("processors", "in-a-call"),
            ("sysmon-counts", "silent"),
        ],
    ),
    (
        "stuck-processor",
        &[
            ("cause", "cause"),
            ("holder", "holder"),
            ("missing", "missing"),
            ("of-sysmon", "elsewhere"),
            ("requests", "requests"),
            ("too-early", "from"),
        ],
    ),
];

fn places() -> Places {
    Places::new(None).expect("the workspace")
}

/// The program with all variants, built once.
fn program(name: &'static str) -> &'static Path {
    static VARIANTS: OnceLock<PathBuf> = OnceLock::new();
    static SOLUTIONS: OnceLock<PathBuf> = OnceLock::new();
    let cell = if name == "solutions" {
        &SOLUTIONS
    } else {
        &VARIANTS
    };
    cell.get_or_init(|| match build::target(&places(), name).expect("cargo") {
        Built::Program(path) => path,
        Built::Refused(said) => panic!("{name} does not build:\n{said}"),
    })
}

/// The answers or the program of a variant, judged.
fn verdict(name: &str, variant: &str) -> Verdict {
    let exercise = runner::find(name).expect("an exercise");
    match exercise.kind {
        Kind::Answers(_) => {
            let root = places().root.join("exercises");
            let file = Places::file_name(name, "toml");
            let path = match variant {
                "starter" => root.join("starters").join(file),
                "solution" => root.join("solutions").join(file),
                "alternate" => root.join("alternates").join(file),
                wrong => root
                    .join("wrong")
                    .join(name.replace('-', "_"))
                    .join(Places::file_name(wrong, "toml")),
            };
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            runner::examine_answers(exercise, &text, own()).expect("it runs")
        }
        Kind::Rust(_) => {
            let path = program(if variant == "solution" {
                "solutions"
            } else {
                "variants"
            });
            let which = format!("{name}/{variant}");
            let program = Program {
                path,
                arguments: &[&which],
            };
            runner::examine(exercise, &program, own(), LIMIT).expect("it runs")
        }
    }
}

fn must_pass(name: &str, variant: &str) {
    if let Verdict::Failed(failure) = verdict(name, variant) {
        panic!(
            "{name}/{variant} is right and was refused in `{}`: {}\n{}\n{}{}",
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
    for exercise in runner::all() {
        let Verdict::Failed(failure) = verdict(exercise.name, "starter") else {
            panic!("the starter of {} passes", exercise.name);
        };
        assert!(!failure.fault.what.is_empty() && !failure.fault.meaning.is_empty());
        let report = runner::show::failure(&failure, 100);
        assert!(
            report.contains("broke") && report.contains("means"),
            "{report}"
        );
        println!("== {}\n{report}", exercise.name);
    }
}

#[test]
fn every_alternate_passes() {
    if !tests::long() {
        println!("skipped: runs another correct answer to every exercise; SAFEPOINT_LONG=1 does");
        return;
    }
    for exercise in runner::all() {
        must_pass(exercise.name, "alternate");
    }
}

#[test]
fn every_solution_passes() {
    if !places().root.join("exercises/solutions").is_dir() {
        println!("skipped: exercises/solutions is not there");
        return;
    }
    // Long: sixty times; a solution that passes by luck is none. Those of stage 2 take
    // longer, and nearly all of their cases are in lockstep: twenty times.
    let rounds = if tests::long() { 60 } else { 1 };
    for round in 0..rounds {
        for exercise in runner::all() {
            let stage = Card::find(exercise.name).map_or(0, Card::stage);
            if stage == 1 || round < 20 {
                must_pass(exercise.name, "solution");
            }
        }
        println!("round {round}");
    }
}

#[test]
fn every_wrong_one_is_caught_for_its_own_reason() {
    if !tests::long() {
        println!("skipped: tries some eighty wrong answers; SAFEPOINT_LONG=1 does");
        return;
    }
    let mut faults = String::new();
    for (name, wrong) in WRONG {
        for (variant, rule) in *wrong {
            match verdict(name, variant) {
                Verdict::Passed { .. } => faults.push_str(&format!("{name}/{variant} passes\n")),
                Verdict::Failed(f) if f.fault.rule != *rule => faults.push_str(&format!(
                    "{name}/{variant}: expected {rule}, was caught by {} in `{}` seed {:?}: {}\n{}\n",
                    f.fault.rule, f.case.name, f.seed, f.fault.what, f.run.err
                )),
                Verdict::Failed(_) => {}
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn each_has_three_wrong_ones_with_messages_of_their_own() {
    for exercise in runner::all() {
        let (_, wrong) = WRONG
            .iter()
            .find(|(name, _)| *name == exercise.name)
            .expect("a list");
        let rules: BTreeSet<&str> = wrong.iter().map(|(_, rule)| *rule).collect();
        assert!(rules.len() >= 3, "{}: {rules:?}", exercise.name);
        let dir = places()
            .root
            .join("exercises/wrong")
            .join(exercise.name.replace('-', "_"));
        let files = std::fs::read_dir(&dir).expect("a folder").count();
        assert_eq!(files, wrong.len(), "{}", dir.display());
    }
}

#[test]
fn cards_and_plan_agree() {
    let planned: Vec<&str> = exercises::PLANNED
        .iter()
        .filter(|p| p.stage <= 2)
        .map(|p| p.name)
        .collect();
    let written: Vec<&str> = runner::all().map(|e| e.name).collect();
    let texts: Vec<&str> = cards().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(planned, written);
    assert_eq!(planned, texts);
    for exercise in runner::all() {
        let card = Card::find(exercise.name).expect("a card");
        assert!(card.points > 0 && card.minutes > 0 && (1..=2).contains(&card.stage()));
        assert!(!card.task.trim().is_empty() && !card.why.is_empty());
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
        assert!(
            places()
                .starter(exercise.name, exercise.kind.ending())
                .exists(),
            "{} has no starter",
            exercise.name
        );
    }
}

#[test]
fn every_file_is_formatted() {
    let root = places().root.join("exercises");
    let mut files = Vec::new();
    for folder in ["starters", "solutions", "alternates", "wrong", "checks"] {
        collect(&root.join(folder), &mut files);
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
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
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
