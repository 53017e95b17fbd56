//! A trace, read from its text form: its events, and what each P ran. The text form itself
//! is explained in *Before you begin*; what must hold in every trace is in `invariants.rs`
//! and `bounds.rs`.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Microseconds since the trace began.
    pub us: u64,
    /// The thread on which it happened.
    pub m: u32,
    /// The P that the thread held.
    pub p: Option<u32>,
    /// The goroutine that ran there *before* the event.
    pub g: Option<u32>,
    /// Its name, for example `GoStart`.
    pub name: String,
    /// The words after the name, without the number of the request.
    pub args: Vec<String>,
    /// The number that joins a request to its outcome.
    pub flow: Option<u32>,
    /// The line as it stands in the text.
    pub line: String,
}

impl Event {
    /// The goroutine that the event is about: `GoStart g2`, or the 3 of `Preempt p0/g3`.
    pub fn target(&self) -> Option<u32> {
        let word = self.args.first()?;
        id(word.rsplit('/').next()?, 'g')
    }

    /// Whether it is a `name` about goroutine `g`.
    pub fn is(&self, name: &str, g: u32) -> bool {
        self.name == name && self.target() == Some(g)
    }

    /// Whether the goroutine that ran comes off its processor here.
    pub fn ends_slice(&self) -> bool {
        matches!(
            self.name.as_str(),
            "GoEnd" | "GoSched" | "GoPreempt" | "GoBlock"
        ) || (self.name == "GoSysExit" && !self.args.is_empty())
    }

    /// The event without its time.
    pub fn timeless(&self) -> String {
        let column = |letter, n: Option<u32>| n.map_or("--".into(), |n| format!("{letter}{n}"));
        let flow = self.flow.map_or(String::new(), |n| format!(" #{n}"));
        format!(
            "m{:<2} {:<3} {:<4} {:<12} {}{flow}",
            self.m,
            column('p', self.p),
            column('g', self.g),
            self.name,
            self.args.join(" "),
        )
        .trim_end()
        .to_owned()
    }
}

/// A trace, read from its text form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The lines in front of the events, with their `#`.
    pub head: Vec<String>,
    /// The events, in the order of the text.
    pub events: Vec<Event>,
    /// The lines behind them, with their `#`.
    pub totals: Vec<String>,
}

/// An invariant that a trace breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Number of the event, from 0.
    pub event: usize,
    /// What does not hold.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event + 1, self.what)
    }
}

impl Trace {
    /// Reads the text form. Lines that are neither events nor comments are passed over: a
    /// trace that was cut off in the middle of a line can still be read.
    pub fn parse(text: &str) -> Trace {
        let mut trace = Trace::default();
        for line in text.lines() {
            if line.starts_with('#') {
                if trace.events.is_empty() {
                    trace.head.push(line.to_owned());
                } else {
                    trace.totals.push(line.to_owned());
                }
            } else if let Some(event) = event(line) {
                trace.events.push(event);
            }
        }
        trace
    }

    /// The value of `key=value` in the first line, for example of `procs`.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.head
            .first()?
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether every machine and compiler gives the same bytes.
    pub fn portable(&self) -> bool {
        self.header("portable") == Some("yes")
    }

    /// The numbers of the events with this name.
    pub fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        (0..self.events.len()).filter(move |&i| self.events[i].name == name)
    }

    /// How many events have this name. A misspelled name counts 0: it is not checked here.
    pub fn count(&self, name: &str) -> usize {
        self.find(name).count()
    }

    /// The first event after `from` (not counting it) for which `f` holds.
    pub fn after(&self, from: usize, f: impl Fn(&Event) -> bool) -> Option<usize> {
        (from + 1..self.events.len()).find(|&i| f(&self.events[i]))
    }

    /// The number of the goroutine that was made with this name, the first of them.
    pub fn goroutine(&self, name: &str) -> Option<u32> {
        self.events
            .iter()
            .find(|e| e.name == "GoCreate" && e.args.get(1).is_some_and(|n| n == name))
            .and_then(Event::target)
    }

    /// The events with these names, without times, one a line. No names: all of them.
    pub fn only(&self, names: &[&str]) -> String {
        let mut out = String::new();
        for e in &self.events {
            if names.is_empty() || names.contains(&e.name.as_str()) {
                let _ = writeln!(out, "{}", e.timeless());
            }
        }
        out
    }

    /// What each P ran, one line for each: goroutines in order, each with how its slice
    /// ended.
    pub fn strip(&self) -> String {
        let mut rows: BTreeMap<u32, String> = BTreeMap::new();
        // On each M: who runs, and on which P.
        let mut running: HashMap<u32, (u32, u32)> = HashMap::new();
        for e in &self.events {
            if let (Some(p), true) = (e.p, e.name == "ProcStart") {
                rows.entry(p).or_default();
            }
            match (e.name.as_str(), e.target(), e.p) {
                ("GoStart", Some(g), Some(p)) => {
                    running.insert(e.m, (g, p));
                }
                _ if e.ends_slice() => {
                    if let Some((g, p)) = running.remove(&e.m) {
                        let mark = match e.name.as_str() {
                            "GoEnd" => '.',
                            "GoSched" => '~',
                            "GoPreempt" => '!',
                            _ => '-',
                        };
                        let _ = write!(rows.entry(p).or_default(), " g{g}{mark}");
                    }
                }
                _ => {}
            }
        }
        for (g, p) in running.into_values() {
            let _ = write!(rows.entry(p).or_default(), " g{g}>");
        }
        let mut out = String::from(
            "# .  has finished   ~  let others run   !  was asked and yielded   -  waits   >  still runs\n",
        );
        for (p, row) in rows {
            let _ = writeln!(out, "p{p} |{row}");
        }
        out
    }
}

fn event(line: &str) -> Option<Event> {
    let mut words = line.split_whitespace();
    let ms: f64 = words.next()?.parse().ok()?;
    if !(ms.is_finite() && (0.0..1e9).contains(&ms)) {
        return None;
    }
    let m = id(words.next()?, 'm')?;
    let p = column(words.next()?, 'p')?;
    let g = column(words.next()?, 'g')?;
    let name = words.next()?.to_owned();
    let mut args: Vec<String> = words.map(str::to_owned).collect();
    let flow = args
        .last()
        .and_then(|word| word.strip_prefix('#'))
        .and_then(|n| n.parse().ok());
    if flow.is_some() {
        args.pop();
    }
    Some(Event {
        us: (ms * 1000.0).round() as u64,
        m,
        p,
        g,
        name,
        args,
        flow,
        line: line.to_owned(),
    })
}

/// `--` is none; anything that is neither that nor a number makes the line no event.
fn column(word: &str, letter: char) -> Option<Option<u32>> {
    if word == "--" {
        Some(None)
    } else {
        id(word, letter).map(Some)
    }
}

/// The number in a word such as `p3`.
pub(crate) fn id(word: &str, letter: char) -> Option<u32> {
    word.strip_prefix(letter)?.parse().ok()
}
