//! Go's own reader as the judge of traces in Go's form: every example of every stage, on 1, 2
//! and 4 Ps, in lockstep and free-running, is read by `go tool trace` of the oldest Go that
//! knows the form and of a new one. What they find in it must be what our text form says of
//! the same run.
//!
//! `tests/go/setup-go.sh VERSION` installs the two. Without one of them the test says so and
//! skips it; with `SAFEPOINT_GO=required` it fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::trace::{Event, Trace};
use tests::{LIMIT, about, example, examples, fresh_folder, root, run};

const VERSIONS: [&str; 2] = ["1.22.10", "1.27.3"];
const STAGES: [&str; 3] = ["stage1-coop", "stage2-sysmon", "stage3-signals"];
const PROCS: [&str; 3] = ["1", "2", "4"];

/// Whether Go's tools must be there, and read everything: `.ci/run` asks for it.
fn strict() -> bool {
    std::env::var_os("SAFEPOINT_GO").is_some_and(|v| v == "required")
}

/// Bytes of the file in which the run leaves its text form too, 128 for each event.
const ROOM: u64 = 128 << 17;

/// A `go tool trace`.
struct Judge {
    version: &'static str,
    tool: PathBuf,
}

impl Judge {
    /// The judges that this machine has.
    fn all() -> Vec<Judge> {
        let strict = strict();
        let find = |version| match Judge::find(version) {
            Ok(tool) => Some(Judge { version, tool }),
            Err(why) => {
                assert!(!strict, "{why}");
                println!("skipped: {why}");
                None
            }
        };
        VERSIONS.into_iter().filter_map(find).collect()
    }

    fn find(version: &str) -> Result<PathBuf, String> {
        let said = Command::new(root().join("tests/go/setup-go.sh"))
            .args(["--find", version])
            .env_remove("GO")
            .output()
            .map_err(|e| format!("tests/go/setup-go.sh cannot be started: {e}"))?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
        }
        // New toolchains build this tool when it is asked for, which takes a while.
        let script = String::from_utf8_lossy(&said.stdout) + "exec \"$GO\" tool -n trace";
        let said = Command::new("sh")
            .args(["-c", &*script])
            .output()
            .map_err(|e| format!("sh cannot be started: {e}"))?;
        match said.status.success() {
            true => Ok(String::from_utf8_lossy(&said.stdout).trim().into()),
            false => Err(format!(
                "go {version} has no `go tool trace`: {}",
                String::from_utf8_lossy(&said.stderr).trim()
            )),
        }
    }

    /// What Go says of the trace, one event a line and more.
    fn read(&self, file: &Path) -> Result<String, String> {
        // The first Go that knew the form knew only one way to print it.
        let form = if self.version < "1.23" {
            "-d=1"
        } else {
            "-d=parsed"
        };
        let said = Command::new(&self.tool)
            .arg(form)
            .arg(file)
            .stdin(Stdio::null())
            .output()
            .expect("Go's tool can be started");
        match said.status.success() {
            true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
        }
    }
}

/// What must be the same in both forms: how often these things happened.
#[derive(PartialEq, Eq, Debug)]
struct Counts {
    made: usize,
    ended: usize,
    blocked: usize,
    preempted: usize,
    yielded: usize,
    calls: usize,
    requests: usize,
    refusals: usize,
}

impl Counts {
    fn of_ours(trace: &Trace) -> Counts {
        Counts {
            made: trace.count("GoCreate"),
            ended: trace.count("GoEnd"),
            blocked: trace.count("GoBlock"),
            preempted: trace.count("GoPreempt"),
            yielded: trace.count("GoSched"),
            calls: trace.count("GoSysCall"),
            requests: trace.find("Preempt").filter(|&i| logs(trace, i)).count(),
            refusals: trace.count("PollHit"),
        }
    }

    fn of_go_s(parsed: &str) -> Counts {
        let count = |words: &[&str]| {
            let has = |line: &&str| words.iter().all(|word| line.contains(word));
            parsed.lines().filter(has).count()
        };
        Counts {
            made: count(&["GoID=", "NotExist->Runnable"]),
            ended: count(&["GoID=", "Running->NotExist"]),
            blocked: count(&["GoID=", "Running->Waiting"]),
            preempted: count(&["Reason=\"preempted\""]),
            yielded: count(&["Reason=\"runtime.Gosched\""]),
            calls: count(&["GoID=", "Running->Syscall"]),
            requests: count(&["Category=\"preempt\"", " Preempt p"]),
            refusals: count(&["Category=\"preempt\"", " PollHit "]),
        }
    }
}

/// Whether the goroutine that request `i` is about runs at that time or later. In Go's form the
/// request stands in its log, and who does not run writes none.
fn logs(trace: &Trace, i: usize) -> bool {
    let g = trace.events[i].target();
    let of_g = |e: &Event| e.g == g || (e.name == "GoStart" && e.target() == g);
    let last = trace.events.iter().rposition(of_g);
    let leaves = |e: &Event| e.ends_slice() || e.name == "GoSysCall";
    last.is_some_and(|last| last > i || !leaves(&trace.events[last]))
}

/// Requests of a free run that came in the same microsecond as the goroutine's last event, or
/// were written down on the other side of it: our text does not say which was first. And those
/// after main's end, or the last few if the program was ended by `exit`, whose moment is no event:
/// sysmon goes on while the trace is written, and the mapping still takes what the trace leaves
/// out.
fn unsure(trace: &Trace) -> usize {
    let near = |&i: &usize| {
        let (g, us) = (trace.events[i].target(), trace.events[i].us);
        let of_g = |e: &&Event| e.g == g || (e.name == "GoStart" && e.target() == g);
        let last = trace.events.iter().filter(of_g).map(|e| e.us).max();
        last.is_some_and(|last| last.abs_diff(us) <= 1)
    };
    let crossed = |&i: &usize| {
        let (g, us) = (trace.events[i].target(), trace.events[i].us);
        let of_g = |e: &Event| e.g == g || (e.name == "GoStart" && e.target() == g);
        let last = trace.events.iter().rposition(of_g);
        last.is_some_and(|last| (last > i) != (trace.events[last].us > us))
    };
    let main_s_end = trace
        .find("GoEnd")
        .find(|&end| trace.events[end].g == Some(1));
    // sysmon asks every 10 ms, and a busy machine may take several times as long for the writing.
    const AT_THE_END: usize = 5;
    let last = trace.events.len().saturating_sub(AT_THE_END);
    let late = |&i: &usize| i >= main_s_end.unwrap_or(last);
    trace
        .find("Preempt")
        .filter(|i| near(i) || crossed(i) || late(i))
        .count()
}

/// Runs the example and returns its trace in Go's form, as a file, and as we read it.
fn traced(stage: &str, name: &str, procs: &str, seed: &str, dir: &Path) -> (PathBuf, Trace) {
    let (file, map) = (dir.join("x.trace"), dir.join("map"));
    // Both forms must be of the same run. This one is a file of records: a number and a line.
    let text = std::fs::File::create(&map).expect("a file");
    text.set_len(ROOM).expect("room for the text form");
    let [shown, shown_map] = [&file, &map].map(|path| path.display().to_string());
    let switches = [
        ("GOMAXPROCS", procs),
        ("SAFEPOINT_SEED", seed),
        ("SAFEPOINT_TRACE", &*shown),
        ("SAFEPOINT_TRACE_MAP", &*shown_map),
    ];
    let ended = run(&mut Command::new(example(stage, name)), &switches, LIMIT);
    let exit = Some(about(stage, name).exit);
    assert_eq!(
        ended.code, exit,
        "{name} on {procs} Ps, seed {seed:?}: {ended:#?}"
    );
    let bytes = std::fs::read(&map).expect("the text form");
    let lines = bytes.chunks_exact(128).map_while(|record| {
        let line = std::str::from_utf8(&record[8..])
            .ok()?
            .trim_end_matches('\0');
        (!line.is_empty()).then_some(line)
    });
    let lines: Vec<&str> = lines.collect();
    assert!(
        lines.len() < bytes.len() / 128,
        "{name} has more events than room"
    );
    (file, tests::parse(&lines.join("\n")))
}

#[test]
fn go_reads_every_example_and_finds_what_we_say() {
    let judges = Judge::all();
    if judges.is_empty() {
        return;
    }
    let dir = fresh_folder("safepoint-gotrace-").expect("a folder");
    let mut read = 0;
    let (procs, seeds): (&[&str], &[&str]) = match strict() {
        true => (&PROCS, &["1", "2", ""]),
        false => (&PROCS[1..2], &["1", ""]),
    };
    for stage in STAGES {
        for name in examples(stage) {
            for procs in procs {
                for seed in seeds {
                    let about = about(stage, &name);
                    if !about.traced || !seed.is_empty() && !about.replays {
                        continue;
                    }
                    let (file, ours) = traced(stage, &name, procs, seed, &dir);
                    let unsure = if seed.is_empty() { unsure(&ours) } else { 0 };
                    let ours = Counts::of_ours(&ours);
                    for judge in &judges {
                        let what = format!("{stage} {name}, {procs} Ps, seed {seed:?}");
                        let parsed = judge
                            .read(&file)
                            .unwrap_or_else(|e| panic!("Go {} refuses {what}: {e}", judge.version));
                        let mut go_s = Counts::of_go_s(&parsed);
                        if go_s.requests.abs_diff(ours.requests) <= unsure {
                            go_s.requests = ours.requests;
                        }
                        // So is what such a request leads to, on the other M.
                        if go_s.preempted.abs_diff(ours.preempted) <= unsure {
                            go_s.preempted = ours.preempted;
                        }
                        assert_eq!(go_s, ours, "Go {}, {what}", judge.version);
                        read += 1;
                    }
                }
            }
        }
    }
    println!("Go has read {read} traces");
    let _ = std::fs::remove_dir_all(&dir);
}

/// A judge who accepts everything is none.
#[test]
fn go_refuses_what_cannot_have_happened() {
    let judges = Judge::all();
    let dir = fresh_folder("safepoint-gotrace-").expect("a folder");
    let (file, _) = traced("stage2-sysmon", "blocking_call", "1", "1", &dir);
    let good = std::fs::read(&file).expect("a trace");
    let bad = dir.join("bad.trace");
    let cases = [
        // Sysmon's batch is missing, so nobody took the P out of the call.
        ("steal", without_batch_of(&good, 1)),
        // The names are there, and what they did is not.
        ("all", without_batch_of(&good, 0)),
        ("half", good[..good.len() / 2].to_vec()),
    ];
    for judge in &judges {
        assert!(judge.read(&file).is_ok(), "Go {}", judge.version);
        for (what, bytes) in &cases {
            std::fs::write(&bad, bytes).expect("a file");
            let result = judge.read(&bad);
            assert!(result.is_err(), "Go {} accepts {what}", judge.version);
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}

/// The trace without what happened on this M.
fn without_batch_of(trace: &[u8], m: u64) -> Vec<u8> {
    let (mut out, mut rest) = (trace[..16].to_vec(), &trace[16..]);
    while !rest.is_empty() {
        // 1, the generation, the M, the time, the length, all as varints; and the bytes.
        let mut at = 0;
        let mut number = || {
            let begin = at;
            at += rest[begin..]
                .iter()
                .position(|b| b & 0x80 == 0)
                .expect("an end")
                + 1;
            let digits = rest[begin..at].iter().rev();
            digits.fold(0_u64, |n, b| n << 7 | u64::from(b & 0x7f))
        };
        let numbers = [(); 5].map(|()| number());
        let (batch, next) = rest.split_at(at + numbers[4] as usize);
        if numbers[2] != m {
            out.extend(batch);
        }
        rest = next;
    }
    assert!(out.len() < trace.len(), "m{m} has no batch");
    out
}

/// Go reads what was written in pieces while the program ran, and a trace that ran full.
#[test]
fn go_reads_long_traces() {
    let judges = Judge::all();
    let dir = fresh_folder("safepoint-gotrace-").expect("a folder");
    let file = dir.join("long.trace");
    let shown = file.display().to_string();
    let cases: &[(&[&str], &str)] = match strict() {
        true => &[(&["pairs", "20000"], "1"), (&["yields", "400000"], "0")],
        false => &[(&["pairs", "3000"], "1")],
    };
    for (words, streams) in cases {
        let switches = [
            ("SAFEPOINT_TRACE", &*shown),
            ("SAFEPOINT_TRACE_STREAM", streams),
        ];
        let mut program = Command::new(env!("CARGO_BIN_EXE_scenario"));
        let ended = run(program.args(*words), &switches, LIMIT);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:#?}");
        for judge in &judges {
            let parsed = judge.read(&file);
            let parsed =
                parsed.unwrap_or_else(|e| panic!("Go {} refuses {words:?}: {e}", judge.version));
            let made = Counts::of_go_s(&parsed).made;
            assert_eq!(made, if words[0] == "pairs" { 5 } else { 3 }, "{words:?}");
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
}
