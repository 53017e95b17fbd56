//! A trace as its readers have it: its events, and what each P ran. How the text form becomes
//! one is in `parse.rs`; what must hold in every trace is in `invariants.rs` and `bounds.rs`, and
//! which goroutine runs after each event is in `world.rs`.
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `trace_of`.

use crate::kinds::{Effect, Kind, Kinds, Next};
use crate::parse::id;
use crate::portable::Portable;
use crate::world::{Step, World};
use std::collections::BTreeMap;
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
    /// Its kind, if the reader was given one with this name.
    pub kind: Option<&'static Kind>,
}

impl Event {
    /// What it does. An event of no known kind does nothing.
    pub fn effect(&self) -> Effect {
        self.kind.map_or(Effect::Nothing, |kind| kind.effect)
    }

    /// The goroutine that the event is about: `GoStart g2`, or the 3 of `Preempt p0/g3`.
    pub fn target(&self) -> Option<u32> {
        self.named('g')
    }

    /// The P that the event names first: `ProcSteal p0 m0`, or the 0 of `Preempt p0/g3`.
    pub fn named_p(&self) -> Option<u32> {
        self.named('p')
    }

    /// The number that the event names behind this letter, at the place that its form says.
    fn named(&self, letter: char) -> Option<u32> {
        let form = self.kind.map_or("p{n}/g{n} m{n}", |kind| kind.form);
        let mut words = form.split_whitespace().zip(&self.args);
        words.find_map(|(form, arg)| {
            let mut parts = form.split('/').zip(arg.split('/'));
            parts.find_map(|(form, part)| {
                (form.strip_prefix(letter)? == "{n}").then(|| id(part, letter))?
            })
        })
    }

    /// Whom the event is about: the goroutine that it names, or the one in whose row it is.
    pub fn subject(&self) -> Option<u32> {
        self.target().or(self.g)
    }

    /// Whether it is a `name` about goroutine `g`.
    pub fn is(&self, name: &str, g: u32) -> bool {
        self.name == name && self.target() == Some(g)
    }

    /// Whether the goroutine that ran comes off its processor here.
    pub fn ends_slice(&self) -> bool {
        self.effect().leaves().is_some()
    }

    /// The event as the world sees it.
    pub fn step(&self) -> Step {
        Step {
            at: self.us,
            m: self.m,
            p: self.p,
            g: self.g,
            effect: self.effect(),
            named_g: self.target(),
            named_p: self.named_p(),
            named_m: self.named('m'),
        }
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
    /// The kinds that its reader knows.
    pub(crate) kinds: Kinds,
    /// The lines in front of the events, with their `#`.
    pub head: Vec<String>,
    /// The events, in the order of the text.
    pub events: Vec<Event>,
    /// Of each event: the number of its line in the text, from 0.
    pub numbers: Vec<usize>,
    /// The lines behind them, with their `#`.
    pub totals: Vec<String>,
}

/// A trace that happens again: see [`Trace::replay`].
pub struct Replay<'a> {
    events: std::slice::Iter<'a, Event>,
    world: World,
}

impl<'a> Replay<'a> {
    /// The next event, and the world after it.
    pub fn forward(&mut self) -> Option<(&'a Event, &World)> {
        let event = self.events.next()?;
        self.world.step(&event.step());
        Some((event, &self.world))
    }
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
    /// The events and the world after each of them, one after the other.
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            events: self.events.iter(),
            world: World::new(),
        }
    }

    /// The stage that ran, by its head.
    pub fn stage(&self) -> Option<&str> {
        let words = self.head.first()?.strip_prefix("# safepoint trace ")?;
        words.split_whitespace().nth(1)
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

    /// Why it is not the same everywhere, by its head or its last lines. Of a free run: `None`.
    pub fn why_not_portable(&self) -> Option<Portable> {
        let mut lines = self.head.iter().take(1).chain(&self.totals);
        lines.find_map(|line| Portable::read(line))
    }

    /// The numbers of the events with this name.
    ///
    /// # Panics
    /// If there is no event of this name: neither among the reader's kinds nor in the trace.
    #[track_caller]
    pub fn find<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.refuse_unknown(name);
        (0..self.events.len()).filter(move |&i| self.events[i].name == name)
    }

    /// How many events have this name.
    ///
    /// # Panics
    /// As [`find`](Trace::find).
    #[track_caller]
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
            .find(|e| e.effect() == Effect::Makes && e.args.get(1).is_some_and(|n| n == name))
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
        let mut world = World::new();
        for e in &self.events {
            if let (Effect::StartsP, Some(p)) = (e.effect(), e.p) {
                rows.entry(p).or_default();
            }
            if let (true, Some(run)) = (e.ends_slice(), world.on_m(e.m))
                && let Some(p) = run.p
            {
                let mark = match e.effect() {
                    Effect::Leaves(Next::Dead) => '.',
                    Effect::Leaves(Next::Runnable) => '~',
                    Effect::Obeys => '!',
                    _ => '-',
                };
                let _ = write!(rows.entry(p).or_default(), " g{}{mark}", run.g);
            }
            world.step(&e.step());
        }
        for (_, run) in world.running() {
            if let Some(p) = run.p {
                let _ = write!(rows.entry(p).or_default(), " g{}>", run.g);
            }
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
