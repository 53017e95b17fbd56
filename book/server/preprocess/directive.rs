//! What stands between `{{#` and `}}`.
//!
//! A directive is a name and some words. This file only reads it; `expand` carries it out.
//! Every word must be understood: a misspelt option is a problem, never ignored.

use std::fmt;

use super::excerpt::Excerpt;
use super::query::Query;

/// A recorded run: of an example, or under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The stage's package; empty for a recording that belongs to no example.
    pub pkg: String,
    /// The example's name, or the recording's file name without `.snap`.
    pub name: String,
    /// The recorded numbers of Ps, in the order in which they are shown.
    pub procs: Vec<u32>,
}

/// How a page is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For everybody.
    Core,
    /// May be left out at first.
    Deeper,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `include PATH[:ANCHOR | :FROM[:TO]]`: part of a file of the repository.
    Include(String),
    /// `example PKG/NAME [procs=1,2] [nolisting] [unrecorded]`: listing, run panel and
    /// recorded runs; unrecorded is what comes out differently each time.
    Example {
        /// Which one.
        run: Run,
        /// Is the source shown?
        listing: bool,
    },
    /// `stages PKG/NAME PKG/NAME ... [procs=1,2]`: one program under several stages, with a
    /// switch between them. No listing: they differ in a name only.
    Stages(Vec<Run>),
    /// `trace PKG/NAME [procs=1] [events=A:B | events=A | totals]`: the text of the recorded
    /// trace, or some of its lines.
    Trace {
        /// Which one.
        run: Run,
        /// Which of its lines.
        part: Excerpt,
    },
    /// `strip PKG/NAME [procs=1]`: the picture of the recorded trace.
    Strip(Run),
    /// `output PKG/NAME [procs=1]`: what the recorded run printed.
    Output(Run),
    /// `player PKG/NAME [procs=1]`: the recorded trace, event by event.
    Player(Run),
    /// `count PKG/NAME [procs=1] EVENT [ARGUMENT]`: how often an event was recorded.
    Count {
        /// Which one.
        run: Run,
        /// The event's name.
        event: String,
        /// One of its arguments.
        argument: Option<String>,
    },
    /// `snapshot NAME`: a generated table.
    Snapshot(String),
    /// `figure NAME`: a drawing of `book/figures`.
    Figure(String),
    /// `sleeps NAME`: the curve of sysmon's sleeps in a recorded run.
    Sleeps(Run),
    /// `page core` or `page deeper`: how to read the page, and how long that takes.
    Page(Kind),
    /// `deeper TITLE` to `{{/deeper}}`: a section that may be left out at first.
    Deeper(String),
    /// `predict QUERY` to `{{/predict}}`: a question whose answer was recorded.
    Predict(Query),
    /// `exercise NAME`: the card of an exercise.
    Exercise(String),
    /// `mechanisms`: the index of Go's names.
    Mechanisms,
}

impl Directive {
    /// Reads the text between `{{#` and `}}`.
    pub fn parse(text: &str) -> Result<Directive, String> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or("");
        if name == "mechanisms" {
            nothing_left(&words.collect::<Vec<_>>())?;
            return Ok(Directive::Mechanisms);
        }
        if let Some(what) = unknown(name) {
            return Err(what);
        }
        let Some(first) = words.next() else {
            return Err(format!("`{{{{#{name}}}}}` needs {}", needs(name)));
        };
        let rest: Vec<&str> = words.collect();
        let directive = match name {
            "include" | "snapshot" | "figure" | "exercise" | "page" => {
                nothing_left(&rest)?;
                single(name, first)?
            }
            "deeper" => {
                let title = text.trim().trim_start_matches("deeper").trim();
                Directive::Deeper(title.to_string())
            }
            "predict" => Directive::Predict(Query::parse(first, &rest)?),
            "example" => {
                let (mut run, mut left) = run(first, &rest)?;
                if left.contains(&"unrecorded") {
                    run.procs.clear();
                    left.retain(|word| *word != "unrecorded");
                }
                if run.pkg.is_empty() {
                    return Err(format!("`{first}` is not of the form PACKAGE/EXAMPLE"));
                }
                let listing = !left.contains(&"nolisting");
                left.retain(|word| *word != "nolisting");
                nothing_left(&left)?;
                Directive::Example { run, listing }
            }
            "stages" => Directive::Stages(stages(first, &rest)?),
            "count" => {
                let (run, left) = run(first, &rest)?;
                let (event, argument) = match left.as_slice() {
                    [event] => (event.to_string(), None),
                    [event, argument] => (event.to_string(), Some(argument.to_string())),
                    _ => {
                        return Err(
                            "`count` needs the event's name, and at most one of its arguments"
                                .to_string(),
                        );
                    }
                };
                Directive::Count {
                    run,
                    event,
                    argument,
                }
            }
            // trace, strip, output, player, sleeps
            _ => {
                let (run, left) = run(first, &rest)?;
                if run.procs.len() > 1 {
                    return Err(format!("`{name}` shows one run: give one number in procs="));
                }
                if name == "trace" {
                    let part = Excerpt::parse(&left)?;
                    return Ok(Directive::Trace { run, part });
                }
                nothing_left(&left)?;
                match name {
                    "sleeps" => Directive::Sleeps(run),
                    "strip" => Directive::Strip(run),
                    "player" => Directive::Player(run),
                    _ => Directive::Output(run),
                }
            }
        };
        Ok(directive)
    }
}

const NAMES: [&str; 16] = [
    "include",
    "example",
    "stages",
    "trace",
    "strip",
    "output",
    "player",
    "sleeps",
    "count",
    "snapshot",
    "figure",
    "page",
    "deeper",
    "predict",
    "exercise",
    "mechanisms",
];

fn unknown(name: &str) -> Option<String> {
    (!NAMES.contains(&name)).then(|| {
        format!(
            "`{{{{#{name}` is no directive; there are {} (write \\{{{{# for the text itself)",
            NAMES.join(", ")
        )
    })
}

/// What a directive without any word lacks.
fn needs(name: &str) -> &'static str {
    match name {
        "page" => "a word: {{#page core}} or {{#page deeper}}",
        "deeper" => "a title: {{#deeper How the ring is read}}",
        "predict" => {
            "a question: {{#predict count stage1-coop/two_hogs procs=1 GoPreempt}}, or value, or order"
        }
        _ => "a name after it",
    }
}

fn single(name: &str, word: &str) -> Result<Directive, String> {
    Ok(match name {
        "include" => Directive::Include(word.to_string()),
        "snapshot" => Directive::Snapshot(word.to_string()),
        "figure" => Directive::Figure(word.to_string()),
        "exercise" => Directive::Exercise(word.to_string()),
        _ => Directive::Page(match word {
            "core" => Kind::Core,
            "deeper" => Kind::Deeper,
            _ => {
                return Err(format!(
                    "a page is core or deeper, not `{word}`: write {{{{#page core}}}}"
                ));
            }
        }),
    })
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pkg.is_empty() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.pkg, self.name)
        }
    }
}

/// The run that a target and its `procs=` name, and the words that are left.
pub fn run<'a>(target: &str, rest: &[&'a str]) -> Result<(Run, Vec<&'a str>), String> {
    let (pkg, name) = target.split_once('/').unwrap_or(("", target));
    // A recording without an example has two underscores between the parts of its name.
    if pkg.is_empty() && !name.contains("__") {
        return Err(format!(
            "`{target}` is not of the form PACKAGE/EXAMPLE, nor the name of a file of tests/snapshots without .snap"
        ));
    }
    let mut procs = vec![1];
    let mut left = Vec::new();
    for word in rest {
        if let Some(list) = word.strip_prefix("procs=") {
            if pkg.is_empty() {
                return Err(format!(
                    "`{target}` names one recording; leave `{word}` out"
                ));
            }
            procs = list
                .split(',')
                .map(|number| number.parse::<u32>().ok().filter(|number| *number > 0))
                .collect::<Option<_>>()
                .ok_or_else(|| format!("`{word}` is no list of numbers, such as procs=1,2"))?;
        } else {
            left.push(*word);
        }
    }
    let run = Run {
        pkg: pkg.to_string(),
        name: name.to_string(),
        procs,
    };
    Ok((run, left))
}

/// Two targets or more, each of another stage, with the same `procs=`.
fn stages(first: &str, rest: &[&str]) -> Result<Vec<Run>, String> {
    let (options, targets): (Vec<&str>, Vec<&str>) =
        rest.iter().partition(|word| word.contains('='));
    let mut runs: Vec<Run> = Vec::new();
    for target in [first].into_iter().chain(targets) {
        let (run, left) = run(target, &options)?;
        nothing_left(&left)?;
        if run.pkg.is_empty() || runs.iter().any(|other| other.pkg == run.pkg) {
            return Err(format!(
                "`{target}`: a switch needs examples of different stages, each as PACKAGE/EXAMPLE"
            ));
        }
        runs.push(run);
    }
    if runs.len() < 2 {
        return Err("a switch between stages needs two examples at least".to_string());
    }
    Ok(runs)
}

fn nothing_left(words: &[&str]) -> Result<(), String> {
    match words.first() {
        None => Ok(()),
        Some(word) => Err(format!("`{word}` is not understood here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let directive = Directive::parse("example stage1-coop/deep procs=2,8 nolisting").unwrap();
        let Directive::Example { run, listing } = directive else {
            panic!("an example");
        };
        assert_eq!(
            (run.to_string().as_str(), listing),
            ("stage1-coop/deep", false)
        );
        assert_eq!(run.procs, [2, 8]);
        let Ok(Directive::Example { run, .. }) = Directive::parse("example a/b unrecorded") else {
            panic!("an example");
        };
        assert!(run.procs.is_empty());
        let Ok(Directive::Count {
            run,
            event,
            argument,
        }) = Directive::parse("count a/b procs=2 PollHit take")
        else {
            panic!("a count");
        };
        assert_eq!((run.procs, event.as_str()), (vec![2], "PollHit"));
        assert_eq!(argument.as_deref(), Some("take"));
        let Ok(Directive::Stages(runs)) = Directive::parse("stages a/b c/b_2 procs=1,2") else {
            panic!("a switch");
        };
        assert_eq!(runs.len(), 2);
        assert_eq!(
            (runs[1].to_string().as_str(), runs[1].procs.len()),
            ("c/b_2", 2)
        );
        let Ok(Directive::Trace { run, part }) = Directive::parse("trace review__three totals")
        else {
            panic!("a recording of its own");
        };
        assert_eq!(
            (run.to_string().as_str(), part),
            ("review__three", Excerpt::Totals)
        );
        assert_eq!(
            Directive::parse("deeper Who  holds it?").unwrap(),
            Directive::Deeper("Who  holds it?".to_string())
        );
        assert_eq!(
            Directive::parse("page deeper").unwrap(),
            Directive::Page(Kind::Deeper)
        );
        assert_eq!(
            Directive::parse("mechanisms").unwrap(),
            Directive::Mechanisms
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (text, part) in [
            ("example", "needs a name"),
            ("example hello", "PACKAGE/EXAMPLE"),
            ("example a__b", "PACKAGE/EXAMPLE"),
            ("example a/b procs=x", "no list of numbers"),
            ("example a/b procs=0", "no list of numbers"),
            ("example a/b nolistings", "not understood"),
            ("strip a/b procs=1,2", "one number"),
            ("trace a__b procs=1", "leave `procs=1` out"),
            ("trace a/b lines=1", "not understood here; write events="),
            ("count a/b", "event's name"),
            ("stages a/b", "two examples at least"),
            ("stages a/b a/c", "different stages"),
            ("stages a/b x__y", "different stages"),
            ("stages a/b c/d procs=0", "no list of numbers"),
            ("stages a/b c/d seed=2", "`seed=2` is not understood"),
            ("playground x", "no directive"),
            ("page", "{{#page core}}"),
            ("page hard", "core or deeper"),
            ("deeper", "needs a title"),
            ("predict", "needs a question"),
            ("mechanisms all", "not understood"),
            ("figure a b", "not understood"),
        ] {
            let error = Directive::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
