//! What a question about a recorded run asks, and the answer that the run gives.
//!
//! The answer of a `predict` block is never written by hand: it is computed here, and the
//! build fails unless exactly one of the choices says the same.

use super::directive::{Run, run};
use crate::trace::{Event, Trace, count, millis};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// About which run.
    pub run: Run,
    /// What is asked.
    pub what: What,
}

/// What is asked of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `count ... [g=K] EVENT [ARGUMENT]`: how often.
    Count {
        /// Only events about this goroutine.
        g: Option<u32>,
        /// The event's name.
        event: String,
        /// One of its arguments.
        argument: Option<String>,
    },
    /// `value ... EVENT nth=K FIELD`: one column of one event.
    Value {
        /// The event's name.
        event: String,
        /// Which one, counted from 1.
        nth: usize,
        /// p, g, m, us, ms, about (the time in whole milliseconds), target or args.
        field: String,
    },
    /// `order ... EVENT[,EVENT] [limit=K]`: which events, about which goroutine, in which order.
    Order {
        /// The events' names.
        events: Vec<String>,
        /// Only so many.
        limit: usize,
    },
    /// `printed ... NAME`: the number after `NAME=` in what the program printed.
    Printed {
        /// The name.
        name: String,
    },
}

const FIELDS: [&str; 8] = ["p", "g", "m", "us", "ms", "about", "target", "args"];

impl Query {
    /// Reads `kind` and the words after it.
    pub fn parse(kind: &str, words: &[&str]) -> Result<Query, String> {
        let form = match kind {
            "count" => "count PACKAGE/EXAMPLE procs=N [g=K] EVENT [ARGUMENT]",
            "value" => "value PACKAGE/EXAMPLE procs=N EVENT nth=K FIELD",
            "order" => "order PACKAGE/EXAMPLE procs=N EVENT[,EVENT] [limit=K]",
            "printed" => "printed PACKAGE/EXAMPLE procs=N NAME",
            _ => {
                return Err(format!(
                    "`{kind}` is no question: predict knows count, value, order and printed"
                ));
            }
        };
        let wrong = |what: &str| format!("{what}; the form is {{{{#predict {form}}}}}");
        let Some((target, rest)) = words.split_first() else {
            return Err(wrong("no recorded run is named"));
        };
        let (run, left) = run(target, rest).map_err(|what| wrong(&what))?;
        if run.procs.len() > 1 {
            return Err(wrong("a question is about one run: one number in procs="));
        }
        let (mut plain, mut options) = (Vec::new(), Vec::new());
        for word in left {
            match word.split_once('=') {
                Some((key @ ("g" | "nth" | "limit"), number)) => {
                    let number: u32 = number
                        .parse()
                        .map_err(|_| wrong(&format!("`{word}` needs a number")))?;
                    options.push((key, number));
                }
                _ => plain.push(word),
            }
        }
        let mut option = |name: &str| {
            let at = options.iter().position(|(key, _)| *key == name)?;
            Some(options.remove(at).1)
        };
        let what = match (kind, plain.as_slice()) {
            ("count", [event] | [event, _]) => What::Count {
                g: option("g"),
                event: event.to_string(),
                argument: plain.get(1).map(|word| word.to_string()),
            },
            ("value", [event, field]) => {
                if !FIELDS.contains(field) {
                    return Err(wrong(&format!(
                        "`{field}` is no field; there are {}",
                        FIELDS.join(", ")
                    )));
                }
                let nth = option("nth").filter(|nth| *nth > 0);
                What::Value {
                    event: event.to_string(),
                    nth: nth.ok_or_else(|| wrong("nth= says which one, counted from 1"))? as usize,
                    field: field.to_string(),
                }
            }
            ("order", [events]) => What::Order {
                events: events.split(',').map(str::to_string).collect(),
                limit: option("limit").map_or(usize::MAX, |limit| limit as usize),
            },
            ("printed", [name]) => What::Printed {
                name: name.to_string(),
            },
            _ => return Err(wrong("some words are missing or too many")),
        };
        if let Some((key, number)) = options.first() {
            return Err(wrong(&format!("`{key}={number}` has no meaning here")));
        }
        Ok(Query { run, what })
    }

    /// The answer of a run with this trace and this output; the legend of the stage's events
    /// tells a misspelled name.
    pub fn answer(&self, trace: &Trace, output: &str, legend: &str) -> Result<String, String> {
        match &self.what {
            What::Count { g, event, argument } => {
                known(trace, legend, event)?;
                let number = trace
                    .events
                    .iter()
                    .filter(|e| e.name == *event)
                    .filter(|e| g.is_none() || e.subject() == *g)
                    .filter(|e| argument.as_ref().is_none_or(|word| e.args.contains(word)))
                    .count();
                Ok(number.to_string())
            }
            What::Value { event, nth, field } => {
                let mut events = trace.events.iter().filter(|e| e.name == *event);
                let found = events.nth(nth - 1).ok_or_else(|| {
                    let times = count(trace, event, None);
                    format!("there is no {event} number {nth} in the recorded run: it has {times}")
                })?;
                Ok(value(found, field))
            }
            What::Order { events, limit } => {
                for event in events {
                    known(trace, legend, event)?;
                }
                let all: Vec<String> = trace
                    .events
                    .iter()
                    .filter(|e| events.contains(&e.name))
                    .take(*limit)
                    .map(|e| format!("{} {}", e.name, target(e)))
                    .collect();
                Ok(all.join(", "))
            }
            What::Printed { name } => printed(output, name),
        }
    }

    /// Must the choices be numbers?
    pub fn is_number(&self) -> bool {
        matches!(self.what, What::Count { .. } | What::Printed { .. })
    }
}

/// The number after `NAME=`, a word of the output. It must be there once, or the same each time.
fn printed(output: &str, name: &str) -> Result<String, String> {
    let value = |word: &str| {
        let (key, value) = word.split_once('=')?;
        let value = value.trim_end_matches([',', ';', '.']);
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        (key == name && number).then(|| value.to_string())
    };
    let mut found: Vec<String> = output.split_whitespace().filter_map(value).collect();
    found.dedup();
    match found.as_slice() {
        [number] => Ok(number.clone()),
        [] => Err(format!("the recorded run prints no number `{name}=`")),
        _ => Err(format!(
            "the recorded run prints `{name}=` with {}: a question needs one number",
            found.join(", ")
        )),
    }
}

/// A misspelled event would be counted as never: the legend or the run must know the name.
pub fn known(trace: &Trace, legend: &str, name: &str) -> Result<(), String> {
    if count(trace, name, None) > 0 || legend.contains(&format!("`{name}`")) {
        return Ok(());
    }
    Err(format!(
        "no event is called `{name}`: the legend of the events has their names"
    ))
}

fn value(event: &Event, field: &str) -> String {
    let id = |letter: char, number: Option<u32>| {
        number.map_or("--".to_string(), |number| format!("{letter}{number}"))
    };
    match field {
        "p" => id('p', event.p),
        "g" => id('g', event.g),
        "m" => id('m', Some(event.m)),
        "us" => event.us.to_string(),
        "ms" => millis(event.us),
        "about" => format!("{} ms", (event.us + 500) / 1000),
        "target" => target(event),
        _ => event.args.join(" "),
    }
}

/// What an event is about: the goroutine that it names, or else what it names first, or
/// else the goroutine in whose row it stands.
fn target(event: &Event) -> String {
    if let Some(g) = event.target() {
        return format!("g{g}");
    }
    let first = event.args.first().map(String::as_str).unwrap_or("");
    let id = |word: &str| {
        let number = word.strip_prefix(['m', 'p']).unwrap_or("");
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    match event.g {
        _ if id(first) => first.to_string(),
        Some(g) => format!("g{g}"),
        None => "--".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOGS: &str = include_str!("../../tests/samples/stage1-coop__two_hogs__p1__seed1.snap");

    fn ask(text: &str) -> Result<String, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let output = "a=1 b=12; c=x\nd=4 d=4 e=1\ne=2";
        Query::parse(words[0], &words[1..])?.answer(
            &crate::trace::read(HOGS),
            output,
            "| `PollHit` |",
        )
    }

    #[test]
    fn answers() {
        for (question, answer) in [
            ("count a/b GoPreempt", "2"),
            ("count a/b procs=1 g=2 GoPreempt coop", "1"),
            ("count a/b g=2 Preempt", "1"),
            ("count a/b PollHit refused", "0"),
            ("value a/b Preempt nth=1 target", "g3"),
            ("value a/b Preempt nth=1 p", "--"),
            ("value a/b Preempt nth=1 about", "10 ms"),
            ("value a/b GoCreate nth=2 args", "g2 hog_a"),
            ("order a/b GoEnd", "GoEnd g3, GoEnd g2, GoEnd g1"),
            (
                "order a/b GoStart,GoPreempt limit=3",
                "GoStart g1, GoStart g3, GoPreempt g3",
            ),
            ("printed a/b a", "1"),
            ("printed a/b procs=1 b", "12"),
            ("printed a/b d", "4"),
        ] {
            assert_eq!(ask(question).as_deref(), Ok(answer), "{question}");
        }
    }

    #[test]
    fn mistakes_say_the_form() {
        for (question, part) in [
            ("guess a/b X", "count, value, order and printed"),
            ("count", "no recorded run"),
            ("count two_hogs GoPreempt", "PACKAGE/EXAMPLE"),
            ("count a/b", "missing or too many"),
            ("count a/b procs=1,2 GoPreempt", "one number"),
            ("count a/b GoPreemt", "no event is called `GoPreemt`"),
            ("count a/b limit=2 GoPreempt", "`limit=2` has no meaning"),
            ("count a/b g=two GoPreempt", "needs a number"),
            ("value a/b GoStart p", "nth="),
            ("value a/b GoStart nth=0 p", "nth="),
            ("value a/b GoStart nth=99 p", "no GoStart number 99"),
            ("value a/b GoStart nth=1 q", "no field"),
            ("order a/b", "missing or too many"),
            ("printed a/b", "missing or too many"),
            ("printed a/b c", "prints no number `c=`"),
            ("printed a/b e", "with 1, 2"),
        ] {
            let error = ask(question).unwrap_err();
            assert!(error.contains(part), "{question}: {error}");
        }
    }
}
