//! What is left when a program has ended: its trace, drawn, and the comparison.
//!
//! A replay with a recorded counterpart is compared byte for byte: exit code, output and
//! trace. Everything else gets one sentence on why there is nothing to compare with.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitStatus;

use super::program::Outcome;
use super::{End, Mode, Order};
use crate::figure;
use crate::files;
use crate::snapshot::Recording;
use crate::trace;
use crate::workspace::Workspace;

/// The most of a trace that is read, and the most of its text that goes to the page.
const READ: u64 = 8 * 1024 * 1024;
const SHOWN: usize = 256 * 1024;

/// The last event of a run, and sentences to show before it.
pub fn make(ws: &Workspace, order: &Order, outcome: &Outcome, file: &Path) -> (End, Vec<String>) {
    let mut notes = Vec::new();
    let text = read(file);
    let fault = fault(text.as_deref(), outcome, file);
    let (same, why) = match order.mode {
        Mode::Run => (None, None),
        Mode::Replay => compare(ws, order, outcome, text.as_deref(), fault.as_deref()),
    };
    notes.extend(fault);
    let text = text.filter(|text| !text.is_empty());
    let svg = text
        .as_deref()
        .and_then(|text| figure::draw(&trace::read(text)));
    let trace = text.map(|text| {
        let (start, cut) = shorten(&text);
        if cut {
            notes.push(format!(
                "The trace has {} lines; the text below is its start.",
                text.lines().count()
            ));
        }
        start.to_string()
    });
    let end = End {
        code: outcome.status.and_then(|status| status.code()),
        signal: outcome.status.and_then(signal),
        ms: u64::try_from(outcome.time.as_millis()).unwrap_or(u64::MAX),
        svg,
        trace,
        same,
        why,
    };
    (end, notes)
}

/// What is wrong with a trace, as one sentence: it is not there, or not whole.
fn fault(text: Option<&str>, outcome: &Outcome, file: &Path) -> Option<String> {
    match text {
        None if !outcome.complete => {
            Some("It was ended from outside and could not write its trace.".to_string())
        }
        None => Some("It wrote no trace.".to_string()),
        Some(text) if text.ends_with('\n') => None,
        Some(text) if text.len() as u64 >= READ => Some(format!(
            "Its trace is longer than {} MiB; this is its start.",
            READ / (1024 * 1024)
        )),
        Some(_) => Some(match no_room(file) {
            Some(error) => format!("Its trace is not whole: {error}."),
            None => "Its trace is not whole.".to_string(),
        }),
    }
}

/// Why nothing more can be written beside this file, if that is so.
fn no_room(file: &Path) -> Option<String> {
    let probe = file.with_extension("probe");
    let written = fs::write(&probe, [0; 4096]);
    let _ = fs::remove_file(&probe);
    let folder = file.parent().unwrap_or(file).display();
    written.err().map(|error| format!("{folder}: {error}"))
}

fn compare(
    ws: &Workspace,
    order: &Order,
    outcome: &Outcome,
    trace: Option<&str>,
    fault: Option<&str>,
) -> (Option<bool>, Option<String>) {
    let nothing = |why: String| (None, Some(why));
    if !outcome.complete {
        return nothing("it did not come to its end, so it is not compared".to_string());
    }
    if !order.args.is_empty() {
        return nothing("no recording for this argument".to_string());
    }
    let (pkg, name) = (&order.example.pkg, &order.example.name);
    match ws.snapshots.recording(pkg, name, order.procs, order.seed) {
        Err(error) => nothing(format!("{error:#}")),
        Ok(None) if ws.snapshots.recorded_procs(pkg, name).is_empty() => {
            nothing("no run of this example is recorded".to_string())
        }
        Ok(None) if order.seed != 1 => nothing("no recording for this seed".to_string()),
        Ok(None) => nothing(format!("no recording for GOMAXPROCS={}", order.procs)),
        // What the recording would differ from is the disk's fault and not the schedule's.
        Ok(Some(_)) if trace.is_some() && fault.is_some() => {
            nothing("its trace is not whole".to_string())
        }
        Ok(Some(recording)) => verdict(&recording, outcome, trace.unwrap_or("")),
    }
}

fn verdict(
    recording: &Recording,
    outcome: &Outcome,
    trace: &str,
) -> (Option<bool>, Option<String>) {
    let exit = match outcome.status {
        None => "unknown".to_string(),
        Some(status) => match (status.code(), signal(status)) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".to_string(),
        },
    };
    let difference = recording.difference(&exit, &outcome.output, trace);
    (Some(difference.is_none()), difference)
}

fn read(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    files::open(file)
        .ok()?
        .take(READ)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).to_string())
}

/// The text up to the last whole line that still fits.
fn shorten(text: &str) -> (&str, bool) {
    if text.len() <= SHOWN {
        return (text, false);
    }
    let end = text.as_bytes()[..SHOWN]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap_or(0);
    (&text[..end], true)
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_status: ExitStatus) -> Option<i32> {
    None
}
