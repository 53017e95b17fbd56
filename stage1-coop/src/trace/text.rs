//! The text form: one event a line, in columns, with the totals at the end. The same bytes
//! are the snapshot in a test, the recorded run on a page, and what a terminal shows.

use super::Event;
use super::escape::{Escaped, Word};
use super::totals::Totals;
use super::writer::{Render, Run};
use crate::word::str_from_words;
use safepoint_lockstep::{self as lab, Portable};
use std::fmt::Write;
use std::io;

/// The form.
#[derive(Default)]
pub(super) struct Text {
    totals: Totals,
    line: String,
    /// The head was written before it was known what the run would be like.
    streamed: bool,
}

impl Render for Text {
    fn head(&mut self, run: &Run, out: &mut dyn io::Write) -> io::Result<()> {
        self.streamed = run.portable.is_none();
        out.write_all(header(run).as_bytes())
    }

    fn event(&mut self, m: usize, e: &Event, out: &mut dyn io::Write) -> io::Result<()> {
        self.totals.event(e);
        self.line.clear();
        let _ = write_line(&mut self.line, e.time, m, e);
        out.write_all(self.line.trim_end().as_bytes())?;
        out.write_all(b"\n")
    }

    fn end(&mut self, run: &Run, out: &mut dyn io::Write) -> io::Result<()> {
        let mut text = String::new();
        if let Some((at, missing)) = &run.ends {
            let _ = writeln!(
                text,
                "# the trace ends at {at}, and the run does not: from there on a thread had no room for its events; {missing} are missing (SAFEPOINT_TRACE_STREAM=1 keeps all)"
            );
        }
        if let (true, Some(known)) = (self.streamed, run.portable.filter(|_| run.seed.is_some())) {
            let _ = writeln!(text, "# portable={}", portable(known));
        }
        std::mem::take(&mut self.totals).write(&mut text, run.begins.is_some(), run.ends.is_some());
        out.write_all(text.as_bytes())
    }
}

/// One event as a line. It allocates nothing by itself: a signal handler may write one.
pub(super) fn write_line(out: &mut dyn Write, time: u64, m: usize, e: &Event) -> std::fmt::Result {
    let mut out = Counted { out, len: 0 };
    write!(
        out,
        "{:>5}.{:03}  m{m:<2} ",
        time / 1_000_000,
        time / 1000 % 1000
    )?;
    match e.p {
        ..0 => out.write_str("--  ")?,
        p => write!(out, "p{p:<2} ")?,
    }
    match e.g {
        0 => out.write_str("--   ")?,
        g => write!(out, "g{g:<3} ")?,
    }
    write!(out, "{:<12} ", e.kind.name)?;
    write_arguments(&mut out, e)?;
    if e.flow != 0 {
        let width = 66usize.saturating_sub(out.len);
        write!(out, "{:width$} #{}", "", e.flow)?;
    }
    Ok(())
}

/// Counts what goes through.
struct Counted<'a> {
    out: &'a mut dyn Write,
    len: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.len += s.len();
        self.out.write_str(s)
    }
}

fn header(run: &Run) -> String {
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
            let portable = run.portable.map_or("unknown (see the end)", portable);
            let _ = writeln!(out, " seed={seed} clock=virtual portable={portable}");
            let _ = writeln!(
                out,
                "# replay: SAFEPOINT_SEED={seed} GOMAXPROCS={} SAFEPOINT_TRACE=- {}",
                run.procs, run.command
            );
            let _ = writeln!(
                out,
                "# costs: check {}us, event {}us + 0..3us by seed, spin 1ns a turn, waking {}us",
                lab::CHECK_NS / 1000,
                lab::EVENT_NS / 1000,
                lab::WAKE_NS / 1000
            );
        }
        None => out.push_str(" clock=monotonic\n"),
    }
    if let Some((at, missing)) = &run.begins {
        let _ = writeln!(
            out,
            "# the trace begins at {at}, and the run does not: {missing} earlier events are left out (SAFEPOINT_TRACE_LAST)"
        );
    }
    out.push_str("#    time  M   P   G    event\n");
    out
}

fn portable(portable: Portable) -> &'static str {
    match portable {
        Portable::Yes => "yes",
        Portable::NearWatchdog => "no (a loop without a check ran long)",
        Portable::StackGrowth => "no (the compiler's frames decide when a stack grows)",
        Portable::Blocked => "no (a thread blocked outside the runtime)",
        Portable::Outside => "no (it waited for the world outside the process)",
    }
}

/// Milliseconds with three decimals.
pub(super) fn millis(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000, ns / 1_000 % 1_000)
}

/// The arguments of an event, by the form of its kind.
pub(super) fn arguments(e: &Event) -> String {
    let mut out = String::new();
    let _ = write_arguments(&mut out, e);
    out
}

fn write_arguments(out: &mut dyn Write, e: &Event) -> std::fmt::Result {
    let mut args = e.args.iter().copied();
    let mut rest = e.kind.form;
    while let Some(open) = rest.find('{') {
        out.write_str(&rest[..open])?;
        let mut next = || args.next().unwrap_or(0);
        match &rest[open..open + 3] {
            "{n}" => write!(out, "{}", next())?,
            "{t}" => {
                let ns = next();
                write!(out, "{}.{:03}", ns / 1_000_000, ns / 1000 % 1000)?;
            }
            _ => {
                let (ptr, len) = (next(), next());
                let text = str_from_words(ptr as usize, len as usize);
                write!(out, "{}", Escaped(text))?;
            }
        }
        rest = &rest[open + 3..];
    }
    out.write_str(rest)
}
