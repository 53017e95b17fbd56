//! The text form: one event a line, in columns, with the totals at the end. The same bytes
//! are the snapshot in a test, the recorded run on a page, and what a terminal shows.

use super::kinds::*;
use super::{Event, Run};
use crate::word::str_from_words;
use safepoint_lockstep::{self as lab, Portable};
use std::collections::HashMap;
use std::fmt::Write;

pub(super) fn render(run: &Run, events: &[(u64, usize, Event)]) -> String {
    let mut out = String::new();
    header(&mut out, run);
    for (time, m, e) in events {
        let begin = out.len();
        let _ = write_line(&mut out, *time, *m, e);
        out.truncate(begin + out[begin..].trim_end().len());
        out.push('\n');
    }
    totals(&mut out, run, events);
    out
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

fn header(out: &mut String, run: &Run) {
    let _ = write!(
        out,
        "# safepoint trace v1  {} {}  procs={}",
        run.stage, run.program, run.procs
    );
    match run.seed {
        Some(seed) => {
            let _ = write!(out, " seed={seed} clock=virtual portable=");
            out.push_str(match run.portable {
                Portable::Yes => "yes",
                Portable::NearWatchdog => "no (a loop without a check ran long)",
                Portable::StackGrowth => "no (the compiler's frames decide when a stack grows)",
                Portable::Blocked => "no (a thread blocked outside the runtime)",
                Portable::Outside => "no (it waited for the world outside the process)",
            });
            out.push('\n');
            let _ = writeln!(
                out,
                "# replay: SAFEPOINT_SEED={seed} GOMAXPROCS={} SAFEPOINT_TRACE=- {}",
                run.procs,
                crate::config::command(run.stage)
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
    out.push_str("#    time  M   P   G    event\n");
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
                out.write_str(str_from_words(ptr as usize, len as usize))?;
            }
        }
        rest = &rest[open + 3..];
    }
    out.write_str(rest)
}

fn is(e: &Event, kind: &'static Kind) -> bool {
    std::ptr::eq(e.kind, kind)
}

fn totals(out: &mut String, run: &Run, events: &[(u64, usize, Event)]) {
    // What became of each request: 0 nothing, 1 refused, 2 taken.
    let mut fate: HashMap<u32, u8> = HashMap::new();
    let mut refused = 0;
    // On each M: who runs, since when.
    let mut running: HashMap<usize, (u64, u64)> = HashMap::new();
    let mut longest = (0u64, 0u64, false);
    let mut end = 0;
    for (time, m, e) in events {
        end = *time;
        if is(e, &PREEMPT) {
            fate.entry(e.flow).or_insert(0);
        } else if is(e, &POLL_HIT) {
            refused += 1;
            let f = fate.entry(e.flow).or_insert(0);
            *f = (*f).max(1);
        } else if is(e, &GO_PREEMPT) {
            fate.insert(e.flow, 2);
        }
        if is(e, &GO_START) || is(e, &GO_START_NEXT) {
            running.insert(*m, (e.args[0], *time));
        } else if e.kind.leaves
            && let Some((g, since)) = running.remove(m)
            && time - since > longest.1
        {
            longest = (g, time - since, false);
        }
    }
    for (g, since) in running.into_values() {
        if end - since > longest.1 {
            longest = (g, end - since, true);
        }
    }
    let count = |n| fate.values().filter(|&&f| f == n).count();
    let _ = write!(
        out,
        "# preempt: {} requested, {} refused, {} taken, {} unheard",
        fate.len(),
        refused,
        count(2),
        count(0)
    );
    if longest.0 != 0 {
        let _ = write!(
            out,
            "   longest slice g{} {}{}",
            longest.0,
            millis(longest.1),
            if longest.2 { " and still running" } else { "" }
        );
    }
    out.push('\n');
    if run.dropped > 0 {
        let _ = writeln!(
            out,
            "# {} events found no room and are missing",
            run.dropped
        );
    }
}
