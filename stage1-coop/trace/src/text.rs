//! The text form: one event a line, in columns, with the totals at the end. The same bytes
//! are the snapshot in a test, the recorded run on a page, and what a terminal shows.
//!
//! Tests: `traces`, `stage1-coop/trace/tests/later.rs`.

use crate::escape::Word;
use crate::forms::{Cut, Header, Writer};
use crate::portable::Portable;
use crate::record::{Record, write_line};
use crate::totals::Totals;
use std::fmt::Write;
use std::io;

/// The form.
#[derive(Default)]
pub(crate) struct Text {
    totals: Totals,
    line: String,
    /// The head was written before it was known what the run would be like.
    streamed: bool,
}

impl Writer for Text {
    fn head(&mut self, run: &Header, out: &mut dyn io::Write) -> io::Result<()> {
        self.streamed = run.portable.is_none();
        out.write_all(header(run).as_bytes())
    }

    fn event(&mut self, m: usize, e: &Record, out: &mut dyn io::Write) -> io::Result<()> {
        self.totals.event(e);
        self.line.clear();
        let _ = write_line(&mut self.line, m, e);
        out.write_all(self.line.trim_end().as_bytes())?;
        out.write_all(b"\n")
    }

    fn end(&mut self, run: &Header, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        if let Some(Cut { at, missing }) = &run.ends {
            let _ = writeln!(
                text,
                "# the trace ends at {at}, and the run does not: from there on a thread had no room for its events; {missing} are missing (SAFEPOINT_TRACE_STREAM=1 keeps all)"
            );
        }
        if let (true, Some(known)) = (self.streamed, run.portable.filter(|_| run.seed.is_some())) {
            let _ = writeln!(text, "# portable={}", known.words());
        }
        std::mem::take(&mut self.totals).write(&mut text, run.begins.is_some(), run.ends.is_some());
        out.write_all(text.as_bytes())
    }
}

fn header(run: &Header) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "# safepoint trace v1  {} {}  procs={}",
        run.stage,
        Word(&run.program),
        run.procs
    );
    match run.seed {
        Some(seed) => {
            let portable = run
                .portable
                .map_or("unknown (see the end)", Portable::words);
            let _ = writeln!(out, " seed={seed} clock=virtual portable={portable}");
            let _ = writeln!(
                out,
                "# replay: SAFEPOINT_SEED={seed} GOMAXPROCS={} SAFEPOINT_TRACE=- {}",
                run.procs, run.command
            );
            let _ = writeln!(
                out,
                "# costs: check {}us, event {}us + 0..3us by seed, spin 1ns a turn, waking {}us",
                run.costs.check, run.costs.event, run.costs.wake
            );
        }
        None => out.push_str(" clock=monotonic\n"),
    }
    if let Some(Cut { at, missing }) = &run.begins {
        let _ = writeln!(
            out,
            "# the trace begins at {at}, and the run does not: {missing} earlier events are left out (SAFEPOINT_TRACE_LAST)"
        );
    }
    out.push_str("#    time  M   P   G    event\n");
    out
}
