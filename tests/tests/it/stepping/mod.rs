//! Every instruction: goroutines that are single-stepped and stopped before each instruction of
//! their own code, with the real handler, a real switch, and another goroutine in between that
//! leaves no register as it was. The result must be the one of a run that nothing stops.
//!
//! That the victims would show a mistake is shown by trampolines with one mistake each.
//!
//! In the normal test a few turns of each victim's loop; with `SAFEPOINT_LONG=1` five times as many,
//! and for each instruction of nearly all of them a run that is stopped there alone.

use tests::scenario;

/// What a victim's line says.
#[derive(Debug)]
struct Line {
    name: String,
    right: bool,
    taken: u64,
    refused: u64,
    trashed: u64,
    odd: u64,
}

/// The lines of a scenario that ended well; what was skipped is said.
#[track_caller]
fn lines(ended: &tests::Ended) -> Vec<Line> {
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
    let told = ended.stdout.lines().filter(|line| {
        if line.starts_with("skipped") {
            println!("{line}");
        }
        !line.starts_with("skipped")
    });
    told.map(|line| {
        let (name, rest) = line.split_once(": ").expect("a name");
        let parts: Vec<&str> = rest.split(", ").collect();
        let number = |i: usize| {
            let (_, number) = parts[i].split_once(' ').expect("a word and a number");
            number.parse().expect("a number")
        };
        Line {
            name: name.to_owned(),
            right: parts[0] == "right",
            taken: number(1),
            refused: number(2),
            trashed: number(3),
            odd: number(4),
        }
    })
    .collect()
}

/// Victims in which nothing forbids to stop the goroutine.
const NEVER_REFUSED: [&str; 11] = [
    "registers",
    "backwards",
    "x87",
    "mxcsr",
    "xmm",
    "ymm",
    "zmm",
    "loops",
    "floats",
    "wide_floats",
    "several_pages",
];

#[test]
fn a_goroutine_that_is_stopped_at_every_instruction_does_not_notice() {
    let factor = if tests::long() { "5" } else { "1" };
    let lines = lines(&scenario!([], "every_instruction", factor));
    for line in &lines {
        let Line {
            taken,
            refused,
            trashed,
            odd,
            ..
        } = *line;
        assert!(line.right && odd == 0, "{line:?}");
        assert!(taken >= 20 && trashed >= taken, "{line:?}");
        if NEVER_REFUSED.contains(&&*line.name) {
            assert_eq!(refused, 0, "{line:?}");
        }
    }
    let able = shapes::victims::VICTIMS
        .iter()
        .filter(|v| v.needs.is_there());
    let names: Vec<&str> = lines.iter().map(|line| &*line.name).collect();
    assert_eq!(names, able.map(|v| v.name).collect::<Vec<_>>());
    let taken: u64 = lines.iter().map(|line| line.taken).sum();
    println!("stopped {taken} times, at every instruction, 0 wrong");
}

#[test]
fn two_goroutines_are_stepped_side_by_side() {
    let lines = lines(&scenario!([], "two_at_a_time"));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.right && line.odd == 0 && line.taken >= 20)
    );
}

/// A stop at one instruction may hide what a stop at another one does.
#[test]
fn one_stop_in_a_run_at_each_instruction_in_turn() {
    let names: &[&str] = match tests::long() {
        true => &NEVER_REFUSED,
        false => &["backwards"],
    };
    for name in names {
        let ended = scenario!([], "one_by_one", *name);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        match ended
            .stdout
            .strip_prefix(&format!("{name}: wrong 0, runs "))
        {
            Some(runs) => assert!(runs.trim().parse::<u64>().is_ok_and(|n| n >= 100)),
            None => assert!(ended.stdout.starts_with("skipped"), "{ended:#?}"),
        }
    }
}

/// The line of `victim` with a trampoline that makes this mistake; `None`: the processor does not
/// have what it needs.
#[track_caller]
fn with_mistake(mistake: &str, victim: &str) -> Option<Line> {
    let mut lines = lines(&scenario!([], "a_mistake", mistake, victim));
    lines.pop()
}

/// The mistake, and the victim that shows it.
const MISTAKES: [(&str, &str); 6] = [
    ("red-zone", "registers"),
    ("flags", "registers"),
    ("r10", "registers"),
    ("fxsave", "ymm"),
    ("mask-by-names", "ymm"),
    ("control-words", "x87"),
];

#[test]
fn each_mistake_of_a_trampoline_is_shown_by_a_victim() {
    if !is_x86_feature_detected!("xsave") {
        println!("skipped: the trampolines with a mistake: this processor has no XSAVE");
        return;
    }
    for (mistake, victim) in MISTAKES {
        if mistake == "mask-by-names" && !shapes::victims::Needs::Avx512.is_there() {
            println!("skipped: {mistake}: this processor has no AVX-512");
            continue;
        }
        // The same trampoline without the mistake.
        let Some(right) = with_mistake("none", victim) else {
            continue;
        };
        assert!(
            right.right && right.odd == 0 && right.taken >= 20,
            "{right:?}"
        );
        let wrong = with_mistake(mistake, victim).expect("it has just run");
        assert!(wrong.taken >= 20, "{mistake}: {wrong:?}");
        match mistake {
            // The victim gets its own ones back. The next goroutine gets them, too.
            "control-words" => assert!(wrong.odd > 0, "{mistake}: {wrong:?}"),
            _ => assert!(!wrong.right && wrong.odd == 0, "{mistake}: {wrong:?}"),
        }
    }
}
