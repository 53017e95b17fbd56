//! Running a scenario: as a child process, in lockstep, with its trace in a file. A closure's
//! child is the test program itself, started again with one test and the name of one call.

use crate::child::{Ended, fresh_folder, try_run};
use crate::trace_of::TraceOf;
use stage1_coop::Runtime;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Where a child finds which call it is meant for, and the results of earlier ones.
const TARGET: &str = "SAFEPOINT_TRACE_OF";
const RESULTS: &str = "SAFEPOINT_TRACE_OF_RESULTS";
/// The child prints it where the scenario's own output begins.
const BEGIN: &str = "-- the scenario begins here --";

/// The exit status of last words.
pub(crate) const DIED: i32 = 2;

/// How many of the last events a scenario that had to be killed shows.
const LAST: usize = 16;
/// A record of `SAFEPOINT_TRACE_MAP`: a number of eight bytes, and a line.
const RECORD: usize = 128;

pub(crate) enum What {
    Closure {
        main: Box<dyn FnOnce() + Send>,
        test: String,
    },
    Example(String),
    Program(PathBuf, Vec<String>),
}

/// What a scenario did.
#[derive(Clone, Default)]
pub(crate) struct Done {
    pub code: i32,
    pub output: String,
    pub errors: String,
    pub trace: String,
}

/// One scenario, ready to be run with any seed.
pub(crate) struct Ready {
    program: PathBuf,
    arguments: Vec<String>,
    /// Of a closure: its call, its test, and the stage's name.
    call: Option<(String, String, &'static str)>,
    name: String,
    procs: usize,
    pub(crate) may_die: bool,
    limit: Duration,
    at: &'static Location<'static>,
}

impl TraceOf {
    /// Runs the scenario, or finds what an earlier run of this call has left.
    pub(crate) fn done(&mut self) -> Result<Done, String> {
        let seed = self.seed;
        let ready = self.ready()?;
        if let Some(done) = ready.earlier() {
            return Ok(done);
        }
        let done = ready.run(seed)?;
        ready.keep(&done);
        Ok(done)
    }

    /// What has to be started. In the child that is meant for this call, it runs the closure
    /// and does not come back.
    pub(crate) fn ready(&mut self) -> Result<Ready, String> {
        let what = std::mem::replace(&mut self.what, What::Example(String::new()));
        let (program, arguments, call, name) = match what {
            What::Program(program, arguments) => {
                let shown = program.display().to_string();
                (program, arguments, None, shown)
            }
            What::Example(name) => (example(&name)?, Vec::new(), None, name),
            What::Closure { main, test } => {
                let call = this_call(&test, self.at);
                if std::env::var(TARGET).is_ok_and(|target| target == call) {
                    self.be_the_scenario(main);
                }
                let program = std::env::current_exe().map_err(|e| e.to_string())?;
                let flags = ["--exact", &test, "--include-ignored"];
                let more = ["--nocapture", "--test-threads=1"];
                let arguments = flags.iter().chain(&more).map(|&a| a.to_owned()).collect();
                let name = self.name.clone().unwrap_or_else(|| test.clone());
                (
                    program,
                    arguments,
                    Some((call, test, self.stage.name)),
                    name,
                )
            }
        };
        Ok(Ready {
            program,
            arguments,
            call,
            name,
            procs: self.procs,
            may_die: self.may_die,
            limit: self.limit,
            at: self.at,
        })
    }

    /// In the child: the closure as `main`. The parent reads its trace and its status.
    fn be_the_scenario(&self, main: Box<dyn FnOnce() + Send>) -> ! {
        println!("\n{BEGIN}");
        let mut runtime = Runtime::new(self.stage).procs(self.procs);
        if let Some(f) = self.third_party {
            runtime = runtime.third_party(f);
        }
        // SAFETY: the closure came through `trace_of`, whose contract is that of `run`.
        unsafe { runtime.run(main) };
        std::process::exit(0);
    }
}

impl Ready {
    /// What an earlier call has left for the children that pass it on their way.
    pub(crate) fn earlier(&self) -> Option<Done> {
        let (call, ..) = self.call.as_ref()?;
        load(&results().ok()?.join(file_name(call)))
    }

    /// Leaves a result for the children of later calls.
    pub(crate) fn keep(&self, done: &Done) {
        if let (Some((call, ..)), Ok(results)) = (&self.call, results()) {
            save(&results.join(file_name(call)), done);
        }
    }

    /// Runs it once, in lockstep, with its trace in a file.
    ///
    /// # Errors
    /// If it does not end well: what it printed, and what can be said about why.
    pub(crate) fn run(&self, seed: u64) -> Result<Done, String> {
        let dir = fresh_folder("safepoint-trace-").map_err(|e| format!("no folder: {e}"))?;
        let result = self.run_in(&dir, seed);
        let _ = std::fs::remove_dir_all(&dir);
        result
    }

    fn run_in(&self, dir: &Path, seed: u64) -> Result<Done, String> {
        let (file, map) = (dir.join("trace.txt"), dir.join("last"));
        // The last events lie here if the scenario has to be killed.
        std::fs::write(&map, [0; LAST * RECORD]).map_err(|e| format!("{}: {e}", map.display()))?;
        let (procs, seed) = (self.procs.to_string(), seed.to_string());
        let (shown, last) = (file.display().to_string(), map.display().to_string());
        let mut env = vec![
            ("GOMAXPROCS", procs.as_str()),
            ("SAFEPOINT_SEED", &seed),
            ("SAFEPOINT_TRACE", &shown),
            ("SAFEPOINT_TRACE_MAP", &last),
        ];
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // The path of a program would differ from checkout to checkout.
        let replay = self.short_command();
        if let Some(line) = &replay {
            env.push(("SAFEPOINT_REPLAY", line));
        }
        if let Some((call, ..)) = &self.call {
            let results = results().map_err(|e| format!("no folder for results: {e}"))?;
            command.env(TARGET, call).env(RESULTS, results);
        }
        let ended = try_run(&mut command, &env, self.limit).map_err(|e| e.to_string())?;
        if ended.timed_out {
            return Err(self.late(&map));
        }
        let trace = std::fs::read_to_string(&file);
        self.done_of(ended, trace)
    }

    /// The name of a program that is no example, and its arguments.
    fn short_command(&self) -> Option<String> {
        let folder = self.program.parent()?.file_name()?;
        let mut line = self.program.file_name()?.to_string_lossy().into_owned();
        for word in &self.arguments {
            let _ = write!(line, " {word}");
        }
        (folder != "examples").then_some(line)
    }

    /// What the child has left, if it is what was wanted.
    fn done_of(&self, ended: Ended, trace: std::io::Result<String>) -> Result<Done, String> {
        let began = format!("{BEGIN}\n");
        let mut output = ended.stdout.as_str();
        if let Some((_, test, _)) = &self.call {
            output = match output.split_once(&began) {
                Some((_, output)) => output,
                None => {
                    return Err(format!(
                        "the test `{test}` started itself again and did not come to this call ({}); call trace_of in the test itself, and on every way through it",
                        self.at
                    ));
                }
            };
        }
        let (trace, why) = match trace {
            Ok(trace) if trace.is_empty() => (trace, ", and left no trace".to_owned()),
            Ok(trace) => (trace, String::new()),
            Err(error) => (String::new(), format!(", and left no trace ({error})")),
        };
        let wanted = |code: &i32| *code == 0 || (self.may_die && *code == DIED);
        match ended.code.filter(wanted) {
            Some(code) if !trace.is_empty() => Ok(Done {
                code,
                output: output.to_owned(),
                trace: match &self.call {
                    Some((_, _, stage)) => with_own_head(&trace, stage, &self.name),
                    None => trace,
                },
                errors: ended.stderr,
            }),
            _ => Err(format!(
                "{} did not end well: {}{why}{}\n{}{output}",
                self.name,
                match (ended.code, ended.signal) {
                    (Some(code), _) => format!("status {code}"),
                    (_, signal) => format!("signal {}", signal.unwrap_or(0)),
                },
                match ended.code {
                    Some(DIED) if !self.may_die =>
                        " (a scenario that is meant to end with last words says so with .may_die())",
                    _ => "",
                },
                ended.stderr,
            )),
        }
    }

    /// The words about a scenario that had to be killed.
    fn late(&self, map: &Path) -> String {
        let mut out = format!(
            "{} did not end within {:?} (.limit(..) sets this)",
            self.name, self.limit
        );
        let last = last_events(&std::fs::read(map).unwrap_or_default());
        if last.is_empty() {
            out.push_str("; it has recorded no event");
        } else {
            let _ = write!(out, "; its last events:\n{}", last.join("\n"));
        }
        out
    }
}

/// The lines in a file of `SAFEPOINT_TRACE_MAP`, oldest first.
fn last_events(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<(u64, String)> = bytes
        .chunks_exact(RECORD)
        .filter_map(|record| {
            let (number, text) = record.split_at(8);
            let number = u64::from_ne_bytes(number.try_into().ok()?);
            let text = String::from_utf8_lossy(text);
            let text = text.trim_end_matches('\0').trim_end();
            (!text.is_empty()).then(|| (number, text.to_owned()))
        })
        .collect();
    lines.sort_unstable();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// The program of an example of the package under test: tests are built into `PROFILE/deps`,
/// and examples into `PROFILE/examples`.
fn example(name: &str) -> Result<PathBuf, String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let profile = exe.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    let program = profile.join("examples").join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!(
        "there is no program {}: trace_of_example runs an example of the package under test, and only a plain `cargo test` builds those; for any other program, use trace_of_program",
        program.display()
    ))
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
fn results() -> std::io::Result<PathBuf> {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    if let Some(dir) = DIR.get() {
        return Ok(dir.clone());
    }
    let dir = match std::env::var_os(RESULTS) {
        Some(dir) => PathBuf::from(dir),
        None => fresh_folder("safepoint-traces-")?,
    };
    Ok(DIR.get_or_init(|| dir).clone())
}

fn file_name(call: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    call.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A result as a file: the exit status and the lengths of three texts in the first line, then
/// the texts.
fn save(file: &Path, done: &Done) {
    let texts = [&done.output, &done.errors, &done.trace];
    let lengths = texts.map(|t| t.len().to_string()).join(" ");
    let mut out = format!("{} {lengths}\n", done.code);
    texts.iter().for_each(|text| out.push_str(text));
    let _ = std::fs::write(file, out);
}

fn load(file: &Path) -> Option<Done> {
    // Only a child looks: its results are its parent's.
    std::env::var_os(TARGET)?;
    let text = std::fs::read_to_string(file).ok()?;
    let (head, mut rest) = text.split_once('\n')?;
    let mut words = head.split(' ');
    let code = words.next()?.parse().ok()?;
    let mut next = || {
        let (text, more) = rest.split_at_checked(words.next()?.parse().ok()?)?;
        rest = more;
        Some(text.to_owned())
    };
    Some(Done {
        code,
        output: next()?,
        errors: next()?,
        trace: next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Done, load, save};

    #[test]
    fn a_result_survives_its_file() {
        let dir = crate::fresh_folder("safepoint-kit-").expect("a folder");
        let file = dir.join("result");
        let done = Done {
            code: 2,
            output: "a\nb".into(),
            errors: "ü 1 2\n".into(),
            trace: String::new(),
        };
        save(&file, &done);
        // SAFETY: the only test of this program that touches the environment.
        unsafe { std::env::set_var(super::TARGET, "a call") };
        let again = load(&file).expect("it was saved");
        assert_eq!(
            (again.code, again.output, again.errors, again.trace),
            (done.code, done.output, done.errors, done.trace)
        );
        std::fs::remove_dir_all(&dir).expect("it was there");
    }
}
