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

/// What the learner edits.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Rust, judged by what each case shows. The first rule that is broken counts.
    Rust(&'static [Rule]),
    /// Answers about a trace, judged all at once.
    Answers(fn(&Trace, &toml::Table) -> Result<(), Fault>),
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
    /// Which behaviour or invariant broke.
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

    /// Nobody can run any more.
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

    /// How it died, in words, if it did.
    pub fn death(&self) -> Option<Fault> {
        let last = self.trace.events.len().checked_sub(1);
        let place = |fault: Fault| Some(Fault { at: last, ..fault });
        if let Some(Limit::Memory(mib)) = self.limit {
            return place(Fault::new(
                "memory",
                format!("It took more than {mib} MiB of memory and was ended."),
                "Something is made again and again, and nothing of it is given back.",
            ));
        }
        // A dump that the limit cut off is still a dump.
        if self.is_endless() && self.last_words().is_none_or(gave_up) {
            let what = match self.limit {
                Some(Limit::Time(limit)) => {
                    format!(
                        "It had not ended after {} s and was stopped.",
                        limit.as_secs()
                    )
                }
                _ => "A loop in it never ends.".to_owned(),
            };
            return place(Fault::new(
                "endless",
                what,
                "Either a loop has no way out, or it waits for something that never comes; the last event shows how far it got.",
            ));
        }
        if self.is_deadlock() {
            return place(Fault::new(
                "deadlock",
                "Every thread sleeps, and nothing is left that could wake one.",
                "A goroutine waits for somebody who will never come, or can run and stands in no queue.",
            ));
        }
        if self.err.contains("fatal error: stack overflow") {
            return place(Fault::new(
                "overflow",
                "A goroutine's stack is full: 216 KiB were not enough.",
                "A function calls itself without an end, or the stack was never allowed to grow.",
            ));
        }
        if self.err.contains("has overflowed its stack") {
            return place(Fault::new(
                "overflow",
                "A thread's stack is full.",
                "A function calls itself without an end.",
            ));
        }
        if self.signal == Some(libc::SIGBUS) || self.err.contains("[signal SIGBUS") {
            return place(Fault::new(
                "bus",
                "It touched a page of a file that could not be had (a bus error).",
                "A disk that is full, or a file that was cut, does that, and hardly ever an attempt. `doctor` says whether the disk is full; run it again.",
            ));
        }
        if self.err.contains("fatal error: unexpected signal") || self.signal == Some(libc::SIGSEGV)
        {
            return place(Fault::new(
                "segfault",
                "It touched memory that is not there (a segmentation fault).",
                "Safe code cannot do that by itself, so an invariant of a helper was broken: read what the card says about the ones that you call.",
            ));
        }
        if let Some(signal) = self.signal {
            let (rule, what) = match signal {
                libc::SIGABRT => ("abort", "It ended itself by abort.".to_owned()),
                libc::SIGKILL => (
                    "killed",
                    "It was killed from outside, perhaps by the system for want of memory."
                        .to_owned(),
                ),
                n => ("signal", format!("Signal {n} ended it.")),
            };
            return place(Fault::new(
                rule,
                what,
                "The run is over where its trace ends; look at the last event.",
            ));
        }
        if self.code == Some(0) && self.says("end").is_some() {
            return None;
        }
        if self.code == Some(0) {
            return place(Fault::new(
                "left",
                "It ended before its scenario was over.",
                "Somebody called exit, or main returned while a goroutine ran that cannot be stopped.",
            ));
        }
        if let Some(words) = self.last_words() {
            return place(if self.err.contains("panic: ") {
                Fault::new(
                    "panic",
                    format!("It panicked: {words}."),
                    "Rust noticed the mistake before it could do harm: an index, an unwrap or a sum that does not hold.",
                )
            } else {
                Fault::new(
                    "throw",
                    format!("The runtime ended the process: {words}."),
                    "The scheduler checks its own invariants; this one does not hold any more.",
                )
            });
        }
        place(Fault::new(
            "status",
            format!("It ended with status {}.", self.code.unwrap_or(-1)),
            "The scenario should have ended with status 0.",
        ))
    }
}

/// Lockstep's words when a thread does not come back to it: a loop without a check, or on a
/// thread that no check can stop.
fn gave_up(words: &str) -> bool {
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

/// Set by the runner's descriptor; empty for an attempt that somebody runs by hand.
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
