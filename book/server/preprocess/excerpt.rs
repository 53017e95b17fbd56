//! Part of a recorded trace: some events by their number, or the line with the totals.
//!
//! A chapter that explains single lines names them by number and, if it likes, by name:
//! when a new event moves the others, the build stops instead of showing another line.

use crate::trace;

/// Which lines of a trace are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Excerpt {
    /// All of them.
    #[default]
    Whole,
    /// `events=A:B [NAME,NAME]`: the heads of the columns and these events;
    /// `events=A [NAME]`: one event alone.
    Events {
        /// The first, counted from 1.
        from: usize,
        /// The last.
        to: usize,
        /// Are the heads of the columns shown?
        head: bool,
        /// What the events must be called, if the chapter says it.
        names: Vec<String>,
    },
    /// `totals`: the line with the totals of the requests.
    Totals,
}

const FORM: &str = "write events=2:5, or events=2 for one line, or totals";

impl Excerpt {
    /// Reads the words that are left of the directive.
    pub fn parse(words: &[&str]) -> Result<Excerpt, String> {
        let (first, names) = match words {
            [] => return Ok(Excerpt::Whole),
            ["totals"] => return Ok(Excerpt::Totals),
            [first] => (first, Vec::new()),
            [first, names] => (first, names.split(',').map(str::to_string).collect()),
            [_, _, third, ..] => return Err(format!("`{third}` is not understood here; {FORM}")),
        };
        let Some(range) = first.strip_prefix("events=") else {
            return Err(format!("`{first}` is not understood here; {FORM}"));
        };
        let wrong = || format!("`{first}` names no events; {FORM}, counted from 1");
        let number = |word: &str| {
            let number = word.parse::<usize>().ok().filter(|number| *number > 0);
            number.ok_or_else(wrong)
        };
        let (from, to, head) = match range.split_once(':') {
            Some((from, to)) => (number(from)?, number(to)?, true),
            None => (number(range)?, number(range)?, false),
        };
        if to < from {
            return Err(wrong());
        }
        Ok(Excerpt::Events {
            from,
            to,
            head,
            names,
        })
    }

    /// The lines of this trace, as it writes them.
    pub fn cut(&self, text: &str) -> Result<String, String> {
        let (from, to, head, names) = match self {
            Excerpt::Whole => return Ok(text.trim_end().to_string()),
            Excerpt::Totals => {
                return text
                    .lines()
                    .find(|line| line.starts_with("# preempt:"))
                    .map(|line| line.trim_end().to_string())
                    .ok_or_else(|| {
                        "the recorded run has no line of totals: leave `totals` out".to_string()
                    });
            }
            Excerpt::Events {
                from,
                to,
                head,
                names,
            } => (*from, *to, *head, names),
        };
        let trace = trace::read(text);
        let all = trace.events.len();
        let (Some(events), Some(numbers)) = (
            trace.events.get(from - 1..to),
            trace.numbers.get(from - 1..to),
        ) else {
            return Err(format!(
                "the recorded run has no events {from} to {to}: it has {all}, so write events=A:B with B at most {all}"
            ));
        };
        let found: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
        if !names.is_empty() && *names != found {
            return Err(format!(
                "these events are called {} in the recorded run, not {}: read the sentences around it again, then write their numbers and names",
                found.join(","),
                names.join(",")
            ));
        }
        let lines: Vec<&str> = text.lines().collect();
        let mut shown: Vec<&str> = Vec::new();
        if head {
            let heads = lines.iter().find(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some("#") && words.next() == Some("time")
            });
            shown.extend(heads);
        }
        shown.extend(numbers.iter().map(|&number| lines[number].trim_end()));
        if !head {
            shown = shown.into_iter().map(str::trim_start).collect();
        }
        Ok(shown.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOGS: &str = include_str!("../../tests/samples/stage1-coop__two_hogs__p1__seed1.snap");

    fn cut(words: &str) -> Result<String, String> {
        let (_, text) = HOGS.split_once("--- trace\n").unwrap();
        let words: Vec<&str> = words.split_whitespace().collect();
        Excerpt::parse(&words)?.cut(text)
    }

    #[test]
    fn lines_by_number() {
        let one = cut("events=2").unwrap();
        assert!(one.ends_with("GoCreate     g1 main"), "{one}");
        assert_eq!(one.lines().count(), 1);
        assert_eq!(one, one.trim());
        let two = cut("events=1:2").unwrap();
        let lines: Vec<&str> = two.lines().collect();
        assert_eq!(lines.len(), 3, "with the heads of the columns");
        assert!(lines[0].starts_with("#    time  M   P   G"), "{two}");
        // The columns stay below their heads.
        assert_eq!(lines[0].find("M "), lines[1].find("m0"), "{two}");
        assert_eq!(cut("events=2 GoCreate"), Ok(one));
        assert_eq!(cut("events=1:2 ProcStart,GoCreate"), Ok(two));
        assert!(cut("totals").unwrap().starts_with("# preempt: "));
        assert!(cut("").unwrap().lines().count() > 20);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (words, part) in [
            ("events=0", "counted from 1"),
            ("events=3:2", "counted from 1"),
            ("events=1:", "counted from 1"),
            ("events=x", "counted from 1"),
            ("event=1", "write events=2:5"),
            ("totals GoEnd", "write events=2:5"),
            ("events=1 ProcStart more", "`more` is not understood"),
            ("events=20:21", "it has 20, so write"),
            ("events=2 GoStart", "are called GoCreate"),
            ("events=1:2 ProcStart", "are called ProcStart,GoCreate"),
        ] {
            let error = cut(words).unwrap_err();
            assert!(error.contains(part), "{words}: {error}");
        }
        let error = Excerpt::Totals.cut("0.1 m0 p0 g1 GoEnd\n").unwrap_err();
        assert!(error.contains("no line of totals"), "{error}");
    }
}
