//! What is in goroutines' own code, of every program of the workspace: nothing of the runtime that
//! looks at its thread in several steps. `tests::gotext` looks; here is what it looks at.

use shapes::{
    counts_for_its_thread, is_another_g, looks_at_its_m, reads_an_unknown_word,
    saves_the_control_word,
};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use tests::gotext::{Gotext, functions_with_a_check, look, look_at, shells};
use tests::{cargo, example, examples, long, program, root};

const STAGES: [&str; 3] = ["stage1-coop", "stage2-sysmon", "stage3-signals"];

/// The programs in a profile's folder that use what the crates' roots offer, and `rt` only off
/// goroutines.
const PROGRAMS: [&str; 3] = ["review", "review2", "day"];
/// Those behind BENCHMARKS.md.
const BENCHMARKS: [&str; 10] = [
    "yield", "spawn", "chanping", "prologue", "many", "steal", "latency", "syscall", "timers",
    "echo",
];
/// Every public call in a loop, in the program `scenario`. They are no goroutines' own code, and
/// are looked at as if they were.
const EVERY_CALL: &str = "tests/it/heard/scenario.rs";

/// What was found in several programs.
#[derive(Default)]
struct All {
    functions: usize,
    wrong: Vec<String>,
    thread_locals: Vec<String>,
    shells: BTreeSet<&'static str>,
}

impl All {
    fn add(&mut self, program: &Path, found: Gotext) {
        let name = program.file_name().unwrap_or_default().display();
        self.functions += found.functions;
        self.wrong
            .extend(found.wrong.iter().map(|w| format!("{name}: {w}")));
        self.wrong.extend(
            found
                .inlined
                .iter()
                .map(|w| format!("{name}: {w} is inlined")),
        );
        self.thread_locals
            .extend(found.thread_locals.iter().map(|f| format!("{name}: {f}")));
        self.shells.extend(found.shells);
    }

    #[track_caller]
    fn is_right(&self, at_least: usize) {
        println!("{} functions; with a thread-local:", self.functions);
        self.thread_locals.iter().for_each(|f| println!("  {f}"));
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.functions >= at_least, "{} functions", self.functions);
    }
}

/// Looks at all examples, and at these programs in a profile's folder.
fn look_at_all(dir: &Path, programs: &[&str]) -> All {
    let mut all = All::default();
    for stage in STAGES {
        for name in examples(stage) {
            let path = dir.join("examples").join(name);
            all.add(&path, look(&path));
        }
    }
    for name in programs {
        let path = dir.join(name);
        all.add(&path, look(&path));
    }
    let scenario = dir.join("scenario");
    let calls = look_at(&scenario, EVERY_CALL);
    assert!(calls.functions >= 80, "{} public calls", calls.functions);
    all.add(&scenario, calls);
    all
}

#[test]
fn nothing_of_the_runtime_is_inlined_into_a_goroutine_s_own_code() {
    for stage in STAGES {
        example(stage, &examples(stage)[0]);
    }
    let scenario = Path::new(program!("scenario"));
    let dir = scenario.parent().expect("it is in a folder");
    look_at_all(dir, &PROGRAMS).is_right(150);
}

/// Long: all programs in three builds, in which the compiler may inline more and more.
#[test]
fn nor_by_any_optimization() {
    if !long() {
        println!("skipped: builds every program three times; SAFEPOINT_LONG=1 does");
        return;
    }
    let mut met = BTreeSet::new();
    for (name, lto) in [("dev", None), ("thin", Some("thin")), ("fat", Some("fat"))] {
        let target = root().join("target/gotext").join(name);
        let mut cargo = cargo();
        cargo
            .args(["build", "-q", "--examples", "--bins", "--bench", "stage1"])
            .args(["--bench", "stage2", "--target-dir"])
            .arg(&target)
            .args(STAGES.iter().flat_map(|stage| ["-p", *stage]))
            .args(["-p", "tests", "-p", "measure", "-p", "benches"])
            .current_dir(root());
        let profile = match lto {
            Some(lto) => {
                cargo.arg("--release").env("CARGO_PROFILE_RELEASE_LTO", lto);
                "release"
            }
            None => "debug",
        };
        assert!(cargo.status().expect("cargo can be started").success());
        let dir = target.join(profile);
        let mut all = look_at_all(&dir, &[&PROGRAMS[..], &BENCHMARKS].concat());
        for bench in benches(&dir) {
            all.add(&bench, look(&bench));
        }
        println!("{name}:");
        all.is_right(150);
        met.extend(all.shells);
    }
    let stale: Vec<&str> = shells().filter(|shell| !met.contains(shell)).collect();
    assert!(stale.is_empty(), "inlined nowhere: {stale:?}");
}

/// The benchmarks of criterion: PROFILE/deps/NAME-HASH.
fn benches(dir: &Path) -> Vec<PathBuf> {
    let entries = dir.join("deps").read_dir().into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let hash = name
            .strip_prefix("stage1-")
            .or(name.strip_prefix("stage2-"));
        hash.is_some_and(|hash| hash.chars().all(|c| c.is_ascii_hexdigit()))
    });
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn what_must_not_be_there_is_found_by_its_function() {
    black_box((
        looks_at_its_m(),
        saves_the_control_word(),
        reads_an_unknown_word(),
    ));
    black_box(counts_for_its_thread());
    is_another_g();
    let found = look(&std::env::current_exe().expect("a test knows its own program"));
    let wrong = |function: &str, what: &str| {
        let start = format!("shapes::{function}: ");
        let right = |w: &String| w.starts_with(&start) && w.contains(what);
        let (wrong, inlined) = (&found.wrong, &found.inlined);
        let found = wrong.iter().chain(inlined).any(right);
        assert!(found, "{function}, {what}: {wrong:#?} {inlined:#?}");
    };
    wrong("looks_at_its_m", "go_tls_m");
    wrong("looks_at_its_m", "stage1-coop/src/arch/tls.rs: getm_opt");
    wrong("is_another_g", "go_tls_g");
    wrong("saves_the_control_word", "stmxcsr");
    wrong("reads_an_unknown_word", "nothing is known of");
    // `Cell` and `LocalKey` are inlined in every build that optimizes.
    assert!(
        found
            .thread_locals
            .contains("shapes::counts_for_its_thread"),
        "{:?}",
        found.thread_locals
    );
    let wrong = [
        "looks_at_its_m",
        "is_another_g",
        "saves_the_control_word",
        "reads_an_unknown_word",
        // It is about that instruction.
        "victims::registers::mxcsr_chain: stmxcsr",
    ];
    let unjustly = |w: &&String| {
        let function = w.strip_prefix("shapes::");
        function.is_some_and(|f| !wrong.iter().any(|name| f.starts_with(name)))
    };
    let all = found.wrong.iter().chain(&found.inlined);
    let unjustly: Vec<_> = all.filter(unjustly).collect();
    assert!(unjustly.is_empty(), "{unjustly:?}");
}

/// The runtime's functions with a check are those that a goroutine calls. Only a generic one is
/// compiled where it is called: every other must say that it is never inlined, even if no
/// compiler inlines it today.
#[test]
fn a_function_of_the_runtime_with_a_check_is_generic_or_never_inlined() {
    // Counts in a word of its own, and nothing else.
    const MAY_BE: &[&str] = &["stage1-coop/src/sync/waitgroup.rs: add"];
    let mut seen = 0;
    let mut forgotten = Vec::new();
    for stage in STAGES {
        for function in functions_with_a_check(stage) {
            seen += 1;
            let right = function.is_generic || function.is_never_inlined;
            if !right && !MAY_BE.contains(&function.name.as_str()) {
                forgotten.push(function.name);
            }
        }
    }
    assert!(seen >= 40, "{seen} functions");
    assert!(forgotten.is_empty(), "{forgotten:?}");
}
