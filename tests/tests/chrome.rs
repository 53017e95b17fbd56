//! The Chrome form, as its readers take it: JSON; on each lane one slice inside another or
//! behind it; arrows that begin and end at slices, each request's with one beginning.

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use tests::{LIMIT, about, example, examples, fresh_folder, run};

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
