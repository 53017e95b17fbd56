//! Reads the text form of a trace.
//!
//! One event stands on one line: time in milliseconds, M, P, G (the goroutine *before*
//! the event), the event's name, its arguments, and sometimes `#n`, the number that joins
//! a request to its outcome. The reader is tolerant on purpose: a later stage adds events,
//! and a line that is no event is skipped, never an error.

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Time in microseconds since the trace began.
    pub us: u64,
    /// The thread on which it happened.
    pub m: Option<u32>,
    /// The P that the thread held.
    pub p: Option<u32>,
    /// The goroutine that ran there before the event.
    pub g: Option<u32>,
    /// The event's name, for example `GoStart`.
    pub name: String,
    /// The words after the name, without the flow number.
    pub args: Vec<String>,
    /// The `#n` at the end of the line.
    pub flow: Option<u32>,
    /// Its line in the text, counted from 0.
    pub line: usize,
}

impl Event {
    /// The goroutine that the event is about when it is named first: `GoStart g2`.
    pub fn target(&self) -> Option<u32> {
        id(self.args.first()?, 'g')
    }

    /// The goroutine that the event names first: `g2`, or the one of `p0/g2`.
    pub fn named(&self) -> Option<u32> {
        let first = self.args.first()?;
        id(first.rsplit('/').next()?, 'g')
    }

    /// The P that the event names first: `ProcSteal p0 m0`.
    pub fn named_p(&self) -> Option<u32> {
        id(self.args.first()?, 'p')
    }

    /// Whom the event is about: the goroutine that it names, or the one in whose row it is.
    pub fn subject(&self) -> Option<u32> {
        self.named().or(self.g)
    }

    /// The event in one readable line, for the pop-up text of a mark.
    pub fn describe(&self) -> String {
        let mut line = format!("{} ms", millis(self.us));
        for (letter, number) in [('m', self.m), ('p', self.p), ('g', self.g)] {
            if let Some(number) = number {
                line.push_str(&format!(" {letter}{number}"));
            }
        }
        line.push_str(&format!(" {}", self.name));
        for word in &self.args {
            line.push(' ');
            line.push_str(word);
        }
        if let Some(flow) = self.flow {
            line.push_str(&format!(" #{flow}"));
        }
        line
    }
}

/// A whole trace: its comment lines and its events, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The lines that begin with `#`, without the `#`.
    pub comments: Vec<String>,
    /// The events. Times never run backwards: a smaller one is lifted to the one before.
    pub events: Vec<Event>,
}

impl Trace {
    /// Reads a text. Any text: what is no event and no comment is passed over.
    pub fn parse(text: &str) -> Trace {
        let mut trace = Trace::default();
        let mut latest = 0;
        for (number, line) in text.lines().enumerate() {
            if let Some(comment) = line.trim_start().strip_prefix('#') {
                trace.comments.push(comment.trim().to_string());
            } else if let Some(mut event) = event(line) {
                // The picture is drawn from left to right; a clock that steps back would
                // give slices of negative length.
                event.line = number;
                event.us = event.us.max(latest);
                latest = event.us;
                trace.events.push(event);
            }
        }
        trace
    }

    /// The value of `key=value` in the head, for example `procs`.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.comments
            .iter()
            .flat_map(|line| line.split_whitespace())
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// How many events have this name and, when `word` is given, carry that argument.
    pub fn count(&self, name: &str, word: Option<&str>) -> usize {
        self.events
            .iter()
            .filter(|event| event.name == name)
            .filter(|event| word.is_none_or(|word| event.args.iter().any(|arg| arg == word)))
            .count()
    }
}

/// Microseconds as the trace writes them: `10.012`.
pub fn millis(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

fn event(line: &str) -> Option<Event> {
    let mut words = line.split_whitespace();
    let us = microseconds(words.next()?)?;
    let m = column(words.next()?, 'm')?;
    let p = column(words.next()?, 'p')?;
    let g = column(words.next()?, 'g')?;
    let name = words.next()?.to_string();
    let mut args: Vec<String> = words.map(str::to_string).collect();
    let flow = args
        .last()
        .and_then(|word| word.strip_prefix('#'))
        .and_then(|n| n.parse().ok());
    if flow.is_some() {
        args.pop();
    }
    Some(Event {
        us,
        m,
        p,
        g,
        name,
        args,
        flow,
        line: 0,
    })
}

/// A decimal number of milliseconds. The bound (about eleven days) keeps all later
/// arithmetic far from overflow.
fn microseconds(word: &str) -> Option<u64> {
    let ms: f64 = word.parse().ok()?;
    (ms.is_finite() && (0.0..1e9).contains(&ms)).then(|| (ms * 1000.0).round() as u64)
}

/// `--` is "none"; anything that is neither that nor an id means: not an event line.
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

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
# safepoint trace v1  stage1-coop two_hogs  procs=1 seed=7 clock=virtual portable=yes
#    time  M   P   G    event
    0.003  m0  p0  g1   GoCreate     g2 hog_a
   10.012  m1  --  --   Preempt      p0/g2 ran=10.004                #1
   10.013  m0  p0  g2   PollHit      take                            #1
   10.020  m0  p0  g2   SomethingNew with=words
";

    #[test]
    fn columns_arguments_and_flow() {
        let trace = Trace::parse(SAMPLE);
        assert_eq!(trace.header("procs"), Some("1"));
        assert_eq!(trace.header("seed"), Some("7"));
        assert_eq!(trace.events.len(), 4);
        assert_eq!(trace.events[0].target(), Some(2));
        let preempt = &trace.events[1];
        assert_eq!((preempt.us, preempt.m, preempt.p), (10_012, Some(1), None));
        assert_eq!(preempt.args, ["p0/g2", "ran=10.004"]);
        assert_eq!(preempt.flow, Some(1));
        assert_eq!(
            trace.events[2].describe(),
            "10.013 ms m0 p0 g2 PollHit take #1"
        );
        assert_eq!(trace.events[3].name, "SomethingNew");
    }

    #[test]
    fn counts_events_and_arguments() {
        let trace = Trace::parse(SAMPLE);
        assert_eq!(trace.count("PollHit", None), 1);
        assert_eq!(trace.count("PollHit", Some("take")), 1);
        assert_eq!(trace.count("PollHit", Some("refuse")), 0);
    }

    #[test]
    fn other_text_is_skipped() {
        let odd =
            "\n1e400 m0 p0 g0 X\n-1 m0 p0 g0 X\nNaN m0 p0 g0 X\n1.0 m0 p0\n0.1 x0 p0 g0 X\n\u{0}\n";
        assert!(Trace::parse(odd).events.is_empty());
        let back = Trace::parse("5 m0 p0 -- A\n3 m0 p0 -- B\n");
        assert_eq!(back.events[1].us, 5000);
    }
}
