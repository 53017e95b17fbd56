//! Walks through one chapter, line by line and block by block.
//!
//! Each line of the result remembers the line that it came from, so that a problem found
//! later (a dead link in a generated table, say) still names a line that the author can open.
//! What a directive stands for is written in `expand`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::directive::{Directive, Kind};
use super::reading::Words;
use super::{Expanded, Known, Problem, Safepoint, panel, predict, rules};
use crate::trace;

impl Safepoint {
    /// Expands one chapter; what is wrong goes to `problems`.
    pub fn chapter(
        &self,
        path: PathBuf,
        source: &str,
        known: &Known,
        problems: &mut Vec<Problem>,
    ) -> Expanded {
        let (fences, wrong) = rules::check(source);
        let mut chapter = ChapterRun {
            book: self,
            folder: self.chapters().join(path.parent().unwrap_or(Path::new(""))),
            path: path.clone(),
            known,
            wrong,
            ids: BTreeMap::new(),
            predicted: BTreeSet::new(),
            words: Words::default(),
            deeper: None,
            page: None,
            top: Top::Before,
            out: Expanded {
                path,
                text: String::new(),
                origin: Vec::new(),
            },
        };
        let lines: Vec<(usize, String)> = source
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.to_string()))
            .collect();
        // The lines of the fences themselves count as inside: nothing is expanded there.
        let fenced = |number: usize| {
            fences
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&number))
        };
        let mut at = 0;
        while let Some((number, line)) = lines.get(at) {
            at += 1;
            if !fenced(*number) && line.trim_start().starts_with("{{#predict") {
                let end = lines[at..]
                    .iter()
                    .position(|(number, line)| !fenced(*number) && line.trim() == "{{/predict}}");
                let Some(end) = end else {
                    chapter.wrong(*number, "this predict block has no end: write {{/predict}} on a line of its own below its choices".to_string());
                    continue;
                };
                chapter.predict(*number, line, &lines[at..at + end], fenced);
                at += end + 1;
                continue;
            }
            chapter.one(*number, line, fenced(*number));
        }
        chapter.finish(problems)
    }
}

/// What stood on the page so far; the line about reading must come right below the heading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Top {
    /// Nothing.
    Before,
    /// The heading.
    Heading,
    /// More.
    Below,
}

/// The state of one chapter while it is expanded.
pub(super) struct ChapterRun<'a> {
    pub(super) book: &'a Safepoint,
    pub(super) folder: PathBuf,
    pub(super) path: PathBuf,
    pub(super) known: &'a Known,
    pub(super) wrong: Vec<(usize, String)>,
    /// Ids given out on this page, and how often: what is shown twice gets another one.
    pub(super) ids: BTreeMap<String, usize>,
    /// The examples that a question was asked about.
    pub(super) predicted: BTreeSet<String>,
    pub(super) words: Words,
    /// The line at which the open deeper section began.
    pub(super) deeper: Option<usize>,
    /// Where the line about reading goes once all words are counted.
    pub(super) page: Option<(usize, Kind)>,
    pub(super) top: Top,
    pub(super) out: Expanded,
}

impl ChapterRun<'_> {
    fn wrong(&mut self, number: usize, what: String) {
        self.wrong.push((number, what));
    }

    fn push(&mut self, number: usize, text: &str) {
        for piece in text.split('\n') {
            self.out.text.push_str(piece);
            self.out.text.push('\n');
            self.out.origin.push(number);
        }
    }

    /// How often this id was given out before.
    pub(super) fn nth(&mut self, id: &str) -> usize {
        let count = self.ids.entry(id.to_string()).or_default();
        *count += 1;
        *count - 1
    }

    /// An id that no other page has either: the page for printing holds them all.
    pub(super) fn id(&mut self, what: &str) -> String {
        let nth = self.nth(what) + 1;
        let page = self.path.with_extension("");
        let page = page.to_string_lossy().replace(['/', '\\'], "-");
        format!("{what}-{page}-{nth}")
    }

    /// Any line outside of a predict block.
    fn one(&mut self, number: usize, line: &str, fenced: bool) {
        if !fenced && line.trim() == "{{/deeper}}" {
            if self.deeper.take().is_none() {
                self.wrong(
                    number,
                    "{{/deeper}} without a {{#deeper TITLE}} above it".to_string(),
                );
            }
            self.push(number, "\n</section>\n");
            return;
        }
        if !fenced && line.contains("{{/") && !line.contains("\\{{/") {
            self.wrong(
                number,
                "only {{/deeper}} and {{/predict}} end a block, each on a line of its own below its beginning (write \\{{/ for the text itself)".to_string(),
            );
            return;
        }
        if self.deeper.is_some() && !fenced && line.starts_with("## ") {
            self.wrong(
                number,
                "a deeper section has one heading of this size, its title: use ### inside it, or end it with {{/deeper}}".to_string(),
            );
        }
        let top = self.top;
        if !line.trim().is_empty() {
            self.top = if top == Top::Before && line.starts_with("# ") {
                Top::Heading
            } else {
                Top::Below
            };
        }
        match self.line(line, fenced, number, top) {
            Ok(text) => self.push(number, &text),
            Err(what) => {
                self.wrong(number, what);
                self.push(number, line);
            }
        }
    }

    /// A whole predict block.
    fn predict(
        &mut self,
        number: usize,
        line: &str,
        body: &[(usize, String)],
        fenced: impl Fn(usize) -> bool,
    ) {
        self.top = Top::Below;
        let mut lines = Vec::new();
        for (at, line) in body {
            if line.trim_start().starts_with("{{#predict")
                || line.trim_start().starts_with("{{#deeper")
                || line.contains("{{/")
            {
                self.wrong(
                    *at,
                    "no block can stand inside a predict block: is its {{/predict}} missing?"
                        .to_string(),
                );
                return;
            }
            match self.line(line, fenced(*at), *at, Top::Below) {
                Ok(text) => lines.push((*at, text)),
                Err(what) => self.wrong(*at, what),
            }
        }
        if let Err((at, what)) = self.question(number, line, &lines) {
            self.wrong(at, what);
        }
    }

    fn question(
        &mut self,
        number: usize,
        line: &str,
        body: &[(usize, String)],
    ) -> Result<(), (usize, String)> {
        let here = |what| (number, what);
        let inner = line
            .trim()
            .strip_prefix("{{#")
            .and_then(|rest| rest.strip_suffix("}}"));
        let inner = inner
            .ok_or_else(|| here("`{{#predict QUERY}}` must stand alone on its line".to_string()))?;
        let Directive::Predict(query) = Directive::parse(inner).map_err(here)? else {
            return Ok(());
        };
        let recording = self
            .recording(&query.run, query.run.procs[0])
            .map_err(here)?;
        let recording = match recording {
            Ok(recording) => recording,
            Err(what) => {
                self.push(number, &panel::missing(&what));
                return Ok(());
            }
        };
        let trace = trace::read(&recording.trace);
        let answer = query
            .answer(&trace, &recording.output, &self.legend(&query.run))
            .map_err(here)?;
        self.predicted.insert(query.run.to_string());
        let id = self.id("predict");
        for (at, text) in predict::write(&query, &answer, number, body, &id)? {
            self.push(at, &text);
        }
        Ok(())
    }

    /// The chapter is read: what was left open, and the line that needed all words.
    fn finish(mut self, problems: &mut Vec<Problem>) -> Expanded {
        if let Some(line) = self.deeper {
            self.wrong(
                line,
                "this deeper section has no end: write {{/deeper}} on a line of its own below it"
                    .to_string(),
            );
        }
        if let Some((line, kind)) = self.page {
            let words = self.words.line(kind);
            let mut lines: Vec<&str> = self.out.text.lines().collect();
            if let Some(place) = lines.get_mut(line) {
                *place = &words;
            }
            self.out.text = lines.join("\n") + "\n";
        }
        for (line, what) in self.wrong {
            problems.push(Problem {
                chapter: self.path.display().to_string(),
                line,
                what,
            });
        }
        self.out
    }

    /// The place of the line about reading: it is filled in when all words are counted.
    pub(super) fn page(&mut self, kind: Kind, top: Top) -> Result<String, String> {
        if self.page.is_some() {
            return Err("a page says once how it is to be read: leave this one out".to_string());
        }
        if top != Top::Heading {
            return Err("this must stand directly below the page's heading `# ...`".to_string());
        }
        self.page = Some((self.out.origin.len(), kind));
        Ok(String::new())
    }

    pub(super) fn deeper(&mut self, title: &str, number: usize) -> Result<String, String> {
        if let Some(line) = self.deeper {
            return Err(format!(
                "the deeper section of line {line} is still open: end it with {{{{/deeper}}}} first"
            ));
        }
        self.deeper = Some(number);
        self.words.add(title, true);
        Ok(format!(
            "<section class=\"sp-deeper\">\n\n## {title}\n\n<p class=\"sp-deeper-mark\">Deeper: you may leave this section out at first.</p>\n"
        ))
    }
}
