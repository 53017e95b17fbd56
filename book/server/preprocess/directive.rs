//! What stands between `{{#` and `}}`.
//!
//! A directive is a name and some words: `FORMS` has them all. This file only reads it;
//! `expand` carries it out. Every word must be understood: a misspelled option is a problem,
//! never ignored.

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
    /// For every reader.
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

/// The words of a directive.
struct Words<'a> {
    name: &'static str,
    /// Everything behind the name, as it is written.
    text: &'a str,
    first: &'a str,
    rest: Vec<&'a str>,
}

/// A directive's form.
struct Form {
    name: &'static str,
    /// What it lacks if there is no word behind its name; `None` if it takes none.
    needs: Option<&'static str>,
    read: fn(&Words<'_>) -> Result<Directive, String>,
}

const fn form(
    name: &'static str,
    needs: Option<&'static str>,
    read: fn(&Words<'_>) -> Result<Directive, String>,
) -> Form {
    Form { name, needs, read }
}

const A_NAME: Option<&str> = Some("a name after it");
const A_WORD: Option<&str> = Some("a word: {{#page core}} or {{#page deeper}}");
const A_TITLE: Option<&str> = Some("a title: {{#deeper How the ring is read}}");
const A_QUESTION: Option<&str> = Some(
    "a question: {{#predict count stage1-coop/two_hogs procs=1 GoPreempt}}, or value, order, printed",
);

/// Every directive there is.
const FORMS: [Form; 16] = [
    form("include", A_NAME, |w| w.only().map(Directive::Include)),
    form("example", A_NAME, example),
    form("stages", A_NAME, |w| {
        stages(w.first, &w.rest).map(Directive::Stages)
    }),
    form("trace", A_NAME, |w| {
        let (run, left) = w.one_run()?;
        let part = Excerpt::parse(&left)?;
        Ok(Directive::Trace { run, part })
    }),
    form("strip", A_NAME, |w| w.only_run().map(Directive::Strip)),
    form("output", A_NAME, |w| w.only_run().map(Directive::Output)),
    form("player", A_NAME, |w| w.only_run().map(Directive::Player)),
    form("sleeps", A_NAME, |w| w.only_run().map(Directive::Sleeps)),
    form("count", A_NAME, count),
    form("snapshot", A_NAME, |w| w.only().map(Directive::Snapshot)),
    form("figure", A_NAME, |w| w.only().map(Directive::Figure)),
    form("page", A_WORD, page),
    form("deeper", A_TITLE, |w| {
        Ok(Directive::Deeper(w.text.to_string()))
    }),
    form("predict", A_QUESTION, |w| {
        Query::parse(w.first, &w.rest).map(Directive::Predict)
    }),
    form("exercise", A_NAME, |w| w.only().map(Directive::Exercise)),
    form("mechanisms", None, |w| {
        nothing_left(&w.rest)?;
        Ok(Directive::Mechanisms)
    }),
];

impl Directive {
    /// Reads the text between `{{#` and `}}`.
    pub fn parse(text: &str) -> Result<Directive, String> {
        let text = text.trim();
        let name = text.split_whitespace().next().unwrap_or("");
        let form = FORMS.iter().find(|form| form.name == name);
        let form = form.ok_or_else(|| unknown(name))?;
        let text = text[name.len()..].trim();
        let mut rest: Vec<&str> = text.split_whitespace().collect();
        let first = match form.needs {
            Some(needs) if rest.is_empty() => {
                return Err(format!("`{{{{#{name}}}}}` needs {needs}"));
            }
            Some(_) => rest.remove(0),
            None => "",
        };
        (form.read)(&Words {
            name: form.name,
            text,
            first,
            rest,
        })
    }
}

fn unknown(name: &str) -> String {
    format!(
        "`{{{{#{name}` is no directive; there are {} (write \\{{{{# for the text itself)",
        FORMS.map(|form| form.name).join(", ")
    )
}

impl<'a> Words<'a> {
    /// The one word that there is.
    fn only(&self) -> Result<String, String> {
        nothing_left(&self.rest)?;
        Ok(self.first.to_string())
    }

    /// A run with one number of Ps, and the words that are left.
    fn one_run(&self) -> Result<(Run, Vec<&'a str>), String> {
        let (run, left) = run(self.first, &self.rest)?;
        if run.procs.len() > 1 {
            return Err(format!(
                "`{}` shows one run: give one number in procs=",
                self.name
            ));
        }
        Ok((run, left))
    }

    /// A run with one number of Ps, and nothing else.
    fn only_run(&self) -> Result<Run, String> {
        let (run, left) = self.one_run()?;
        nothing_left(&left)?;
        Ok(run)
    }
}

fn example(words: &Words<'_>) -> Result<Directive, String> {
    let (mut run, mut left) = run(words.first, &words.rest)?;
    if left.contains(&"unrecorded") {
        run.procs.clear();
        left.retain(|word| *word != "unrecorded");
    }
    if run.pkg.is_empty() {
        return Err(format!(
            "`{}` is not of the form PACKAGE/EXAMPLE",
            words.first
        ));
    }
    let listing = !left.contains(&"nolisting");
    left.retain(|word| *word != "nolisting");
    nothing_left(&left)?;
    Ok(Directive::Example { run, listing })
}

fn count(words: &Words<'_>) -> Result<Directive, String> {
    let (run, left) = run(words.first, &words.rest)?;
    let (event, argument) = match left.as_slice() {
        [event] => (event.to_string(), None),
        [event, argument] => (event.to_string(), Some(argument.to_string())),
        _ => {
            return Err(
                "`count` needs the event's name, and at most one of its arguments".to_string(),
            );
        }
    };
    Ok(Directive::Count {
        run,
        event,
        argument,
    })
}

fn page(words: &Words<'_>) -> Result<Directive, String> {
    match words.only()?.as_str() {
        "core" => Ok(Directive::Page(Kind::Core)),
        "deeper" => Ok(Directive::Page(Kind::Deeper)),
        word => Err(format!(
            "a page is core or deeper, not `{word}`: write {{{{#page core}}}}"
        )),
    }
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
