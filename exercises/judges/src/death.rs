//! How an attempt can die, in calm words: a table, of which the first row that fits counts.

use crate::attempt::{Fault, Limit, Run, gave_up};

struct Death {
    rule: &'static str,
    /// What is said of a run that died so; nothing of any other.
    what: fn(&Run) -> Option<String>,
    meaning: &'static str,
}

macro_rules! deaths {
    ($($rule:literal if |$run:ident| $fits:expr => $what:expr, $meaning:literal;)+) => {
        &[$(Death {
            rule: $rule,
            what: |$run| $fits.then(|| $what.into()),
            meaning: $meaning,
        }),+]
    };
}

const DEATHS: &[Death] = deaths! {
    "memory" if |run| memory(run).is_some() =>
        format!("It took more than {} MiB of memory and was ended.", memory(run).unwrap_or(0)),
        "Something is made again and again, and nothing of it is given back.";
    // A dump that the limit cut off is still a dump.
    "endless" if |run| run.is_endless() && run.last_words().is_none_or(gave_up) =>
        match run.limit {
            Some(Limit::Time(limit)) => {
                format!("It had not ended after {} s and was stopped.", limit.as_secs())
            }
            _ => "A loop in it never ends.".to_owned(),
        },
        "Either a loop has no way out, or it waits for something that never comes; the last event shows how far it got.";
    "deadlock" if |run| run.is_deadlock() =>
        "Every thread sleeps, and nothing is left that could wake one.",
        "A goroutine waits for a wake-up that never comes, or is runnable and in no queue.";
    "overflow" if |run| run.err.contains("fatal error: stack overflow") =>
        "A goroutine's stack is full: 216 KiB were not enough.",
        "A function calls itself without an end, or the stack was never allowed to grow.";
    "overflow" if |run| run.err.contains("has overflowed its stack") =>
        "A thread's stack is full.",
        "A function calls itself without an end.";
    "bus" if |run| died_of(run, libc::SIGBUS, "[signal SIGBUS") =>
        "It touched a page of a file that could not be had (a bus error).",
        "A disk that is full, or a file that was cut, does that, and hardly ever an attempt. `doctor` says whether the disk is full; run it again.";
    "segfault" if |run| died_of(run, libc::SIGSEGV, "fatal error: unexpected signal") =>
        "It touched memory that is not there (a segmentation fault).",
        "Safe code cannot do that by itself, so an invariant of a helper was broken: read what the card says about the ones that you call.";
    "abort" if |run| run.signal == Some(libc::SIGABRT) =>
        "It ended itself by abort.",
        "The run is over where its trace ends; look at the last event.";
    "killed" if |run| run.signal == Some(libc::SIGKILL) =>
        "It was killed from outside, perhaps by the system for want of memory.",
        "The run is over where its trace ends; look at the last event.";
    "signal" if |run| run.signal.is_some() =>
        format!("Signal {} ended it.", run.signal.unwrap_or(0)),
        "The run is over where its trace ends; look at the last event.";
    "left" if |run| run.code == Some(0) =>
        "It ended before its scenario was over.",
        "The attempt called exit, or main returned while a goroutine ran that cannot be stopped.";
    "panic" if |run| run.last_words().is_some() && run.err.contains("panic: ") =>
        format!("It panicked: {}.", run.last_words().unwrap_or("")),
        "Rust noticed the mistake before it could do harm: an index, an unwrap or a sum that does not hold.";
    "throw" if |run| run.last_words().is_some() =>
        format!("The runtime ended the process: {}.", run.last_words().unwrap_or("")),
        "The scheduler checks its own invariants; this one does not hold any more.";
    "status" if |run| run.code != Some(0) =>
        format!("It ended with status {}.", run.code.unwrap_or(-1)),
        "The scenario should have ended with status 0.";
};

fn memory(run: &Run) -> Option<u64> {
    match run.limit {
        Some(Limit::Memory(mib)) => Some(mib),
        _ => None,
    }
}

fn died_of(run: &Run, signal: i32, words: &str) -> bool {
    run.signal == Some(signal) || run.err.contains(words)
}

impl Run {
    /// How it died, in words, if it did.
    pub fn death(&self) -> Option<Fault> {
        let lives = self.code == Some(0) && self.says("end").is_some();
        let at = self.trace.events.len().checked_sub(1);
        DEATHS
            .iter()
            // From there on it is the status that counts.
            .take_while(|row| !lives || row.rule != "left")
            .find_map(|row| Some(Fault::new(row.rule, (row.what)(self)?, row.meaning)))
            .map(|fault| Fault { at, ..fault })
    }
}
