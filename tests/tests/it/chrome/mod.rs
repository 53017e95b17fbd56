//! The forms of a trace as their readers take them. Chrome's: JSON; on each lane one slice
//! inside another or behind it; arrows that begin and end at slices, each request's with one
//! beginning. The text: one event a line, whatever names there are. All of them: the same
//! bytes for a seed, whole or with a word about what is missing, in bounded memory.

mod long;

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use tests::{Ended, LIMIT, about, example, examples, fresh_folder, run, scenario_of};

/// A slice, in nanoseconds.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Slice {
    begin: u64,
    end: u64,
    name: String,
}

fn ns(value: &Value) -> u64 {
    (value.as_f64().expect("microseconds") * 1000.0).round() as u64
}

fn check(what: &str, json: &str) -> BTreeMap<(u64, u64), Vec<Slice>> {
    let trace: Value = serde_json::from_str(json).expect(what);
    let rows = trace["traceEvents"].as_array().expect("rows");
    let lane = |row: &Value| {
        let number = |key: &str| row[key].as_u64().expect("a number");
        (number("pid"), number("tid"))
    };
    let mut lanes: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row["ph"] == "X") {
        let begin = ns(&row["ts"]);
        let end = begin + ns(&row["dur"]);
        let name = row["name"].as_str().expect("a name").to_owned();
        lanes
            .entry(lane(row))
            .or_default()
            .push(Slice { begin, end, name });
    }
    for (lane, slices) in &mut lanes {
        slices.sort();
        for pair in slices.windows(2) {
            assert!(
                pair[0].end <= pair[1].begin,
                "{what}: in lane {lane:?} two overlap: {pair:#?}"
            );
        }
    }
    let mut begun = BTreeMap::new();
    for row in rows {
        let ph = row["ph"].as_str().expect("a kind of row");
        if !["s", "t", "f"].contains(&ph) {
            continue;
        }
        let at = ns(&row["ts"]);
        let inside = |s: &Slice| s.begin <= at && at < s.end;
        assert!(
            lanes
                .get(&lane(row))
                .is_some_and(|slices| slices.iter().any(inside)),
            "{what}: an arrow hangs in the air: {row}"
        );
        let n = begun
            .entry(row["id"].as_u64().expect("a number"))
            .or_insert(0);
        *n += i32::from(ph == "s");
        assert_eq!(*n, 1, "{what}: {row}");
    }
    lanes
}

#[test]
fn every_example_can_be_drawn() {
    let dir = fresh_folder("safepoint-chrome-").expect("a folder");
    let file = dir.join("x.json");
    let shown = file.display().to_string();
    for stage in ["stage1-coop", "stage2-sysmon"] {
        for name in examples(stage) {
            let about = about(stage, &name);
            let wanted = |procs: &&str| about.replays && (!about.slow || *procs == "1");
            for procs in ["1", "2", "4"].into_iter().filter(wanted) {
                let switches = [
                    ("GOMAXPROCS", procs),
                    ("SAFEPOINT_SEED", "1"),
                    ("SAFEPOINT_TRACE", &*shown),
                ];
                let ended = run(&mut Command::new(example(stage, &name)), &switches, LIMIT);
                assert_eq!(ended.code, Some(about.exit), "{name}: {ended:#?}");
                let json = std::fs::read_to_string(&file).expect("a trace");
                check(&format!("{stage} {name}, {procs} Ps"), &json);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// A goroutine in a call, its P taken away: the P's lane shows who had it, and then who has.
#[test]
fn a_p_that_is_taken_out_of_a_call() {
    let dir = fresh_folder("safepoint-chrome-").expect("a folder");
    let file = dir.join("x.json");
    let shown = file.display().to_string();
    let switches = [("SAFEPOINT_SEED", "1"), ("SAFEPOINT_TRACE", &*shown)];
    let mut program = Command::new(example("stage2-sysmon", "blocking_call"));
    assert_eq!(run(&mut program, &switches, LIMIT).code, Some(0));
    let lanes = check(
        "blocking_call",
        &std::fs::read_to_string(&file).expect("a trace"),
    );
    let names = |pid, tid| -> Vec<&str> {
        lanes[&(pid, tid)]
            .iter()
            .map(|s| s.name.trim_end())
            .collect()
    };
    assert_eq!(
        names(1, 0),
        ["g1 main", "g3 caller", "g2 worker", "g3 caller", "g1 main"]
    );
    assert!(names(2, 0).contains(&"GoSysCall"));
    assert!(names(2, 0).contains(&"GoSysExit blocked"));
    assert!(names(2, 1).contains(&"ProcSteal p0 m0"));
    let _ = std::fs::remove_dir_all(&dir);
}

fn scenario(words: &[&str], env: &[(&str, &str)]) -> Ended {
    scenario_of(env!("CARGO_BIN_EXE_scenario"), words, env)
}

#[track_caller]
fn went_well(ended: &Ended) {
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{ended:#?}");
}

#[test]
fn a_name_cannot_add_an_event() {
    let dir = fresh_folder("safepoint-names-").expect("a folder");
    let map = dir.join("map");
    let room = std::fs::File::create(&map).expect("a file");
    room.set_len(128 * 64).expect("room");
    let shown = map.display().to_string();
    for seed in ["1", ""] {
        let env = [
            ("SAFEPOINT_SEED", seed),
            ("SAFEPOINT_TRACE", "-"),
            ("SAFEPOINT_TRACE_MAP", &*shown),
        ];
        let ended = scenario(&["names"], &env);
        went_well(&ended);
        assert!(!ended.stderr.contains('\x1b'), "{ended:#?}");
        let trace = tests::parse(&ended.stderr);
        trace.check_run().expect("a trace of what was");
        assert_eq!(trace.count("GoCreate"), 3);
        assert_eq!(trace.count("GoEnd"), 3);
        assert_eq!(trace.count("UserLog"), 2);
        assert!(trace.events.iter().all(|e| e.flow.is_none()), "{ended:#?}");
        let name = |i: usize| {
            trace.events[trace.find("GoCreate").nth(i).expect("three")].args[1..].join(" ")
        };
        assert_eq!(name(1), "a\\n 0.001 m0 p0 g1 GoEnd");
        assert_eq!(name(2), "fix for \\#7");
        // The records of the map hold the same lines.
        let bytes = std::fs::read(&map).expect("the map");
        for (record, event) in bytes.chunks_exact(128).zip(&trace.events) {
            let end = record[8..].iter().position(|&b| b == 0).unwrap_or(120);
            let line = std::str::from_utf8(&record[8..8 + end]).expect("text");
            assert!(!line.contains('\n'), "{line}");
            if seed == "1" {
                assert_eq!(line.trim_end(), event.line);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// What the head says can be pasted into a shell: the same program runs with the same
/// arguments and leaves the same bytes.
#[test]
fn the_replay_line_can_be_pasted() {
    let env = [("SAFEPOINT_SEED", "7"), ("SAFEPOINT_TRACE", "-")];
    let words = ["names", "; echo pasted", "it's", "$HOME `id`", "", "*"];
    let first = scenario(&words, &env);
    went_well(&first);
    let line = first.stderr.lines().nth(1).expect("a second line");
    let line = line.strip_prefix("# replay: ").expect("the command");
    let again = run(Command::new("sh").args(["-c", line]), &[], LIMIT);
    assert_eq!(again, first, "{line}");
    // Whoever starts the program in another way says how.
    let own = [
        env[0],
        env[1],
        ("SAFEPOINT_REPLAY", "make \"it so\"\n# fake"),
    ];
    let ended = scenario(&["names"], &own);
    let line = ended.stderr.lines().nth(1).expect("a second line");
    assert!(
        line.ends_with(" SAFEPOINT_TRACE=- make \"it so\" # fake"),
        "{line}"
    );
}

#[test]
fn a_seed_gives_the_same_bytes_in_every_form() {
    let dir = fresh_folder("safepoint-forms-").expect("a folder");
    for form in ["txt", "json", "trace"] {
        for switch in ["", "SAFEPOINT_TRACE_STREAM"] {
            let trace = |i: u32| {
                let file = dir.join(format!("{i}.{form}"));
                let shown = file.display().to_string();
                let mut env = vec![
                    ("SAFEPOINT_SEED", "3"),
                    ("SAFEPOINT_TRACE", &*shown),
                    ("SAFEPOINT_REPLAY", "again"),
                ];
                env.extend(
                    ["1"]
                        .map(|on| (switch, on))
                        .iter()
                        .filter(|(k, _)| !k.is_empty()),
                );
                went_well(&scenario(&["pairs", "300"], &env));
                std::fs::read(file).expect("a trace")
            };
            let first = trace(0);
            for i in 1..4 {
                assert!(trace(i) == first, "{form} {switch}");
            }
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}
