//! A trace, read from its text form: its events, what each P ran, and the invariants that
//! hold for every trace. The text form itself is explained in *Before you begin*.

use std::collections::{BTreeMap, HashMap, HashSet};
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

    /// How many events have this name.
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

    /// The invariants of every trace: time goes on, a P belongs to one M, a goroutine runs
    /// in one place, starts only when it can run, wakes only when it waits, and every
    /// outcome has its request.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        #[derive(Clone, Copy, PartialEq)]
        enum G {
            Runnable,
            Running(u32),
            Waiting(u32),
            Dead,
        }
        let mut clock: HashMap<u32, u64> = HashMap::new();
        let mut holder: HashMap<u32, u32> = HashMap::new();
        let mut gs: HashMap<u32, G> = HashMap::new();
        // All requests: the flag goes up first and the event is written then, so whoever hears
        // it may write his line before that one.
        let asked: HashSet<u32> = self
            .find("Preempt")
            .filter_map(|i| self.events[i].flow)
            .collect();
        // Woken before the line that puts it to sleep, which comes at once.
        let mut woken: HashMap<u32, u32> = HashMap::new();
        let soon = |i: usize, f: &dyn Fn(&Event) -> bool| {
            let latest = self.events[i].us + SKEW_US;
            let mut next = self.events[i + 1..].iter();
            next.by_ref().take_while(|e| e.us <= latest).any(f)
        };
        for (i, e) in self.events.iter().enumerate() {
            let broken = |what: String| Err(Broken { event: i, what });
            let last = clock.entry(e.m).or_insert(0);
            if e.us < *last {
                return broken(format!("the clock of m{} goes back", e.m));
            }
            *last = e.us;
            let named = e.args.first().and_then(|word| id(word, 'p'));
            match (e.name.as_str(), named) {
                ("ProcStart", Some(p)) => {
                    if let Some(other) = holder.insert(p, e.m)
                        && !soon(i, &|e| e.m == other && e.name == "ProcStop")
                    {
                        return broken(format!("p{p} belongs to m{other} already"));
                    }
                }
                ("ProcStop", Some(p)) => {
                    if holder.get(&p) == Some(&e.m) {
                        holder.remove(&p);
                    } else if !holder.contains_key(&p) {
                        return broken(format!("m{} gives p{p} up and does not hold it", e.m));
                    }
                }
                ("ProcSteal", Some(p)) => {
                    let from = e.args.get(1).and_then(|word| id(word, 'm'));
                    if holder.remove(&p) != from {
                        return broken(format!("p{p} is taken from an M that does not hold it"));
                    }
                    // An M that is back from a call takes it for itself.
                    if e.p == Some(p) {
                        holder.insert(p, e.m);
                    }
                }
                _ => {
                    if let Some(p) = e.p
                        && holder.get(&p) != Some(&e.m)
                    {
                        return broken(format!("m{} works with p{p} and does not hold it", e.m));
                    }
                }
            }
            if e.ends_slice() {
                let Some(g) = e.g else {
                    return broken(format!("{} of nobody", e.name));
                };
                if gs.get(&g) != Some(&G::Running(e.m)) {
                    return broken(format!("{} of g{g}, which does not run here", e.name));
                }
                gs.insert(
                    g,
                    match e.name.as_str() {
                        "GoEnd" => G::Dead,
                        "GoBlock" if woken.remove(&g).is_none() => G::Waiting(e.m),
                        _ => G::Runnable,
                    },
                );
            }
            match (e.name.as_str(), e.target()) {
                ("GoCreate", Some(g)) if gs.insert(g, G::Runnable).is_some() => {
                    return broken(format!("g{g} is made twice"));
                }
                ("GoStart", Some(g)) => {
                    match gs.insert(g, G::Running(e.m)) {
                        // It went to sleep, and found at the last moment that it need not.
                        Some(G::Waiting(m)) if m == e.m && e.args.len() > 1 => {}
                        Some(G::Runnable) => {}
                        Some(G::Running(m)) => {
                            return broken(format!("g{g} starts while it runs on m{m}"));
                        }
                        Some(G::Waiting(_)) => {
                            return broken(format!("g{g} starts while it waits"));
                        }
                        Some(G::Dead) => return broken(format!("g{g} starts after its end")),
                        None => return broken(format!("g{g} starts and was never made")),
                    }
                    if e.p.is_none() {
                        return broken(format!("g{g} starts on an M without a P"));
                    }
                }
                ("GoUnblock", Some(g)) => {
                    if matches!(gs.get(&g), Some(G::Waiting(_))) {
                        gs.insert(g, G::Runnable);
                    } else if soon(i, &|e| e.g == Some(g) && e.name == "GoBlock") {
                        woken.insert(g, e.m);
                    } else {
                        return broken(format!("g{g} is woken and does not wait"));
                    }
                }
                _ => {}
            }
            if let (Some(flow), "GoPreempt" | "PollHit") = (e.flow, e.name.as_str())
                && !asked.contains(&flow)
            {
                return broken(format!("the outcome of request #{flow}, which nobody made"));
            }
        }
        Ok(())
    }
}

/// The clocks of two Ms may be this far apart in the order of lines: a goroutine is written
/// down where its waker looks before the event that says so, under a lock.
const SKEW_US: u64 = 20;

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

fn id(word: &str, letter: char) -> Option<u32> {
    word.strip_prefix(letter)?.parse().ok()
}
