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

use crate::{LIMIT, example, run};
use serde_json::{Value, json};
use stage1_coop::{Runtime, Stage, ThirdParty};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since the trace began.
    pub us: u64,
    /// The thread on which it happened.
    pub m: u32,
    /// The P that the thread held.
    pub p: Option<u32>,
    /// The goroutine that ran there *before* the event.
    pub g: Option<u32>,
    /// Its name, for example `GoStart`.
    pub name: String,
    /// The words after the name, without the number of the request.
    pub args: Vec<String>,
    /// The number that joins a request to its outcome.
    pub flow: Option<u32>,
    /// The line as it stands in the text.
    pub line: String,
}

impl Event {
    /// The goroutine that the event is about: `GoStart g2`, or the 3 of `Preempt p0/g3`.
    pub fn target(&self) -> Option<u32> {
        let word = self.args.first()?;
        id(word.rsplit('/').next()?, 'g')
    }

    /// Whether it is a `name` about goroutine `g`.
    pub fn is(&self, name: &str, g: u32) -> bool {
        self.name == name && self.target() == Some(g)
    }

    /// Whether the goroutine that ran comes off its processor here.
    pub fn ends_slice(&self) -> bool {
        matches!(
            self.name.as_str(),
            "GoEnd" | "GoSched" | "GoPreempt" | "GoBlock"
        ) || (self.name == "GoSysExit" && !self.args.is_empty())
    }

    /// The event without its time.
    pub fn timeless(&self) -> String {
        let column = |letter, n: Option<u32>| n.map_or("--".into(), |n| format!("{letter}{n}"));
        let flow = self.flow.map_or(String::new(), |n| format!(" #{n}"));
        format!(
            "m{:<2} {:<3} {:<4} {:<12} {}{flow}",
            self.m,
            column('p', self.p),
            column('g', self.g),
            self.name,
            self.args.join(" "),
        )
        .trim_end()
        .to_owned()
    }
}

/// A trace, read from its text form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The lines in front of the events, with their `#`.
    pub head: Vec<String>,
    /// The events, in the order of the text.
    pub events: Vec<Event>,
    /// The lines behind them, with their `#`.
    pub totals: Vec<String>,
}

/// An invariant that a trace breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Number of the event, from 0.
    pub event: usize,
    /// What does not hold.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event + 1, self.what)
    }
}

impl Trace {
    /// Reads the text form. Lines that are neither events nor comments are passed over: a
    /// trace that was cut off in the middle of a line can still be read.
    pub fn parse(text: &str) -> Trace {
        let mut trace = Trace::default();
        for line in text.lines() {
            if line.starts_with('#') {
                if trace.events.is_empty() {
                    trace.head.push(line.to_owned());
                } else {
                    trace.totals.push(line.to_owned());
                }
            } else if let Some(event) = event(line) {
                trace.events.push(event);
            }
        }
        trace
    }

    /// The value of `key=value` in the first line, for example of `procs`.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.head
            .first()?
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether every machine and compiler gives the same bytes.
    pub fn portable(&self) -> bool {
        self.header("portable") == Some("yes")
    }

    /// The numbers of the events with this name.
    pub fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        (0..self.events.len()).filter(move |&i| self.events[i].name == name)
    }

    /// How many events have this name.
    pub fn count(&self, name: &str) -> usize {
        self.find(name).count()
    }

    /// The first event after `from` (not counting it) for which `f` holds.
    pub fn after(&self, from: usize, f: impl Fn(&Event) -> bool) -> Option<usize> {
        (from + 1..self.events.len()).find(|&i| f(&self.events[i]))
    }

    /// The number of the goroutine that was made with this name, the first of them.
    pub fn goroutine(&self, name: &str) -> Option<u32> {
        self.events
            .iter()
            .find(|e| e.name == "GoCreate" && e.args.get(1).is_some_and(|n| n == name))
            .and_then(Event::target)
    }

    /// The events with these names, without times, one a line. No names: all of them.
    pub fn only(&self, names: &[&str]) -> String {
        let mut out = String::new();
        for e in &self.events {
            if names.is_empty() || names.contains(&e.name.as_str()) {
                let _ = writeln!(out, "{}", e.timeless());
            }
        }
        out
    }

    /// What each P ran, one line for each: goroutines in order, each with how its slice
    /// ended.
    pub fn strip(&self) -> String {
        let mut rows: BTreeMap<u32, String> = BTreeMap::new();
        // On each M: who runs, and on which P.
        let mut running: HashMap<u32, (u32, u32)> = HashMap::new();
        for e in &self.events {
            if let (Some(p), true) = (e.p, e.name == "ProcStart") {
                rows.entry(p).or_default();
            }
            match (e.name.as_str(), e.target(), e.p) {
                ("GoStart", Some(g), Some(p)) => {
                    running.insert(e.m, (g, p));
                }
                _ if e.ends_slice() => {
                    if let Some((g, p)) = running.remove(&e.m) {
                        let mark = match e.name.as_str() {
                            "GoEnd" => '.',
                            "GoSched" => '~',
                            "GoPreempt" => '!',
                            _ => '-',
                        };
                        let _ = write!(rows.entry(p).or_default(), " g{g}{mark}");
                    }
                }
                _ => {}
            }
        }
        for (g, p) in running.into_values() {
            let _ = write!(rows.entry(p).or_default(), " g{g}>");
        }
        let mut out = String::from(
            "# .  has finished   ~  let others run   !  was asked and yielded   -  waits   >  still runs\n",
        );
        for (p, row) in rows {
            let _ = writeln!(out, "p{p} |{row}");
        }
        out
    }

    /// The invariants of every trace: time goes on, a P belongs to one M, a goroutine runs
    /// in one place, starts only when it can run, wakes only when it waits, and every
    /// outcome has its request.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        #[derive(Clone, Copy, PartialEq)]
        enum G {
            Runnable,
            Running(u32),
            Waiting(u32),
            Dead,
        }
        let mut clock: HashMap<u32, u64> = HashMap::new();
        let mut holder: HashMap<u32, u32> = HashMap::new();
        let mut gs: HashMap<u32, G> = HashMap::new();
        let mut asked: HashMap<u32, u32> = HashMap::new();
        // Woken before the line that puts it to sleep, which comes at once.
        let mut woken: HashMap<u32, u32> = HashMap::new();
        let soon = |i: usize, f: &dyn Fn(&Event) -> bool| {
            let latest = self.events[i].us + SKEW_US;
            let mut next = self.events[i + 1..].iter();
            next.by_ref().take_while(|e| e.us <= latest).any(f)
        };
        for (i, e) in self.events.iter().enumerate() {
            let broken = |what: String| Err(Broken { event: i, what });
            let last = clock.entry(e.m).or_insert(0);
            if e.us < *last {
                return broken(format!("the clock of m{} goes back", e.m));
            }
            *last = e.us;
            let named = e.args.first().and_then(|word| id(word, 'p'));
            match (e.name.as_str(), named) {
                ("ProcStart", Some(p)) => {
                    if let Some(other) = holder.insert(p, e.m)
                        && !soon(i, &|e| e.m == other && e.name == "ProcStop")
                    {
                        return broken(format!("p{p} belongs to m{other} already"));
                    }
                }
                ("ProcStop", Some(p)) => {
                    if holder.get(&p) == Some(&e.m) {
                        holder.remove(&p);
                    } else if !holder.contains_key(&p) {
                        return broken(format!("m{} gives p{p} up and does not hold it", e.m));
                    }
                }
                ("ProcSteal", Some(p)) => {
                    let from = e.args.get(1).and_then(|word| id(word, 'm'));
                    if holder.remove(&p) != from {
                        return broken(format!("p{p} is taken from an M that does not hold it"));
                    }
                    // An M that is back from a call takes it for itself.
                    if e.p == Some(p) {
                        holder.insert(p, e.m);
                    }
                }
                _ => {
                    if let Some(p) = e.p
                        && holder.get(&p) != Some(&e.m)
                    {
                        return broken(format!("m{} works with p{p} and does not hold it", e.m));
                    }
                }
            }
            if e.ends_slice() {
                let Some(g) = e.g else {
                    return broken(format!("{} of nobody", e.name));
                };
                if gs.get(&g) != Some(&G::Running(e.m)) {
                    return broken(format!("{} of g{g}, which does not run here", e.name));
                }
                gs.insert(
                    g,
                    match e.name.as_str() {
                        "GoEnd" => G::Dead,
                        "GoBlock" if woken.remove(&g).is_none() => G::Waiting(e.m),
                        _ => G::Runnable,
                    },
                );
            }
            match (e.name.as_str(), e.target()) {
                ("GoCreate", Some(g)) if gs.insert(g, G::Runnable).is_some() => {
                    return broken(format!("g{g} is made twice"));
                }
                ("GoStart", Some(g)) => {
                    match gs.insert(g, G::Running(e.m)) {
                        // It went to sleep, and found at the last moment that it need not.
                        Some(G::Waiting(m)) if m == e.m && e.args.len() > 1 => {}
                        Some(G::Runnable) => {}
                        Some(G::Running(m)) => {
                            return broken(format!("g{g} starts while it runs on m{m}"));
                        }
                        Some(G::Waiting(_)) => {
                            return broken(format!("g{g} starts while it waits"));
                        }
                        Some(G::Dead) => return broken(format!("g{g} starts after its end")),
                        None => return broken(format!("g{g} starts and was never made")),
                    }
                    if e.p.is_none() {
                        return broken(format!("g{g} starts on an M without a P"));
                    }
                }
                ("GoUnblock", Some(g)) => {
                    if matches!(gs.get(&g), Some(G::Waiting(_))) {
                        gs.insert(g, G::Runnable);
                    } else if soon(i, &|e| e.g == Some(g) && e.name == "GoBlock") {
                        woken.insert(g, e.m);
                    } else {
                        return broken(format!("g{g} is woken and does not wait"));
                    }
                }
                ("Preempt", Some(g)) => {
                    asked.insert(e.flow.unwrap_or(0), g);
                }
                _ => {}
            }
            if let (Some(flow), "GoPreempt" | "PollHit") = (e.flow, e.name.as_str())
                && !asked.contains_key(&flow)
            {
                return broken(format!("the outcome of request #{flow}, which nobody made"));
            }
        }
        Ok(())
    }
}

/// The clocks of two Ms may be this far apart in the order of lines: a goroutine is written
/// down where its waker looks before the event that says so, under a lock.
const SKEW_US: u64 = 20;

fn event(line: &str) -> Option<Event> {
    let mut words = line.split_whitespace();
    let ms: f64 = words.next()?.parse().ok()?;
    if !(ms.is_finite() && (0.0..1e9).contains(&ms)) {
        return None;
    }
    let m = id(words.next()?, 'm')?;
    let p = column(words.next()?, 'p')?;
    let g = column(words.next()?, 'g')?;
    let name = words.next()?.to_owned();
    let mut args: Vec<String> = words.map(str::to_owned).collect();
    let flow = args
        .last()
        .and_then(|word| word.strip_prefix('#'))
        .and_then(|n| n.parse().ok());
    if flow.is_some() {
        args.pop();
    }
    Some(Event {
        us: (ms * 1000.0).round() as u64,
        m,
        p,
        g,
        name,
        args,
        flow,
        line: line.to_owned(),
    })
}

/// `--` is none; anything that is neither that nor a number makes the line no event.
fn column(word: &str, letter: char) -> Option<Option<u32>> {
    if word == "--" {
        Some(None)
    } else {
        id(word, letter).map(Some)
    }
}

fn id(word: &str, letter: char) -> Option<u32> {
    word.strip_prefix(letter)?.parse().ok()
}

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
    at: &'static Location<'static>,
}

/// What a scenario did.
struct Done {
    code: i32,
    output: String,
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

    /// Everything: exit status, output, and the whole trace.
    ///
    /// # Panics
    /// If the scenario does not end well, if an invariant of the trace does not hold, or if
    /// the trace depends on the compiler.
    #[track_caller]
    pub fn text(self) -> String {
        let (done, trace) = self.checked();
        refuse_what_depends_on_the_compiler(&trace);
        format!(
            "exit {}\n--- output\n{}--- trace\n{}",
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

    #[track_caller]
    fn checked(self) -> (Done, Trace) {
        let done = self.done();
        let trace = Trace::parse(&done.trace);
        if let Err(broken) = trace.check() {
            panic!("the trace breaks an invariant: {broken}\n{}", done.trace);
        }
        (done, trace)
    }

    #[track_caller]
    fn done(self) -> Done {
        let TraceOf {
            what,
            stage,
            third_party,
            procs,
            seed,
            name,
            at,
        } = self;
        let switches = [
            ("GOMAXPROCS", procs.to_string()),
            ("SAFEPOINT_SEED", seed.to_string()),
        ];
        match what {
            What::Example(name) => {
                let mut command = Command::new(example(stage.name, &name));
                execute(&mut command, &switches, &name)
            }
            What::Program(program, arguments) => {
                let shown = program.display().to_string();
                execute(Command::new(program).args(arguments), &switches, &shown)
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
                    return done;
                }
                let name = name.unwrap_or_else(|| test.clone());
                let mut command =
                    Command::new(std::env::current_exe().expect("a test knows its own program"));
                command
                    .args(["--exact", &test, "--include-ignored"])
                    .args(["--nocapture", "--test-threads=1"])
                    .env(TARGET, &call)
                    .env(RESULTS, &results);
                let mut done = execute(&mut command, &switches, &name);
                let Some((_, output)) = done.output.split_once(&format!("{BEGIN}\n")) else {
                    panic!(
                        "the test `{test}` started itself again and did not come to this call ({at}); call trace_of in the test itself, and on every way through it"
                    );
                };
                done.output = output.to_owned();
                done.trace = with_own_head(&done.trace, stage.name, &name);
                save(&file, &done);
                done
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
fn execute(command: &mut Command, switches: &[(&str, String)], name: &str) -> Done {
    let dir = fresh_dir();
    let file = dir.join("trace.txt");
    let shown = file.display().to_string();
    let mut env: Vec<(&str, &str)> = switches.iter().map(|(k, v)| (*k, v.as_str())).collect();
    env.push(("SAFEPOINT_TRACE", &shown));
    let ended = run(command, &env, LIMIT);
    let trace = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&dir);
    assert!(!ended.timed_out, "{name} did not end within {LIMIT:?}");
    assert!(
        ended.code == Some(0) && !trace.is_empty(),
        "{name} did not end well: {}\n{}{}",
        match (ended.code, ended.signal) {
            (Some(code), _) => format!("status {code}"),
            (_, signal) => format!("signal {}", signal.unwrap_or(0)),
        },
        ended.stderr,
        ended.stdout,
    );
    Done {
        code: 0,
        output: ended.stdout,
        trace,
    }
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

fn fresh_dir() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = std::env::temp_dir().join(format!(
        "safepoint-trace-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Relaxed)
    ));
    std::fs::create_dir_all(&dir).expect("a folder for the trace");
    dir
}

/// Where results of earlier calls lie, for the children that pass the same calls.
fn results() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| std::env::var_os(RESULTS).map_or_else(fresh_dir, PathBuf::from))
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
        code: 0,
        output: text("output")?,
        trace: text("trace")?,
    })
}

fn save(file: &Path, done: &Done) {
    let value = json!({"output": done.output, "trace": done.trace});
    let _ = std::fs::write(file, value.to_string());
}
