//! Runs an example for the page that asked: one at a time, with limits.
//!
//! A run is a task that owns the program it started. However the task ends (the program is
//! done, the time is up, the reader presses Stop, closes the page or ends the book), the
//! program and all that it started are gone with it.

mod cargo;
mod drive;
mod group;
#[cfg(unix)]
pub mod keeper;
mod order;
mod program;
mod report;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

pub use order::{Mode, Order, Wish};

use crate::scratch::Scratch;
use crate::workspace::Workspace;
use cargo::{Cargo, Step};

/// What a run may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that a program may print.
    pub output: usize,
    /// Time from the program's start.
    pub time: Duration,
    /// The `cargo` that builds the examples.
    pub cargo: PathBuf,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            output: 256 * 1024,
            time: Duration::from_secs(20),
            // Under `cargo run` this is the cargo that built the book, so both agree on the
            // toolchain and nothing is compiled twice.
            cargo: std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
        }
    }
}

/// What a page is told, one JSON line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "t", rename_all = "lowercase")]
pub enum Event {
    /// The compiler is at work.
    Build {
        /// What it says.
        line: String,
    },
    /// The program was started.
    Start,
    /// A line of its standard output.
    Out {
        /// The line.
        line: String,
    },
    /// A line of its standard error.
    Err {
        /// The line.
        line: String,
    },
    /// Something that the book has to say.
    Note {
        /// One sentence.
        line: String,
    },
    /// The last line.
    End(Box<End>),
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct End {
    /// The exit code, when the program ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Milliseconds from start to end.
    pub ms: u64,
    /// The picture of its trace.
    pub svg: Option<String>,
    /// The text of its trace.
    pub trace: Option<String>,
    /// Replay only: equal to the recorded run?
    pub same: Option<bool>,
    /// Replay only: where they part, or why there is nothing to compare with.
    pub why: Option<String>,
}

/// What a page can tell a running program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Raise the flag once more (the program's third party listens for SIGINT).
    Flag,
    /// End it.
    Stop,
}

/// The runs of one server.
#[derive(Debug)]
pub struct Runs {
    ws: Workspace,
    limits: Limits,
    cargo: Cargo,
    scratch: Scratch,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    label: String,
    commands: UnboundedSender<Command>,
}

impl Runs {
    /// No run yet.
    pub fn new(ws: Workspace, limits: Limits) -> Result<Runs> {
        Ok(Runs {
            cargo: Cargo::new(limits.cargo.clone(), ws.root.clone()),
            scratch: Scratch::new().context("cannot create a folder for the traces of runs")?,
            current: Mutex::new(None),
            ws,
            limits,
        })
    }

    /// Begins to build all examples in the background: the one that the book shows first, then
    /// those of each stage.
    pub fn build_all(self: &Arc<Runs>, first: Option<(String, String)>) {
        if lacks().is_some() {
            return;
        }
        let mut stages: Vec<String> = self.ws.examples().into_iter().map(|e| e.pkg).collect();
        stages.dedup();
        let first = first.map(Step::First);
        let steps: Vec<Step> = first
            .into_iter()
            .chain(stages.into_iter().map(Step::Stage))
            .collect();
        let runs = Arc::clone(self);
        tokio::spawn(async move { runs.cargo.background(&steps).await });
    }

    /// How far the builds in the background are, while there is one.
    pub fn building(&self) -> Option<String> {
        self.cargo.progress()
    }

    /// The name of the example that runs now.
    pub fn running(&self) -> Option<String> {
        self.current().as_ref().map(|run| run.label.clone())
    }

    /// Starts a run. While one is going on, the answer is a line that says so.
    pub fn start(self: &Arc<Runs>, order: Order) -> Result<UnboundedReceiver<Event>, String> {
        let label = format!("{}/{}", order.example.pkg, order.example.name);
        let (commands, inbox) = mpsc::unbounded_channel();
        {
            let mut current = self.current();
            if let Some(run) = current.as_ref() {
                return Err(format!("{} is still running; stop it first", run.label));
            }
            *current = Some(Current { label, commands });
        }
        let (events, out) = mpsc::unbounded_channel();
        let place = Place(Arc::clone(self));
        tokio::spawn(async move {
            place.0.drive(order, inbox, &events).await;
            // The place is free before the stream ends: a page may start the next run at once.
            drop(place);
        });
        Ok(out)
    }

    /// Passes a command to the running program.
    pub fn tell(&self, command: Command) -> Result<(), &'static str> {
        let current = self.current();
        current
            .as_ref()
            .and_then(|run| run.commands.send(command).ok())
            .ok_or("no example is running")
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        // It is replaced whole; a panic elsewhere cannot leave it half-changed.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run; given back when the task ends, however it ends.
struct Place(Arc<Runs>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.current() = None;
    }
}

/// What this machine lacks to run the examples, as one line.
pub fn lacks() -> Option<String> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return None;
    }
    Some(format!(
        "The examples need Linux on x86_64; this machine is {} on {}. The recorded runs are all here.",
        std::env::consts::OS,
        std::env::consts::ARCH
    ))
}
