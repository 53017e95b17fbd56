//! The Chrome form, which Perfetto and `chrome://tracing` open: a lane per P with the
//! goroutines that ran there, a lane per M with its own events, and arrows from a request
//! to preempt to the yield that it caused. Rows are written as they are known; no reader
//! minds their order.
//!
//! Tests: `chrome`, `stage1-coop/trace/tests/later.rs`.

use crate::forms::{Header, Writer};
use crate::kinds::{Effect, Next};
use crate::record::{Arguments, Record};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::io::{self, Write};

const PS: u32 = 1;
const MS: u32 = 2;

/// The form.
#[derive(Default)]
pub(crate) struct Chrome {
    /// Names of the goroutines that have not ended.
    names: HashMap<u64, String>,
    /// On each M: what is shown as running, since when, on which P.
    running: BTreeMap<usize, Slice>,
    end: u64,
    rows: bool,
}

#[derive(Clone, Copy)]
struct Slice {
    g: u64,
    since: u64,
    p: i32,
}

impl Writer for Chrome {
    fn head(&mut self, run: &Header, out: &mut dyn Write) -> io::Result<()> {
        write!(out, r#"{{"displayTimeUnit":"ns","traceEvents":["#)?;
        for (pid, name) in [(PS, "Ps"), (MS, "Ms")] {
            self.row(
                out,
                format_args!(
                    r#"{{"ph":"M","name":"process_name","pid":{pid},"args":{{"name":"{name}"}}}}"#
                ),
            )?;
        }
        for p in 0..run.procs {
            self.row(
                out,
                format_args!(
                    r#"{{"ph":"M","name":"thread_name","pid":{PS},"tid":{p},"args":{{"name":"P{p}"}}}}"#
                ),
            )?;
        }
        Ok(())
    }

    fn event(&mut self, m: usize, e: &Record, out: &mut dyn Write) -> io::Result<()> {
        self.end = e.time;
        let (effect, arguments) = (e.kind.effect, Arguments(e).to_string());
        let what = format_args!("{} {}", e.kind.name, Json(&arguments)).to_string();
        match (effect, e.named('g').map(u64::from)) {
            (Effect::Makes, Some(g)) => {
                self.names.insert(g, Json(&arguments).to_string());
            }
            (Effect::Starts | Effect::StartsNext, Some(g)) => {
                let (since, p) = (e.time, e.p);
                self.running.insert(m, Slice { g, since, p });
            }
            (Effect::StartsP | Effect::StealsP, _) => self.p_moves(out, m, e)?,
            _ if effect.leaves().is_some() => {
                if let Some(slice) = self.running.remove(&m) {
                    self.slice(out, slice, e.time, &what)?;
                }
                if effect == Effect::Leaves(Next::Dead) {
                    self.names.remove(&u64::from(e.g));
                }
            }
            _ => {}
        }
        if e.p >= 0 && e.g != 0 && effect.leaves().is_none() && !effect.in_handler() {
            self.running.entry(m).or_insert(Slice {
                g: u64::from(e.g),
                since: e.time,
                p: e.p,
            });
        }
        // Every event is a slice of half a microsecond on its M's lane: an arrow needs a slice
        // at both ends.
        let at = Micros(e.time);
        self.row(
            out,
            format_args!(
                r#"{{"ph":"X","name":"{what}","cat":"event","pid":{MS},"tid":{m},"ts":{at},"dur":0.500}}"#
            ),
        )?;
        if e.flow == 0 {
            return Ok(());
        }
        let ph = match effect {
            Effect::Asks => r#""ph":"s""#,
            Effect::Obeys => r#""ph":"f","bp":"e""#,
            _ => r#""ph":"t","bp":"e""#,
        };
        self.row(
            out,
            format_args!(
                r#"{{{ph},"name":"preempt","cat":"preempt","id":{},"pid":{MS},"tid":{m},"ts":{at}}}"#,
                e.flow
            ),
        )
    }

    fn end(&mut self, run: &Header, out: &mut dyn Write) -> io::Result<()> {
        for slice in std::mem::take(&mut self.running).into_values() {
            self.slice(out, slice, self.end, "still running")?;
        }
        write!(
            out,
            "\n],\"otherData\":{{\"stage\":\"{}\",\"program\":\"{}\",\"dropped\":{}",
            run.stage,
            Json(&run.program),
            run.begins
                .iter()
                .chain(&run.ends)
                .map(|cut| cut.missing)
                .sum::<u64>(),
        )?;
        for (key, cut) in [("beginsAt", &run.begins), ("endsAt", &run.ends)] {
            if let Some(cut) = cut {
                write!(out, ",\"{key}\":\"{}\"", cut.at)?;
            }
        }
        writeln!(out, "}}}}")
    }
}

impl Chrome {
    fn row(&mut self, out: &mut dyn Write, row: fmt::Arguments<'_>) -> io::Result<()> {
        out.write_all(if std::mem::replace(&mut self.rows, true) {
            b",\n"
        } else {
            b"\n"
        })?;
        out.write_fmt(row)
    }

    /// A goroutine can lose its P without coming off its M. That shows when a thread takes the
    /// P, when it goes on elsewhere, or when the M goes on with another P.
    fn p_moves(&mut self, out: &mut dyn Write, m: usize, e: &Record) -> io::Result<()> {
        let starts = e.kind.effect == Effect::StartsP;
        let named = e.named('p').map_or(-1, |p| p as i32);
        let p = if starts { e.p } else { named };
        let lost: Vec<usize> = self
            .running
            .iter()
            .filter(|&(&other, slice)| slice.p == p || (starts && other == m))
            .map(|(&other, _)| other)
            .collect();
        for other in lost {
            if let Some(slice) = self.running.remove(&other) {
                self.slice(out, slice, e.time, "lost its P")?;
            }
        }
        Ok(())
    }

    fn slice(
        &mut self,
        out: &mut dyn Write,
        slice: Slice,
        until: u64,
        ended: &str,
    ) -> io::Result<()> {
        let Slice { g, since, p } = slice;
        let name = match self.names.get(&g) {
            Some(name) => name.clone(),
            None => format!("g{g}"),
        };
        let (since, length) = (Micros(since), Micros(until.saturating_sub(since)));
        self.row(
            out,
            format_args!(
                r#"{{"ph":"X","name":"{name}","cat":"goroutine","pid":{PS},"tid":{p},"ts":{since},"dur":{length},"args":{{"ended":"{ended}"}}}}"#
            ),
        )
    }
}

/// Nanoseconds as microseconds.
struct Micros(u64);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Text inside the quotes of a JSON string.
struct Json<'a>(&'a str);

impl Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}
