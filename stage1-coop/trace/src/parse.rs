//! Reading the text form, which *How to read a trace* explains. The text may be anything: a trace
//! that was cut off, one written by hand, a file of another program. What is neither an event
//! nor a comment is passed over, and no number in a line decides how long reading takes.
//!
//! Tests: below, and `stage1-coop/trace/tests/later.rs`.

use crate::kinds::{Kind, Kinds};
use crate::trace::{Event, Trace};

impl Trace {
    /// Reads the text form. `kinds` are those of the stage that ran ([`Stage::kinds`] there).
    /// Lines that are neither events nor comments are passed over: a trace that was cut off in
    /// the middle of a line can still be read. A byte order mark in front, which some editors
    /// leave there, is no part of the first line.
    ///
    /// [`Stage::kinds`]: crate::Kinds
    pub fn parse(text: &str, kinds: Kinds) -> Trace {
        let mut trace = Trace {
            kinds,
            ..Trace::default()
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                if trace.events.is_empty() {
                    trace.head.push(line.to_owned());
                } else {
                    trace.totals.push(line.to_owned());
                }
            } else if let Some(event) = event(line, kinds) {
                trace.events.push(event);
                trace.numbers.push(number);
            }
        }
        trace
    }
}

fn event(line: &str, kinds: Kinds) -> Option<Event> {
    let mut words = line.split_whitespace();
    let us = micros(words.next()?)?;
    let m = id(words.next()?, 'm')?;
    let p = column(words.next()?, 'p')?;
    let g = column(words.next()?, 'g')?;
    let name = words.next()?.to_owned();
    let mut args: Vec<String> = words.map(str::to_owned).collect();
    let flow = args
        .last()
        .and_then(|word| word.strip_prefix('#'))
        .and_then(number);
    if flow.is_some() {
        args.pop();
    }
    let kind = kind_of(&name, &args, kinds);
    Some(Event {
        us,
        m,
        p,
        g,
        name,
        args,
        flow,
        line: line.to_owned(),
        kind,
    })
}

/// The kind of an event: several can have one name, and then the words decide. A line by hand
/// may leave words out.
fn kind_of(name: &str, args: &[String], kinds: Kinds) -> Option<&'static Kind> {
    let named = || kinds.iter().copied().flatten().filter(|k| k.name == name);
    let words = |kind: &Kind| kind.form.split_whitespace();
    let fits = |kind: &&&Kind| {
        let mut pairs = words(kind).zip(args);
        words(kind).count() == args.len()
            && pairs.all(|(word, arg)| word.contains('{') || word == arg)
    };
    named().find(fits).or_else(|| named().next()).copied()
}

/// `--` is none; anything that is neither that nor a number makes the line no event.
fn column(word: &str, letter: char) -> Option<Option<u32>> {
    if word == "--" {
        Some(None)
    } else {
        id(word, letter).map(Some)
    }
}

/// Milliseconds such as `10.012`, as microseconds: less than twelve days.
fn micros(word: &str) -> Option<u64> {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = word.split_once('.').unwrap_or((word, "0"));
    if whole.is_empty() || part.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let ms: f64 = word.parse().ok()?;
    (0.0..1e9)
        .contains(&ms)
        .then(|| (ms * 1000.0).round() as u64)
}

/// The number in a word such as `p3`.
pub(crate) fn id(word: &str, letter: char) -> Option<u32> {
    number(word.strip_prefix(letter)?)
}

/// Digits alone: for `parse`, `+3` is a number too, and then a line that no trace has would be
/// an event.
pub(crate) fn number(word: &str) -> Option<u32> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| word.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::Trace;
    use crate::kinds::KINDS;

    fn parse(text: &str) -> Trace {
        Trace::parse(text, &[KINDS])
    }

    #[test]
    fn a_number_is_digits_alone() {
        assert_eq!(parse("0.001 m3 p0 g1 GoSched").events.len(), 1);
        assert_eq!(parse("5 m3 -- -- GoSched").events[0].us, 5_000);
        for line in [
            "0.001 m+3 p0 g1 GoSched",
            "0.001 m3 p+0 g1 GoSched",
            "0.001 m3 p0 g-1 GoSched",
            "0.001 m p0 g1 GoSched",
            "0.001 m4294967296 p0 g1 GoSched",
            "+0.001 m3 p0 g1 GoSched",
            "1e3 m3 p0 g1 GoSched",
            ".5 m3 p0 g1 GoSched",
            "5. m3 p0 g1 GoSched",
            "0.0.1 m3 p0 g1 GoSched",
            "inf m3 p0 g1 GoSched",
            "1000000000 m3 p0 g1 GoSched",
        ] {
            assert_eq!(parse(line).events, [], "{line}");
        }
        // What an event names, and its request, are numbers of the same kind.
        let trace = parse("1 m0 p0 -- GoStart g+2\n2 m1 -- -- Preempt p0/g2 ran=0.001 #+7");
        assert_eq!(trace.events[0].target(), None);
        assert_eq!(
            (trace.events[1].flow, trace.events[1].args.len()),
            (None, 3)
        );
    }

    #[test]
    fn a_byte_order_mark_hides_no_head() {
        let head = "# safepoint trace v1  stage1-coop x  procs=2 seed=1";
        let text = format!("{head}\n0.001 m0 p0 g1 GoSched\n");
        let marked = parse(&format!("\u{feff}{text}"));
        assert_eq!(marked, parse(&text));
        assert_eq!(marked.header("procs"), Some("2"));
        // Anywhere else it is a letter like any other.
        assert_eq!(parse("0.001 \u{feff}m0 p0 g1 GoSched").events, []);
    }
}
