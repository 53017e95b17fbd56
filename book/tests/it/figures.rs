//! The drawings keep the rules of their picture language, and the map of lines is true.

use std::collections::BTreeSet;
use std::fs;

use safepoint_book::lines::Lines;
use safepoint_book::trace::{Trace, describe, read};
use safepoint_book::workspace::Workspace;

use super::support::repository;

fn drawings() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join("book/figures"))
        .unwrap()
        .flatten()
    {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".svg") {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    assert!(found.len() >= 6, "the drawings are there");
    found
}

/// The part of the style sheet that colors the drawings.
fn style() -> String {
    let css = fs::read_to_string(repository().join("book/assets/figure.css")).unwrap();
    let (_, drawings) = css.split_once("/* The drawings of book/figures.").unwrap();
    drawings.to_string()
}

/// The values of an attribute.
fn values<'a>(text: &'a str, attribute: &str) -> Vec<&'a str> {
    text.split(&format!(" {attribute}=\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or(("", ""));
    rest.split(end).next().unwrap_or("")
}

#[test]
fn each_drawing_can_be_read_without_seeing_it() {
    for (name, svg) in drawings() {
        let title = between(&svg, "<title>", "</title>");
        let desc = between(&svg, "<desc>", "</desc>");
        assert!(title.len() > 10 && title.len() < 90, "{name}: {title}");
        assert!(
            desc.len() > 150,
            "{name}: the description tells all: {desc}"
        );
    }
}

#[test]
fn each_drawing_fits_a_phone() {
    for (name, svg) in drawings() {
        let view = values(&svg, "viewBox")[0];
        assert!(view.starts_with("0 0 400 "), "{name}: {view}");
        assert!(
            values(&svg, "font-size").is_empty(),
            "{name}: sizes are classes"
        );
        // 400 units on the 326 pixels that a phone of 360 leaves.
        assert!(
            !svg.contains("transform="),
            "{name}: nothing is made smaller"
        );
    }
    let css = style();
    let sizes: Vec<f64> = css
        .split("font-size: ")
        .skip(1)
        .filter_map(|rest| rest.split("px").next()?.parse().ok())
        .collect();
    assert!(sizes.len() >= 3, "{sizes:?}");
    for size in sizes {
        assert!(size * 326.0 / 400.0 > 10.0, "{size}");
    }
}

#[test]
fn no_drawing_has_a_color_of_its_own() {
    let css = style();
    for (name, svg) in drawings() {
        for attribute in [
            "stroke",
            "color",
            "style",
            "stop-color",
            "onload",
            "onclick",
        ] {
            assert!(values(&svg, attribute).is_empty(), "{name}: {attribute}");
        }
        for fill in values(&svg, "fill") {
            assert!(fill.starts_with("url(#"), "{name}: {fill}");
        }
        assert!(
            !svg.contains("<style") && !svg.contains("<script"),
            "{name}"
        );
        for class in values(&svg, "class").iter().flat_map(|c| c.split(' ')) {
            let known = css.contains(&format!(".{class} "))
                || css.contains(&format!(".{class}."))
                || css.contains(&format!(".{class},"))
                || class == "d-t";
            assert!(known, "{name}: figure.css does not know {class}");
        }
    }
    for line in css.lines().filter(|line| line.contains('#')) {
        assert!(line.trim().starts_with("--sp-d-"), "a fixed color: {line}");
    }
    // Each variable that has a light value for text-like lines has a dark one too.
    let defined = |block: &str| -> BTreeSet<String> {
        block
            .lines()
            .filter_map(|line| {
                Some(
                    line.trim()
                        .strip_prefix("--")?
                        .split(':')
                        .next()?
                        .to_string(),
                )
            })
            .collect()
    };
    let (light, rest) = css.split_once(".coal .sp-plate").unwrap();
    let dark = rest.split('}').next().unwrap();
    let missing: Vec<String> = defined(light).difference(&defined(dark)).cloned().collect();
    // Fills of G and M are light in both, with dark text on them.
    assert!(
        missing.iter().all(
            |name| ["sp-d-dark", "sp-d-g", "sp-d-g2", "sp-d-g3", "sp-d-m"].contains(&name.as_str())
        ),
        "{missing:?}"
    );
}

/// All sources of stage 1 in one text.
fn sources() -> String {
    fn walk(folder: &std::path::Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), all);
            } else {
                all.push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut all = String::new();
    walk(&repository().join("stage1-coop/src"), &mut all);
    all
}

/// What stage 2 adds.
fn stage2() -> String {
    let src = repository().join("stage2-sysmon/src");
    let files = [
        "sysmon/retake.rs",
        "syscall/handoff.rs",
        "syscall/callp.rs",
        "syscall/enter.rs",
        "syscall/exit.rs",
    ];
    files
        .map(|file| fs::read_to_string(src.join(file)).unwrap())
        .concat()
}

/// The two drawings of stage 2 say what the code says.
#[test]
fn what_retake_asks_is_the_codes() {
    let sources = stage2();
    for (code, name, says) in [
        (
            "FORCE_PREEMPT_NS: u64 = 10_000_000",
            "retake-decision",
            "2  Have 10 ms passed",
        ),
        (
            "SYSCALL_NS: u64 = 10_000_000",
            "retake-decision",
            "6  Have 10 ms passed",
        ),
        ("preemptone(pp);", "retake-decision", ">preemptone<"),
        ("pub fn handoffp(", "retake-decision", ">handoffp<"),
        (
            "seen.schedtick.get() != tick",
            "retake-decision",
            "1  Is schedtick still what it",
        ),
        (
            "!slice_is_over && seen.syscalltick.get() != tick",
            "retake-decision",
            "3  Is the slice over, or is",
        ),
        (
            "!pp.runq.is_empty()\n        ||",
            "retake-decision",
            "4  Is there work in its queue?",
        ),
        (
            "self.set::<PRUNNING, PSYSCALL>()",
            "p-in-a-call",
            "status PSYSCALL",
        ),
        (
            "self.try_change::<PSYSCALL, PIDLE>()",
            "p-in-a-call",
            "PSYSCALL to PIDLE",
        ),
        ("globrunqput(&mut sched, gp)", "p-in-a-call", "global queue"),
    ] {
        assert!(sources.contains(code), "the source has changed: {code}");
        assert!(drawing(name).contains(says), "{name}: {says}");
    }
}

fn drawing(name: &str) -> String {
    fs::read_to_string(repository().join(format!("book/figures/{name}.svg"))).unwrap()
}

/// The life of a G has the changes of state that the code makes, and no others.
#[test]
fn the_life_of_a_g_is_the_codes() {
    let sources = sources();
    let made: BTreeSet<String> = sources
        .split("casgstatus::<G")
        .skip(1)
        .filter_map(|rest| rest.split('>').next()?.split_once(", G"))
        .map(|(old, new)| format!("_G{} becomes _G{}", old.to_lowercase(), new.to_lowercase()))
        .collect();
    let svg = drawing("life-of-a-g");
    let told = between(&svg, "<desc>", "</desc>");
    assert!(made.len() >= 8, "{made:?}");
    for edge in &made {
        assert!(told.contains(edge.as_str()), "not drawn: {edge}");
    }
    assert_eq!(told.matches(" becomes _G").count(), made.len(), "{told}");
}

/// What stands as code in a drawing is a name of the source; the numbers are its numbers.
#[test]
fn names_and_numbers_are_the_sources() {
    let sources = sources();
    for function in [
        "malg",
        "newproc",
        "execute",
        "gosched_impl",
        "park_m",
        "ready",
        "grow",
        "goexit0",
        "morestack",
        "gopreempt_m",
        "schedule",
        "throw",
        "mcall",
        "gogo",
        "newstack",
    ] {
        assert!(sources.contains(&format!("fn {function}")), "{function}");
    }
    for (constant, name, says) in [
        ("SLOT: usize = 256 << 10", "stack-layout", "256 KiB"),
        (
            "STACK_MIN: usize = 8 << 10",
            "stack-layout",
            "8 KiB at first",
        ),
        ("STACK_GUARD: usize = 928", "stack-layout", "928 bytes"),
        ("SLACK: usize = 32 << 10", "stack-layout", "32 KiB of slack"),
        (
            "STACK_MAX: usize = SLOT - mem::PAGE - SLACK - mem::PAGE",
            "stack-layout",
            "216 KiB",
        ),
        (
            "RUNQ_SIZE: usize = if cfg!(loom) { 4 } else { 256 }",
            "ring-overflow",
            "256 goroutines",
        ),
        (
            "OVERFLOW: usize = RUNQ_SIZE / 2 + 1",
            "ring-overflow",
            "129 goroutines",
        ),
        (
            "\"push rbx\",\n            \"push rbp\"",
            "two-stacks-mcall",
            "rbx, rbp",
        ),
    ] {
        assert!(
            sources.contains(constant),
            "the source has changed: {constant}"
        );
        assert!(drawing(name).contains(says), "{name}: {says}");
    }
}

/// Every entry of the map fits its example and a recorded run, and two runs are spelt out.
#[test]
fn the_lines_of_the_player_are_true() {
    let ws = Workspace::at(repository());
    let map = fs::read_to_string(ws.book().join("figures/lines.toml")).unwrap();
    let names: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("[\"")?.strip_suffix("\"]"))
        .collect();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let (pkg, example) = name.split_once('/').unwrap();
        let example = ws.example(pkg, example).unwrap_or_else(|| panic!("{name}"));
        let lines = Lines::read(&ws.book(), name, &example.source).unwrap();
        let traces: Vec<Trace> = ws
            .snapshots
            .recorded_procs(pkg, &example.name)
            .iter()
            .filter_map(|procs| {
                ws.snapshots
                    .recording(pkg, &example.name, *procs, 1)
                    .unwrap()
            })
            .map(|recording| read(&recording.trace))
            .collect();
        assert_eq!(
            lines.unused(&traces),
            Vec::<String>::new(),
            "{name}: no such event"
        );
    }
}

#[test]
fn two_hogs_line_by_line() {
    let ws = Workspace::at(repository());
    let example = ws.example("stage1-coop", "two_hogs").unwrap();
    let lines = Lines::read(&ws.book(), "stage1-coop/two_hogs", &example.source).unwrap();
    let recording = ws
        .snapshots
        .recording("stage1-coop", "two_hogs", 1, 1)
        .unwrap()
        .unwrap();
    let trace = read(&recording.trace);
    let source: Vec<&str> = example.source.lines().collect();
    let mut seen = BTreeSet::new();
    for (event, line) in trace.events.iter().zip(lines.of(&trace)) {
        let text = line.map_or("", |line| source[line].trim());
        let first = event.args.first().map_or("", String::as_str);
        let expected = match event.name.as_str() {
            "ProcStart" | "ThreadStart" => Some(""),
            "GoCreate" if first == "g1" => Some(""),
            "GoCreate" if first == "g2" => Some("go(\"hog_a\", move || hog(\"a\", a));"),
            "GoCreate" => Some("go(\"hog_b\", move || hog(\"b\", b));"),
            "GoBlock" => Some("done.wait();"),
            "GoUnblock" => Some("done.done();"),
            "Preempt" => Some("me.raise_the_flag();"),
            "GoPreempt" => Some("fn work(turns: u64) -> u64 {"),
            // A start lights the beginning once, and afterwards the check of before.
            "GoStart" if seen.insert(first.to_string()) => match first {
                "g1" => Some("runtime.run(|| {"),
                "g2" => Some("go(\"hog_a\", move || hog(\"a\", a));"),
                _ => Some("go(\"hog_b\", move || hog(\"b\", b));"),
            },
            "GoStart" if first == "g1" => Some("done.wait();"),
            "GoStart" => Some("fn work(turns: u64) -> u64 {"),
            _ => None,
        };
        if let Some(expected) = expected {
            assert_eq!(text, expected, "{}", describe(event));
        }
    }
}
