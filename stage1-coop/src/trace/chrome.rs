//! The Chrome form, which Perfetto and `chrome://tracing` open: a lane per P with the
//! goroutines that ran there, a lane per M with its own events, and arrows from a request
//! to preempt to the yield that it caused.

use super::kinds::*;
use super::text::arguments;
use super::{Event, Run};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

const PS: u32 = 1;
const MS: u32 = 2;

pub(super) fn render(run: &Run, events: &[(u64, usize, Event)]) -> String {
    let mut rows: Vec<String> = Vec::new();
    for (pid, name) in [(PS, "Ps"), (MS, "Ms")] {
        rows.push(format!(
            r#"{{"ph":"M","name":"process_name","pid":{pid},"args":{{"name":"{name}"}}}}"#
        ));
    }
    for p in 0..run.procs {
        rows.push(format!(
            r#"{{"ph":"M","name":"thread_name","pid":{PS},"tid":{p},"args":{{"name":"P{p}"}}}}"#
        ));
    }
    let mut names: HashMap<u64, String> = HashMap::new();
    // On each M: who is shown as running, since when, on which P.
    let mut running: BTreeMap<usize, (u64, u64, i32)> = BTreeMap::new();
    // Who ran, since when, until when, on which P, and how it ended.
    let mut slices: Vec<(u64, u64, u64, i32, String)> = Vec::new();
    for (time, m, e) in events {
        let what = format!("{} {}", e.kind.name, escape(&arguments(e)));
        if is(e, &GO_CREATE) {
            names.insert(e.args[0], escape(&arguments(e)));
        } else if is(e, &GO_START) || is(e, &GO_START_NEXT) {
            running.insert(*m, (e.args[0], *time, e.p));
        } else if e.kind.leaves {
            if let Some((g, since, p)) = running.remove(m) {
                slices.push((g, since, *time, p, what.clone()));
            }
        } else if is(e, &PROC_START) {
            // A goroutine can lose its P without coming off its M. That shows when the P
            // goes on elsewhere, or the goroutine with another P.
            running.retain(|other, &mut (g, since, p)| {
                let keeps = p != e.p && other != m;
                if !keeps {
                    slices.push((g, since, *time, p, "lost its P".to_owned()));
                }
                keeps
            });
        }
        if e.p >= 0 && e.g != 0 && !e.kind.leaves {
            running.entry(*m).or_insert((u64::from(e.g), *time, e.p));
        }
        // Every event is a slice of half a microsecond on its M's lane: an arrow needs a slice
        // at both ends.
        rows.push(format!(
            r#"{{"ph":"X","name":"{what}","cat":"event","pid":{MS},"tid":{m},"ts":{},"dur":0.500}}"#,
            micros(*time),
        ));
        if e.flow != 0 {
            let ph = if is(e, &PREEMPT) {
                r#""ph":"s""#
            } else if is(e, &GO_PREEMPT) {
                r#""ph":"f","bp":"e""#
            } else {
                r#""ph":"t","bp":"e""#
            };
            rows.push(format!(
                r#"{{{ph},"name":"preempt","cat":"preempt","id":{},"pid":{MS},"tid":{m},"ts":{}}}"#,
                e.flow,
                micros(*time),
            ));
        }
    }
    let end = events.last().map_or(0, |(time, _, _)| *time);
    for (g, since, p) in running.into_values() {
        slices.push((g, since, end, p, "still running".to_owned()));
    }
    for (g, since, until, p, ended) in slices {
        let name = names.get(&g).cloned().unwrap_or_else(|| format!("g{g}"));
        rows.push(format!(
            r#"{{"ph":"X","name":"{name}","cat":"goroutine","pid":{PS},"tid":{p},"ts":{},"dur":{},"args":{{"ended":"{ended}"}}}}"#,
            micros(since),
            micros(until - since),
        ));
    }
    let mut out = String::new();
    let _ = write!(
        out,
        "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"stage\":\"{}\",\"program\":\"{}\",\"dropped\":{}}},\"traceEvents\":[\n{}\n]}}\n",
        run.stage,
        escape(&run.program),
        run.dropped,
        rows.join(",\n")
    );
    out
}

fn is(e: &Event, kind: &'static Kind) -> bool {
    std::ptr::eq(e.kind, kind)
}

fn micros(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000, ns % 1_000)
}

fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect()
}
