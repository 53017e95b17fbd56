//! Snapshots of schedules, in three lines: run a scenario in lockstep, check the invariants
//! of its trace, and get a text that is the same on every machine.
//!
//! ```ignore
//! #[test]
//! fn two_hogs_take_turns() {
//!     let trace = trace_of_example("two_hogs").procs(2).text();
//!     insta::assert_snapshot!(trace);
//! }
//! ```
//!
//! A scenario is an example ([`trace_of_example`]), any program ([`trace_of_program`]), or a
//! closure that runs as `main` ([`trace_of`]). What comes back is the full text
//! ([`TraceOf::text`]), one line of slices for each P ([`TraceOf::strip`]), or the chosen
//! events without their times ([`TraceOf::only`]). A trace that depends on what the
//! compiler made of the program is refused, with the ways out; only chosen events may be
//! had of it.
//!
//! One runtime per process, so a closure runs in a process of its own too: the test starts
//! its own program again, with itself as the only test, and the child runs the closure
//! where it comes to the same call. So a test should ask for its traces before it does
//! anything slow, and must reach the same calls in the same order each time. This works
//! under the ordinary test harness; elsewhere use [`trace_of_program`].

use crate::trace::Trace;
use crate::{LIMIT, example, fresh_folder, run};
use serde_json::{Value, json};
use stage1_coop::{Runtime, Stage, ThirdParty};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// Where a child finds which call it is meant for, and the results of earlier ones.
const TARGET: &str = "SAFEPOINT_TRACE_OF";
const RESULTS: &str = "SAFEPOINT_TRACE_OF_RESULTS";
/// The child prints it where the scenario's own output begins.
const BEGIN: &str = "-- the scenario begins here --";

enum What {
    Closure {
        main: Box<dyn FnOnce() + Send>,
        test: String,
    },
    Example(String),
    Program(PathBuf, Vec<String>),
}

/// A scenario whose trace is wanted: see the module.
#[must_use = "ask for its text, its strip or some events"]
pub struct TraceOf {
    what: What,
    stage: &'static Stage,
    third_party: Option<fn(&mut ThirdParty)>,
    procs: usize,
    seed: u64,
    name: Option<String>,
    may_die: bool,
    at: &'static Location<'static>,
}

/// The exit status of last words.
const DIED: i32 = 2;

/// What a scenario did.
struct Done {
    code: i32,
    output: String,
    errors: String,
    trace: String,
}

/// The trace of a closure, which runs as `main` of a fresh runtime.
///
/// The contract of [`Runtime::run`] holds for it: nothing that belongs to a thread is kept
/// across a yield.
#[track_caller]
pub fn trace_of<F: FnOnce() + Send + 'static>(main: F) -> TraceOf {
    let thread = std::thread::current();
    // The harness names its threads by their tests. With one thread it uses its own, and
    // then the closure's type says where it stands: crate::module::test::{{closure}}.
    let test = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => {
            let path = std::any::type_name::<F>();
            let path = path.split_once("::").map_or(path, |(_, rest)| rest);
            path.split("::{{").next().unwrap_or(path).to_owned()
        }
    };
    let main = Box::new(main);
    new(What::Closure { main, test }, Location::caller())
}

/// The trace of an example of the stage.
#[track_caller]
pub fn trace_of_example(name: &str) -> TraceOf {
    new(What::Example(name.to_owned()), Location::caller())
}

/// The trace of any program that runs one of our runtimes.
#[track_caller]
pub fn trace_of_program(program: impl Into<PathBuf>, arguments: &[&str]) -> TraceOf {
    let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
    new(What::Program(program.into(), arguments), Location::caller())
}

fn new(what: What, at: &'static Location<'static>) -> TraceOf {
    TraceOf {
        what,
        stage: &stage1_coop::STAGE,
        third_party: None,
        procs: 1,
        seed: 1,
        name: None,
        may_die: false,
        at,
    }
}

impl TraceOf {
    /// The stage that a closure runs on, or that an example belongs to. Without this: stage 1.
    pub fn stage(mut self, stage: &'static Stage) -> TraceOf {
        self.stage = stage;
        self
    }

    /// Who sits beside a closure's goroutines, on a thread without a P.
    pub fn third_party(mut self, f: fn(&mut ThirdParty)) -> TraceOf {
        self.third_party = Some(f);
        self
    }

    /// The number of Ps. Without this: one.
    pub fn procs(mut self, procs: usize) -> TraceOf {
        self.procs = procs;
        self
    }

    /// The seed. Without this: 1.
    pub fn seed(mut self, seed: u64) -> TraceOf {
        self.seed = seed;
        self
    }

    /// What the head of a closure's trace calls it. Without this: the test's name.
    pub fn name(mut self, name: &str) -> TraceOf {
        self.name = Some(name.to_owned());
        self
    }

    /// The scenario may end with last words and exit status 2, as a deadlock does.
    pub fn may_die(mut self) -> TraceOf {
        self.may_die = true;
        self
    }

    /// Everything: exit status, output, what went to stderr if anything did, and the whole
    /// trace. Of last words it holds the headers: what stands in frames depends on the
    /// build.
    ///
    /// # Panics
    /// If the scenario does not end well, if an invariant of the trace does not hold, or if
    /// the trace depends on the compiler.
    #[track_caller]
    pub fn text(self) -> String {
        let (done, trace) = self.checked();
        refuse_what_depends_on_the_compiler(&trace);
        let errors = match done.errors.as_str() {
            "" => String::new(),
            dump if done.code == DIED => format!("--- last words\n{}", headers(dump)),
            errors => format!("--- stderr\n{errors}"),
        };
        format!(
            "exit {}\n--- output\n{}{errors}--- trace\n{}",
            done.code, done.output, done.trace
        )
    }

    /// What each P ran: see [`Trace::strip`].
    ///
    /// # Panics
    /// As [`text`](TraceOf::text).
    #[track_caller]
    pub fn strip(self) -> String {
        let (_, trace) = self.checked();
        refuse_what_depends_on_the_compiler(&trace);
        trace.strip()
    }

    /// The events with these names, without times. This is for scenarios that depend on
    /// the compiler too, if these events do not.
    ///
    /// # Panics
    /// If the scenario does not end well, or an invariant of the trace does not hold.
    #[track_caller]
    pub fn only(self, names: &[&str]) -> String {
        self.checked().1.only(names)
    }

    /// The trace itself, for a test that asks questions of its own.
    ///
    /// # Panics
    /// If the scenario does not end well, or an invariant of the trace does not hold.
    #[track_caller]
    pub fn trace(self) -> Trace {
        self.checked().1
    }

    /// The exit status and the trace, for a test that looks after the invariants by itself.
    ///
    /// # Errors
    /// What a panic would say if the scenario does not end well.
    #[track_caller]
    pub fn try_trace(self) -> Result<(i32, Trace), String> {
        let done = self.done()?;
        Ok((done.code, Trace::parse(&done.trace)))
    }

    #[track_caller]
    fn checked(self) -> (Done, Trace) {
        // Of a program with the stage's own rows more can be said.
        let example = matches!(self.what, What::Example(_));
        let done = self.done().unwrap_or_else(|what| panic!("{what}"));
        let trace = Trace::parse(&done.trace);
        let mut result = trace.check_run();
        if example {
            result = result.and_then(|()| trace.check_waits());
        }
        if let Err(broken) = result {
            panic!("the trace breaks an invariant: {broken}\n{}", done.trace);
        }
        (done, trace)
    }

    #[track_caller]
    fn done(self) -> Result<Done, String> {
        let TraceOf {
            what,
            stage,
            third_party,
            procs,
            seed,
            name,
            may_die,
            at,
        } = self;
        let codes: &[i32] = if may_die { &[0, DIED] } else { &[0] };
        let switches = [
            ("GOMAXPROCS", procs.to_string()),
            ("SAFEPOINT_SEED", seed.to_string()),
        ];
        match what {
            What::Example(name) => {
                let mut command = Command::new(example(stage.name, &name));
                execute(&mut command, &switches, &name, codes)
            }
            What::Program(program, arguments) => {
                let shown = program.display().to_string();
                execute(
                    Command::new(program).args(arguments),
                    &switches,
                    &shown,
                    codes,
                )
            }
            What::Closure { main, test } => {
                let call = this_call(&test, at);
                if std::env::var(TARGET).is_ok_and(|target| target == call) {
                    println!("\n{BEGIN}");
                    let mut runtime = Runtime::new(stage).procs(procs);
                    if let Some(f) = third_party {
                        runtime = runtime.third_party(f);
                    }
                    // SAFETY: `trace_of` hands this contract on to whoever wrote the
                    // closure.
                    unsafe { runtime.run(main) };
                    std::process::exit(0);
                }
                let results = results();
                let file = results.join(file_name(&call));
                if let Some(done) = load(&file) {
                    return Ok(done);
                }
                let name = name.unwrap_or_else(|| test.clone());
                let mut command =
                    Command::new(std::env::current_exe().expect("a test knows its own program"));
                command
                    .args(["--exact", &test, "--include-ignored"])
                    .args(["--nocapture", "--test-threads=1"])
                    .env(TARGET, &call)
                    .env(RESULTS, &results);
                let mut done = execute(&mut command, &switches, &name, codes)?;
                let Some((_, output)) = done.output.split_once(&format!("{BEGIN}\n")) else {
                    panic!(
                        "the test `{test}` started itself again and did not come to this call ({at}); call trace_of in the test itself, and on every way through it"
                    );
                };
                done.output = output.to_owned();
                done.trace = with_own_head(&done.trace, stage.name, &name);
                save(&file, &done);
                Ok(done)
            }
        }
    }
}

#[track_caller]
fn refuse_what_depends_on_the_compiler(trace: &Trace) {
    assert!(
        trace.portable(),
        "this trace depends on what the compiler made of the program, so it is no snapshot: {}\nways out: let time pass in spin(n) or with_frame; put a check into the loop (#[gofunc], prologue!()); or snapshot chosen events only, with .only(&[..])",
        trace.head.first().map_or("it has no head", String::as_str)
    );
}

/// Runs `command` in lockstep with its trace in a file.
#[track_caller]
fn execute(
    command: &mut Command,
    switches: &[(&str, String)],
    name: &str,
    codes: &[i32],
) -> Result<Done, String> {
    let dir = fresh_folder("safepoint-trace-").expect("a folder for the trace");
    let file = dir.join("trace.txt");
    let shown = file.display().to_string();
    let mut env: Vec<(&str, &str)> = switches.iter().map(|(k, v)| (*k, v.as_str())).collect();
    env.push(("SAFEPOINT_TRACE", &shown));
    let ended = run(command, &env, LIMIT);
    let (trace, why) = match std::fs::read_to_string(&file) {
        Ok(trace) => (trace, String::new()),
        Err(error) => (String::new(), format!(" ({error})")),
    };
    let _ = std::fs::remove_dir_all(&dir);
    if ended.timed_out {
        return Err(format!("{name} did not end within {LIMIT:?}"));
    }
    let code = ended.code.filter(|code| codes.contains(code));
    let Some(code) = code.filter(|_| !trace.is_empty()) else {
        return Err(format!(
            "{name} did not end well: {}{}{why}\n{}{}",
            match (ended.code, ended.signal) {
                (Some(code), _) => format!("status {code}"),
                (_, signal) => format!("signal {}", signal.unwrap_or(0)),
            },
            if trace.is_empty() {
                ", and left no trace"
            } else {
                ""
            },
            ended.stderr,
            ended.stdout,
        ));
    };
    Ok(Done {
        code,
        output: ended.stdout,
        errors: ended.stderr,
        trace,
    })
}

/// The lines of a dump that do not depend on the build: no frames, no places.
fn headers(dump: &str) -> String {
    let stable = |l: &&str| {
        ["fatal error: ", "goroutine ", "created by "]
            .iter()
            .any(|begin| l.starts_with(begin))
    };
    dump.lines()
        .filter(stable)
        .map(|l| format!("{l}\n"))
        .collect()
}

/// The trace of a closure without what only this program's file has: its name and how to
/// start it.
fn with_own_head(trace: &str, stage: &str, name: &str) -> String {
    let mut out = String::new();
    for (i, line) in trace.lines().enumerate() {
        if i == 0 {
            let rest = line.find("  procs=").map_or("", |at| &line[at..]);
            let _ = writeln!(out, "# safepoint trace v1  {stage} {name}{rest}");
        } else if !line.starts_with("# replay:") {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

/// Which call of `trace_of` this is: by test, place and how often the test has been there.
fn this_call(test: &str, at: &Location<'_>) -> String {
    static CALLS: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
    let place = format!("{test} {at}");
    let mut calls = CALLS.lock().unwrap_or_else(|e| e.into_inner());
    let n = calls.entry(place.clone()).or_insert(0);
    *n += 1;
    format!("{place} {n}")
}

/// Where results of earlier calls lie, for the children that pass the same calls.
fn results() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| match std::env::var_os(RESULTS) {
        Some(dir) => PathBuf::from(dir),
        None => fresh_folder("safepoint-traces-").expect("a folder for results"),
    })
    .clone()
}

fn file_name(call: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    call.hash(&mut hasher);
    format!("{:016x}.json", hasher.finish())
}

fn load(file: &Path) -> Option<Done> {
    // Only a child looks: its results are its parent's.
    std::env::var_os(TARGET)?;
    let value: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Some(Done {
        code: i32::try_from(value["code"].as_i64()?).ok()?,
        output: text("output")?,
        errors: text("errors")?,
        trace: text("trace")?,
    })
}

fn save(file: &Path, done: &Done) {
    let value = json!({"code": done.code, "output": done.output, "errors": done.errors, "trace": done.trace});
    let _ = std::fs::write(file, value.to_string());
}
