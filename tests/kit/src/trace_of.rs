//! Snapshots of schedules, in three lines: run a scenario in lockstep, check the invariants
//! of its trace, and get a text that is the same on every machine.
//!
//! A scenario is a closure that runs as `main` ([`trace_of`]), any program
//! ([`trace_of_program`]), or an example of the package ([`trace_of_example`]). The result is
//! the full text ([`TraceOf::text`]), one line of slices for each P ([`TraceOf::strip`]), the
//! chosen events without their times ([`TraceOf::only`]), or a search over many schedules
//! ([`TraceOf::seeds`]). A trace that depends on what the compiler made of the program is
//! refused, with the ways out; only chosen events may be had of it.
//!
//! One runtime per process, so a closure runs in a process of its own: the test starts its own
//! program again, with itself as the only test, and the child runs the closure where it comes
//! to the same call. So a test should ask for its traces before it does anything slow, and must
//! reach the same calls in the same order each time. This works under the ordinary test
//! harness; elsewhere use [`trace_of_program`].

use crate::child::LIMIT;
use crate::scenario::{DIED, Done, What};
use crate::seeds::Seeds;
use safepoint_trace::{Portable, Trace};
use stage1_coop::{STAGE, Stage, ThirdParty};
use std::ops::RangeBounds;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

/// A scenario whose trace is wanted: see the module.
#[must_use = "ask for its text, its strip or some events"]
pub struct TraceOf {
    pub(crate) what: What,
    pub(crate) stage: &'static Stage,
    pub(crate) third_party: Option<fn(&mut ThirdParty)>,
    pub(crate) procs: usize,
    pub(crate) seed: u64,
    pub(crate) name: Option<String>,
    pub(crate) may_die: bool,
    bounded: bool,
    pub(crate) limit: Duration,
    pub(crate) at: &'static Location<'static>,
}

/// The trace of a closure, which runs as `main` of a fresh runtime with this stage's table.
///
/// # Safety
/// The contract of [`Runtime::run`](stage1_coop::Runtime::run) holds for the closure and for
/// everything it starts: nothing that belongs to a thread is kept across a yield.
#[track_caller]
pub unsafe fn trace_of<F: FnOnce() + Send + 'static>(stage: &'static Stage, main: F) -> TraceOf {
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
    new(What::Closure { main, test }, stage)
}

/// The trace of an example of the package under test, which `cargo test` has built beside it.
///
/// # Panics
/// Once the trace is asked for, if there is no such example, or if it was not built: a run of
/// one test alone (`--test NAME`) does not build examples.
#[track_caller]
pub fn trace_of_example(name: &str) -> TraceOf {
    new(What::Example(name.to_owned()), &STAGE)
}

/// The trace of any program that runs one of our runtimes. Which one, is said with
/// [`stage`](TraceOf::stage): a stage says what its events do.
#[track_caller]
pub fn trace_of_program(program: impl Into<PathBuf>, arguments: &[&str]) -> TraceOf {
    let arguments = arguments.iter().map(|&a| a.to_owned()).collect();
    new(What::Program(program.into(), arguments), &STAGE)
}

#[track_caller]
fn new(what: What, stage: &'static Stage) -> TraceOf {
    TraceOf {
        what,
        stage,
        third_party: None,
        procs: 1,
        seed: 1,
        name: None,
        may_die: false,
        bounded: false,
        limit: LIMIT,
        at: Location::caller(),
    }
}

impl TraceOf {
    /// The stage of a program or an example: which events its trace may have, and what they do.
    /// Without this: stage 1. A closure's is an argument of [`trace_of`].
    pub fn stage(mut self, stage: &'static Stage) -> TraceOf {
        self.stage = stage;
        self
    }

    /// Runs beside a closure's goroutines, on a thread without a P.
    pub fn third_party(mut self, f: fn(&mut ThirdParty)) -> TraceOf {
        self.third_party = Some(f);
        self
    }

    /// The number of Ps. Without this: one.
    ///
    /// # Panics
    /// If it is not 1 to 256.
    #[track_caller]
    pub fn procs(mut self, procs: usize) -> TraceOf {
        assert!(
            (1..=256).contains(&procs),
            "procs({procs}): a run has 1 to 256 Ps"
        );
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

    /// Also checks how long anything has to wait, as [`Trace::check_waits`] says. This holds for
    /// a scenario that replaces no row of its stage's table.
    pub fn bounded(mut self) -> TraceOf {
        self.bounded = true;
        self
    }

    /// How long a run may take on the wall clock. Without this: a minute. A scenario that has
    /// not ended by then is killed, and the panic shows its last events.
    pub fn limit(mut self, limit: Duration) -> TraceOf {
        self.limit = limit;
        self
    }

    /// The same scenario on many schedules, one for each seed: see [`Seeds::check`].
    pub fn seeds(self, seeds: impl RangeBounds<u64>) -> Seeds {
        Seeds::new(self, seeds)
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
        refuse_what_is_not_portable(&trace);
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
        refuse_what_is_not_portable(&trace);
        trace.strip()
    }

    /// The events with these names, without times. This is for scenarios that depend on
    /// the compiler too, if these events do not.
    ///
    /// # Panics
    /// If there is no event of one of these names, if the scenario does not end well, or if
    /// an invariant of the trace does not hold.
    #[track_caller]
    pub fn only(self, names: &[&str]) -> String {
        let (_, trace) = self.checked();
        for &name in names {
            if let Err(what) = trace.knows(name) {
                panic!("{what} (a program's stage is chosen with .stage(&STAGE))");
            }
        }
        trace.only(names)
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
    pub fn try_trace(mut self) -> Result<(i32, Trace), String> {
        let done = self.done()?;
        Ok((done.code, Trace::parse(&done.trace, self.stage.kinds)))
    }

    #[track_caller]
    fn checked(mut self) -> (Done, Trace) {
        let bounded = self.bounded;
        let done = match self.done() {
            Ok(done) => done,
            Err(what) => panic!("{what}"),
        };
        let trace = Trace::parse(&done.trace, self.stage.kinds);
        let mut result = trace.check_run();
        if bounded {
            result = result.and_then(|()| trace.check_waits());
        }
        if let Err(broken) = result {
            panic!("the trace breaks an invariant: {broken}\n{}", done.trace);
        }
        (done, trace)
    }
}

#[track_caller]
fn refuse_what_is_not_portable(trace: &Trace) {
    if trace.portable() {
        return;
    }
    let head = trace.head.first().map_or("it has no head", String::as_str);
    // One that does not say why may be a free run, or a trace of another time.
    let why = trace.why_not_portable().unwrap_or(Portable::NearWatchdog);
    panic!(
        "this trace depends on {}, so it is no snapshot: {head}\nways out: {}; or snapshot chosen events only, with .only(&[..])",
        match why {
            Portable::Blocked | Portable::Outside => "what happens outside the runtime",
            _ => "what the compiler made of the program",
        },
        why.ways_out()
    );
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
