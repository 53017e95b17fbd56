//! Carries out the directives of one chapter, line by line.
//!
//! Each line of the result remembers the line that it came from, so that a problem found
//! later (a dead link in a generated table, say) still names a line that the author can open.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::directive::{Directive, Run};
use super::{Expanded, Problem, Safepoint, include, panel, rules};
use crate::figure;
use crate::snapshot::{Recording, Snapshots};
use crate::trace::Trace;
use crate::workspace::Example;

impl Safepoint {
    /// Expands one chapter; what is wrong goes to `problems`.
    pub fn chapter(&self, path: PathBuf, source: &str, problems: &mut Vec<Problem>) -> Expanded {
        let (fences, wrong) = rules::check(source);
        let mut chapter = ChapterRun {
            book: self,
            folder: self.chapters().join(path.parent().unwrap_or(Path::new(""))),
            wrong,
            ids: BTreeSet::new(),
        };
        let mut text = String::new();
        let mut origin = Vec::new();
        for (index, line) in source.lines().enumerate() {
            let number = index + 1;
            // The lines of the fences themselves count as inside: nothing is expanded there.
            let fenced = fences
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&number));
            let new = chapter.line(line, fenced).unwrap_or_else(|what| {
                chapter.wrong.push((number, what));
                line.to_string()
            });
            for piece in new.split('\n') {
                text.push_str(piece);
                text.push('\n');
                origin.push(number);
            }
        }
        for (line, what) in chapter.wrong {
            problems.push(Problem {
                chapter: path.display().to_string(),
                line,
                what,
            });
        }
        Expanded { path, text, origin }
    }
}

/// The state of one chapter while it is expanded.
struct ChapterRun<'a> {
    book: &'a Safepoint,
    folder: PathBuf,
    wrong: Vec<(usize, String)>,
    /// Ids given out on this page: an example shown twice gets one only once.
    ids: BTreeSet<String>,
}

impl ChapterRun<'_> {
    /// A line with its directives carried out.
    fn line(&mut self, line: &str, fenced: bool) -> Result<String, String> {
        let body = line.trim_start_matches([' ', '\t', '>']);
        let prefix = &line[..line.len() - body.len()];
        let alone = body
            .trim_end()
            .strip_prefix("{{#")
            .and_then(|rest| rest.strip_suffix("}}"))
            .filter(|inner| !inner.contains("}}"));
        if let Some(inner) = alone {
            let directive = Directive::parse(inner)?;
            if fenced && !matches!(directive, Directive::Include(_) | Directive::Count { .. }) {
                return Err("only include and count can stand inside a fence".to_string());
            }
            let text = self.carry_out(&directive)?;
            let lines: Vec<String> = text
                .lines()
                .map(|line| format!("{prefix}{line}").trim_end().to_string())
                .collect();
            return Ok(lines.join("\n"));
        }
        self.inline(line)
    }

    /// Directives in the middle of a sentence: only numbers can stand there.
    fn inline(&mut self, line: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find("{{#") {
            let before = &rest[..at];
            if let Some(before) = before.strip_suffix('\\') {
                out.push_str(before);
                out.push_str("{{#");
                rest = &rest[at + 3..];
                continue;
            }
            let inner = &rest[at + 3..];
            let Some(end) = inner.find("}}") else {
                return Err("`{{#` without `}}` on the same line".to_string());
            };
            let directive = Directive::parse(&inner[..end])?;
            if !matches!(directive, Directive::Count { .. }) {
                return Err(
                    "only count can stand inside a line; give this one a line of its own"
                        .to_string(),
                );
            }
            out.push_str(before);
            out.push_str(&self.carry_out(&directive)?);
            rest = &inner[end + 2..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn carry_out(&mut self, directive: &Directive) -> Result<String, String> {
        match directive {
            Directive::Include(spec) => include::read(&self.book.ws.root, &self.folder, spec),
            Directive::Snapshot(name) => self.table(name),
            Directive::Example { run, listing } => {
                let example = self.example(run)?;
                let mut recorded = Vec::new();
                for procs in &run.procs {
                    recorded.push((*procs, self.recording(run, *procs)?));
                }
                let id = format!("example-{}-{}", run.pkg, run.name);
                let id = self.ids.insert(id.clone()).then_some(id);
                let known = self.book.ws.snapshots.recorded_procs(&run.pkg, &run.name);
                Ok(panel::example(&example, id, *listing, &recorded, &known))
            }
            Directive::Trace(run) => self.shown(run, |recording| {
                panel::fence("text", recording.trace.trim_end())
            }),
            Directive::Output(run) => self.shown(run, panel::output),
            Directive::Strip(run) => self.shown(run, |recording| {
                let picture = figure::draw(&Trace::parse(&recording.trace));
                panel::picture(picture.as_deref())
            }),
            Directive::Count {
                run,
                event,
                argument,
            } => {
                self.example(run)?;
                let text = match self.recording(run, run.procs[0])? {
                    Ok(recording) => Trace::parse(&recording.trace)
                        .count(event, argument.as_deref())
                        .to_string(),
                    Err(_) => r#"<span class="sp-missing">?</span>"#.to_string(),
                };
                Ok(text)
            }
        }
    }

    fn shown(&self, run: &Run, show: impl Fn(&Recording) -> String) -> Result<String, String> {
        self.example(run)?;
        Ok(match self.recording(run, run.procs[0])? {
            Ok(recording) => show(&recording),
            Err(what) => panel::missing(&what),
        })
    }

    fn example(&self, run: &Run) -> Result<Example, String> {
        self.book.ws.example(&run.pkg, &run.name).ok_or_else(|| {
            let known = self.book.ws.example_names().join(", ");
            format!("there is no example {run}; there are: {known}")
        })
    }

    /// The recorded run; inside, the words of the red box when the build is not strict.
    fn recording(&self, run: &Run, procs: u32) -> Result<Result<Recording, String>, String> {
        let found = self
            .book
            .ws
            .snapshots
            .recording(&run.pkg, &run.name, procs, 1)
            .map_err(|error| format!("{error:#}"))?;
        let file = Snapshots::file_name(&run.pkg, &run.name, procs, 1);
        self.or_missing(found, &file)
    }

    fn table(&self, name: &str) -> Result<String, String> {
        let found = self
            .book
            .ws
            .snapshots
            .table(name)
            .map_err(|error| format!("{error:#}"))?;
        Ok(match self.or_missing(found, &format!("{name}.snap"))? {
            Ok(text) if text.trim().is_empty() => return Err(format!("{name}.snap is empty")),
            Ok(text) => text.trim_end().to_string(),
            Err(what) => panel::missing(&what),
        })
    }

    fn or_missing<T>(&self, found: Option<T>, file: &str) -> Result<Result<T, String>, String> {
        match found {
            Some(found) => Ok(Ok(found)),
            None => {
                let what = format!(
                    "tests/snapshots/{file} is not there: record it with INSTA_UPDATE=always cargo test -p tests"
                );
                if self.book.strict {
                    Err(what)
                } else {
                    Ok(Err(what))
                }
            }
        }
    }
}
