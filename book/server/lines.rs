//! Which line of an example's source an event of its trace belongs to.
//!
//! A trace does not know. So `book/figures/lines.toml` says it, for the events of which it
//! is certain, by a piece of the line's text; nothing is guessed for the others. Each entry
//! is held to the source and to the recorded runs: its text stands on exactly one line, it
//! fits at least one recorded event, and where it speaks of a check that was hit, that line
//! holds the only check of the example.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files;
use crate::trace::{Event, Trace};
use safepoint_trace::{Effect, Next};

/// An event, and the words that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    key: String,
    line: usize,
}

/// The known lines of one example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    rules: Vec<Rule>,
}

impl Lines {
    /// The entries of one example, if it has any. `listing` is the source as it is shown.
    pub fn read(book: &Path, example: &str, listing: &str) -> Result<Lines, String> {
        let path = book.join("figures/lines.toml");
        let Ok(text) = files::text(&path, files::MOST) else {
            return Ok(Lines::default());
        };
        let all: BTreeMap<String, BTreeMap<String, String>> =
            toml::from_str(&text).map_err(|error| {
                let error = error.to_string();
                format!("book/figures/lines.toml: {}", error.trim())
            })?;
        match all.get(example) {
            Some(entries) => Lines::new(entries, listing)
                .map_err(|what| format!("book/figures/lines.toml, {example}: {what}")),
            None => Ok(Lines::default()),
        }
    }

    fn new(entries: &BTreeMap<String, String>, listing: &str) -> Result<Lines, String> {
        let source: Vec<&str> = listing.lines().collect();
        let mut rules = Vec::new();
        for (key, text) in entries {
            let mut found = (0..source.len()).filter(|line| source[*line].contains(text));
            let (Some(line), None) = (found.next(), found.next()) else {
                return Err(format!(
                    "`{text}` must stand on exactly one line of the listing"
                ));
            };
            if ["GoPreempt", "PollHit", "StackGrow"].contains(&key.split(' ').next().unwrap_or(""))
            {
                let checks: Vec<usize> = (0..source.len())
                    .filter(|line| is_check(&source, *line))
                    .collect();
                if checks != [line] {
                    return Err(format!(
                        "`{key}` is only known where the example has one check, and that on the named line"
                    ));
                }
            }
            rules.push(Rule {
                key: key.clone(),
                line,
            });
        }
        // The entry with more words says more.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.key.split_whitespace().count()));
        Ok(Lines { rules })
    }

    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// For each event of the trace its line in the listing, counted from 0.
    pub fn of(&self, trace: &Trace) -> Vec<Option<usize>> {
        let mut names = BTreeMap::new();
        // Where each goroutine left off: it goes on there when it starts again.
        let mut left: BTreeMap<u32, Option<usize>> = BTreeMap::new();
        let mut lines = Vec::new();
        for event in &trace.events {
            name(event, &mut names);
            let started = event.target().filter(|_| event.effect().starts());
            let line = if let Some(&line) = started.and_then(|g| left.get(&g)) {
                line
            } else {
                self.rule(event, &names).map(|rule| rule.line)
            };
            let ends = event.effect() == Effect::Leaves(Next::Dead);
            let leaves = event.ends_slice() && event.effect() != Effect::LeavesCallWithoutP;
            if let Some(g) = event.g
                && (leaves && !ends || event.effect() == Effect::EntersCall)
            {
                left.insert(g, line);
            }
            lines.push(line);
        }
        lines
    }

    /// The keys that fit no event of these traces.
    pub fn unused(&self, traces: &[Trace]) -> Vec<String> {
        let used = |rule: &&Rule| {
            traces.iter().any(|trace| {
                let mut names = BTreeMap::new();
                trace.events.iter().any(|event| {
                    name(event, &mut names);
                    fits(&rule.key, event, &names)
                })
            })
        };
        let unused = self.rules.iter().filter(|rule| !used(rule));
        unused.map(|rule| rule.key.clone()).collect()
    }

    fn rule(&self, event: &Event, names: &BTreeMap<u32, String>) -> Option<&Rule> {
        self.rules.iter().find(|rule| fits(&rule.key, event, names))
    }
}

/// A goroutine that is made has a name.
fn name(event: &Event, names: &mut BTreeMap<u32, String>) {
    if let (Effect::Makes, Some(g), Some(name)) =
        (event.effect(), event.target(), event.args.get(1))
    {
        names.insert(g, name.clone());
    }
}

/// The first word is the event; each other one is an argument of it, or the name of the
/// goroutine that it is about or in whose row it stands.
fn fits(key: &str, event: &Event, names: &BTreeMap<u32, String>) -> bool {
    let mut words = key.split_whitespace();
    let name_of = |g: Option<u32>| g.and_then(|g| names.get(&g)).map(String::as_str);
    words.next() == Some(event.name.as_str())
        && words.all(|word| {
            event.args.iter().any(|arg| arg == word)
                || name_of(event.subject()) == Some(word)
                || name_of(event.g) == Some(word)
        })
}

/// Does this line hold a check: the head of a `#[gofunc]`, or a `prologue!`?
fn is_check(source: &[&str], line: usize) -> bool {
    let text = source[line].trim();
    if text.starts_with("//") {
        return false;
    }
    let attributes = source[..line]
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("#["));
    text.contains("prologue!(")
        || (text.contains("fn ") && attributes.into_iter().any(|line| line.contains("gofunc")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "use x;\n\nfn main() {\n    go(\"hog\", || work(1));\n    wait();\n}\n\n/// Works.\n#[gofunc]\nfn work(n: u64) {}\n";
    const TRACE: &str = "0 m0 p0 -- GoCreate g1 main\n0 m0 p0 -- GoStart g1\n1 m0 p0 g1 GoCreate g2 hog\n2 m0 p0 g1 GoBlock wait\n3 m0 p0 -- GoStart g2\n4 m0 p0 g2 GoPreempt coop\n5 m0 p0 -- GoStart g2\n6 m0 p0 g2 GoUnblock g1\n7 m0 p0 g2 GoEnd\n8 m0 p0 -- GoStart g1\n";

    fn lines(entries: &[(&str, &str)]) -> Result<Lines, String> {
        let entries = entries
            .iter()
            .map(|(key, text)| (key.to_string(), text.to_string()))
            .collect();
        Lines::new(&entries, LISTING)
    }

    #[test]
    fn events_have_the_line_that_was_named_or_none() {
        let known = lines(&[
            ("GoCreate hog", "go(\"hog\""),
            ("GoStart hog", "go(\"hog\""),
            ("GoBlock wait", "wait();"),
            ("GoPreempt coop", "fn work("),
        ])
        .unwrap();
        let trace = crate::trace::read(TRACE);
        assert_eq!(
            known.of(&trace),
            [
                None,
                None,
                Some(3),
                Some(4),
                Some(3),
                Some(9),
                // It goes on where it was preempted, and main where it waited.
                Some(9),
                None,
                None,
                Some(4)
            ]
        );
        assert_eq!(known.unused(&[trace]), Vec::<String>::new());
        let odd = lines(&[("GoSched", "wait();")]).unwrap();
        assert_eq!(odd.unused(&[crate::trace::read(TRACE)]), ["GoSched"]);
    }

    #[test]
    fn entries_are_held_to_the_source() {
        for (key, text, says) in [
            ("GoEnd", "nowhere", "exactly one line"),
            ("GoEnd", "work(", "exactly one line"),
            ("GoPreempt coop", "wait();", "one check"),
        ] {
            let error = lines(&[(key, text)]).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
