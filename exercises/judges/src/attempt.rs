//! What an attempt and its judge say to each other.
//!
//! An attempt is a program: a scenario of the exercise with the learner's piece in it. It
//! runs one *case* and ends. It may do anything on the way (loop, crash, hang), so it runs
//! as a child process, and everything it says is plain text: its trace, and lines for the
//! judge, which sits in the parent. These lines have a pipe of their own. No learner's file
//! can name anything that writes to it, and there is no secret in the attempt's memory that
//! would be worth reading.
//!
//! Nothing of Go corresponds to this file.

use safepoint_testkit::trace::Trace;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::sync::OnceLock;
use std::time::Duration;

/// One situation in which a piece must do the right thing.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, as the attempt gets it.
    pub name: &'static str,
    /// What happens in it, for the learner.
    pub what: &'static str,
    /// The number of Ps.
    pub procs: usize,
    /// The seeds with which it runs, in lockstep; none: once, free-running.
    pub seeds: &'static [u64],
}

/// How the learner's part of an exercise is made and judged. Each `judge.rs` has one.
#[derive(Clone, Copy)]
pub struct Judge {
    /// What the learner edits.
    pub kind: Kind,
    /// The cases, simplest first.
    pub cases: &'static [Case],
    /// Whether an attempt's trace can be held against that of the stage's own piece: the
    /// scenario is the same.
    pub compare: bool,
    /// Runs a case with the stage's own piece: the expected trace comes from here. Not for
    /// learners' files: it would pass for theirs.
    pub(crate) reference: fn(&str),
}

/// One rule of a judge: nothing, or what is wrong with the run of this case.
pub type Rule = fn(&Case, &Run) -> Result<(), Fault>;

/// The same for answers about this trace.
pub type AnswerRule = fn(&Trace, &toml::Table) -> Result<(), Fault>;

/// What the learner edits.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Rust, judged by what each case shows. The first rule that is broken counts.
    Rust(&'static [Rule]),
    /// Answers about a trace. The first rule that is broken counts.
    Answers(&'static [AnswerRule]),
}

impl Kind {
    /// The ending of the learner's file.
    pub fn ending(&self) -> &'static str {
        match self {
            Kind::Rust(_) => "rs",
            Kind::Answers(_) => "toml",
        }
    }
}

/// What a run of a case showed.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Exit status, if it got that far.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The runner ended it.
    pub limit: Option<Limit>,
    /// What its scenario said to the judge, a line each.
    pub said: String,
    /// What else it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
    /// Its trace, as far as it got.
    pub trace: Trace,
    /// The same as text.
    pub text: String,
}

/// Why the runner ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It took too long.
    Time(Duration),
    /// It took too much memory, in MiB.
    Memory(u64),
}

/// What is wrong with an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A short name, the same whatever the details: tests and graders look at it.
    pub rule: &'static str,
    /// Which behavior or invariant broke.
    pub what: String,
    /// One sentence on what that means.
    pub meaning: String,
    /// The event of the attempt's trace at which it shows.
    pub at: Option<usize>,
}

impl Fault {
    /// A fault without an event.
    pub fn new(rule: &'static str, what: impl Into<String>, meaning: impl Into<String>) -> Fault {
        Fault {
            rule,
            what: what.into(),
            meaning: meaning.into(),
            at: None,
        }
    }

    /// The same, seen at this event.
    pub fn at(mut self, event: usize) -> Fault {
        self.at = Some(event);
        self
    }
}

impl Run {
    /// What the attempt says about `key`: the rest of the line `key ...`, the first one.
    pub fn says<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).next()
    }

    /// Everything that it says about `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.said.lines().filter_map(move |line| {
            let rest = line.strip_prefix(key)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }

    /// The number in `key number`.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.says(key)?.parse().ok()
    }

    /// The line with which the runtime ended the process, if it did.
    pub fn last_words(&self) -> Option<&str> {
        self.err.lines().find_map(|line| {
            line.strip_prefix("fatal error: ")
                .or_else(|| line.strip_prefix("lockstep: "))
                .or_else(|| line.strip_prefix("panic: "))
        })
    }

    /// No goroutine can run any more.
    pub fn is_deadlock(&self) -> bool {
        self.err.contains("lockstep: every thread sleeps")
            || self.err.contains("all goroutines are asleep")
    }

    /// The time limit ended it, or lockstep noticed that it cannot end.
    pub fn is_endless(&self) -> bool {
        matches!(self.limit, Some(Limit::Time(_)))
            || self.err.contains("does not end")
            || self.err.lines().any(gave_up)
    }

    /// It ended by itself, with status 0.
    ///
    /// # Errors
    /// A calm explanation of how it died.
    pub fn ended_well(&self) -> Result<(), Fault> {
        match self.death() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

/// Lockstep's words when a thread does not come back to it: a loop without a check, or on a
/// thread that no check can stop.
pub(crate) fn gave_up(words: &str) -> bool {
    words.contains("loop never ends") || words.contains("has not come back")
}

/// How an attempt learns that its time is up: `stdin` means by a byte there. It then saves
/// its trace and ends, shortly before the runner would kill it.
pub const LIMIT_VARIABLE: &str = "EXERCISE_LIMIT";

/// The number of the descriptor that leads to the judge.
pub const JUDGE_VARIABLE: &str = "EXERCISE_JUDGE";

/// Tells the judge something: a line that begins with a key.
macro_rules! tell {
    ($($what:tt)*) => { $crate::attempt::tell_judge(format_args!($($what)*)) };
}
pub(crate) use tell;

/// Set by the runner's descriptor; empty for an attempt that is run by hand.
static PIPE: OnceLock<Option<File>> = OnceLock::new();

pub(crate) fn tell_judge(what: Arguments<'_>) {
    let line = format!("{what}\n");
    match PIPE.get() {
        // One write, so that lines of two threads do not mix.
        Some(Some(judge)) => {
            let mut judge: &File = judge;
            let _ = judge.write_all(line.as_bytes());
        }
        _ => print!("@ {line}"),
    }
}

/// The descriptor that the runner has opened for this process, and for none that it starts.
fn pipe() -> Option<File> {
    let fd = std::env::var(JUDGE_VARIABLE).ok()?.parse().ok()?;
    // SAFETY: fcntl takes no pointers. A descriptor that is open and has this number was
    // opened by the runner for this purpose, and nothing else in this process owns it.
    unsafe {
        (libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) == 0).then(|| File::from_raw_fd(fd))
    }
}

/// The `main` of an attempt: runs the case that the arguments name.
pub fn enter(case: impl FnOnce(&str)) {
    let Some(which) = std::env::args().next_back().filter(|a| !a.starts_with('-')) else {
        eprintln!(
            "this is one attempt at an exercise; run it with: cargo run -p exercises -- run NAME"
        );
        std::process::exit(64);
    };
    PIPE.get_or_init(pipe);
    if std::env::var(LIMIT_VARIABLE).is_ok_and(|v| v == "stdin") {
        std::thread::spawn(|| {
            if let Ok(1) = std::io::stdin().read(&mut [0]) {
                eprintln!("the attempt does not end");
                stage1_coop::exit(124);
            }
            // The other end is gone, and with it the runner.
            // SAFETY: `_exit` takes no pointers and does not return.
            unsafe { libc::_exit(125) }
        });
    }
    case(&which);
    tell!("end");
    let _ = std::io::stdout().flush();
}

/// Runs `main` on the real runtime, with `procs` Ps unless the environment says otherwise.
pub(crate) fn start(runtime: stage1_coop::Runtime, main: impl FnOnce() + Send + 'static) {
    // SAFETY: the scenarios of this crate keep nothing that belongs to a thread across a
    // yield; a learner's piece has no means to (no thread-locals in its helpers), and its
    // card says so.
    unsafe { runtime.run(main) };
}
