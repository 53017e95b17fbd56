//! The three forms of a trace, and what is said about its run in each. A form is written piece
//! by piece, so a trace of any length can be written while its run goes on.
//!
//! Tests: `chrome::a_seed_gives_the_same_bytes_in_every_form`.

use crate::chrome::Chrome;
use crate::gov2::Gov2;
use crate::portable::Portable;
use crate::record::Record;
use crate::text::Text;
use std::io::{self, Write};

/// What a trace says about its run.
#[derive(Clone, Debug)]
pub struct Header {
    /// The stage that runs.
    pub stage: &'static str,
    /// The program.
    pub program: String,
    /// The command that runs it again.
    pub command: String,
    /// Ps of the run.
    pub procs: usize,
    /// In lockstep.
    pub seed: Option<u64>,
    /// What time costs there.
    pub costs: Costs,
    /// Reasons to wait that Go's tracer calls otherwise than its dumps do, with its name.
    pub reasons_traced: &'static [(&'static str, &'static str)],
    /// `None`: it is not known yet.
    pub portable: Option<Portable>,
    /// Where the trace begins, and the run does not.
    pub begins: Option<Cut>,
    /// Where it ends, and the run does not.
    pub ends: Option<Cut>,
}

/// What lockstep counts, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// A guard check.
    pub check: u64,
    /// An event, before the seed's part.
    pub event: u64,
    /// Waking a thread.
    pub wake: u64,
}

/// A place beyond which there is more of the run than of the trace.
#[derive(Clone, Debug)]
pub struct Cut {
    /// In milliseconds.
    pub at: String,
    /// How many events are missing there.
    pub missing: u64,
}

/// The forms of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One event a line.
    Text,
    /// Chrome's, for Perfetto.
    Chrome,
    /// Go's, for `go tool trace`.
    Go,
}

impl Form {
    /// Begins a trace in this form.
    pub fn writer(self) -> Box<dyn Writer> {
        match self {
            Form::Text => Box::new(Text::default()),
            Form::Chrome => Box::new(Chrome::default()),
            Form::Go => Box::new(Gov2::default()),
        }
    }
}

/// One of the forms, written piece by piece.
pub trait Writer: Send {
    /// What comes first.
    ///
    /// # Errors
    /// Those of `out`.
    fn head(&mut self, run: &Header, out: &mut dyn Write) -> io::Result<()>;
    /// The next event, on M `m`; its time is in nanoseconds.
    ///
    /// # Errors
    /// Those of `out`.
    fn event(&mut self, m: usize, e: &Record, out: &mut dyn Write) -> io::Result<()>;
    /// What comes last.
    ///
    /// # Errors
    /// Those of `out`.
    fn end(&mut self, run: &Header, out: &mut dyn Write) -> io::Result<()>;
}
