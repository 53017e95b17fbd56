//! What stands between `{{#` and `}}`.
//!
//! A directive is a name and some words. This file only reads it; `expand` carries it out.
//! Every word must be understood: a misspelt option is a problem, never ignored.

use std::fmt;

/// An example and the number of Ps of its recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The stage's package.
    pub pkg: String,
    /// The example's name.
    pub name: String,
    /// The recorded numbers of Ps, in the order in which they are shown.
    pub procs: Vec<u32>,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `include PATH[:ANCHOR | :FROM[:TO]]`: part of a file of the repository.
    Include(String),
    /// `example PKG/NAME [procs=1,2] [nolisting]`: listing, run panel and recorded runs.
    Example {
        /// Which one.
        run: Run,
        /// Is the source shown?
        listing: bool,
    },
    /// `trace PKG/NAME [procs=1]`: the text of the recorded trace.
    Trace(Run),
    /// `strip PKG/NAME [procs=1]`: the picture of the recorded trace.
    Strip(Run),
    /// `output PKG/NAME [procs=1]`: what the recorded run printed.
    Output(Run),
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
}

impl Directive {
    /// Reads the text between `{{#` and `}}`.
    pub fn parse(text: &str) -> Result<Directive, String> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or("");
        let first = words.next();
        let rest: Vec<&str> = words.collect();
        let Some(first) = first else {
            return Err(format!("`{{{{#{name}}}}}` needs a name after `{name}`"));
        };
        let directive = match name {
            "include" => {
                nothing_left(&rest)?;
                Directive::Include(first.to_string())
            }
            "snapshot" => {
                nothing_left(&rest)?;
                Directive::Snapshot(first.to_string())
            }
            "example" => {
                let (run, mut left) = run(first, &rest)?;
                let listing = !left.contains(&"nolisting");
                left.retain(|word| *word != "nolisting");
                nothing_left(&left)?;
                Directive::Example { run, listing }
            }
            "trace" | "strip" | "output" => {
                let (run, left) = run(first, &rest)?;
                nothing_left(&left)?;
                if run.procs.len() > 1 {
                    return Err(format!("`{name}` shows one run: give one number in procs="));
                }
                match name {
                    "trace" => Directive::Trace(run),
                    "strip" => Directive::Strip(run),
                    _ => Directive::Output(run),
                }
            }
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
            _ => {
                return Err(format!(
                    "`{{{{#{name}` is no directive; there are include, example, trace, strip, output, count and snapshot (write \\{{{{# for the text itself)"
                ));
            }
        };
        Ok(directive)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pkg, self.name)
    }
}

fn run<'a>(target: &str, rest: &[&'a str]) -> Result<(Run, Vec<&'a str>), String> {
    let Some((pkg, name)) = target.split_once('/') else {
        return Err(format!("`{target}` is not of the form PACKAGE/EXAMPLE"));
    };
    let mut procs = vec![1];
    let mut left = Vec::new();
    for word in rest {
        if let Some(list) = word.strip_prefix("procs=") {
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
    }

    #[test]
    fn mistakes_are_told() {
        for (text, part) in [
            ("example", "needs a name"),
            ("example hello", "PACKAGE/EXAMPLE"),
            ("example a/b procs=x", "no list of numbers"),
            ("example a/b procs=0", "no list of numbers"),
            ("example a/b nolistings", "not understood"),
            ("strip a/b procs=1,2", "one number"),
            ("count a/b", "event's name"),
            ("playground x", "no directive"),
        ] {
            let error = Directive::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
