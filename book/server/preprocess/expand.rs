//! What each directive stands for: the text that takes its place.
//!
//! `chapter` walks through the lines and calls [`ChapterRun::line`] for each of them.

use super::chapter::{ChapterRun, Top};
use super::directive::{Directive, Run};
use super::{card, drawing, include, mechanisms, panel, player, query, stages};
use crate::figure;
use crate::lines::Lines;
use crate::snapshot::{Recording, Snapshots};
use crate::trace;
use crate::workspace::Example;

impl ChapterRun<'_> {
    /// A line with its directives carried out.
    pub(super) fn line(
        &mut self,
        line: &str,
        fenced: bool,
        number: usize,
        top: Top,
    ) -> Result<String, String> {
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
            let block = matches!(
                directive,
                Directive::Page(_) | Directive::Deeper(_) | Directive::Exercise(_)
            );
            if block && !prefix.is_empty() {
                return Err(
                    "this directive must stand at the beginning of its line, outside of quotes and lists"
                        .to_string(),
                );
            }
            if let Directive::Page(kind) = directive {
                return self.page(kind, top);
            }
            if let Directive::Deeper(title) = &directive {
                return self.deeper(title, number);
            }
            let text = self.carry_out(&directive)?;
            let lines: Vec<String> = text
                .lines()
                .map(|line| format!("{prefix}{line}").trim_end().to_string())
                .collect();
            return Ok(lines.join("\n"));
        }
        let text = self.inline(line)?;
        self.words.add(&text, self.deeper.is_some());
        Ok(text)
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
            Directive::Include(spec) => {
                let text = include::read(&self.book.ws.root, &self.folder, spec)?;
                self.words.add(&text, self.deeper.is_some());
                Ok(text)
            }
            Directive::Snapshot(name) => {
                let text = self.table(name)?;
                self.words.add(&text, self.deeper.is_some());
                Ok(text)
            }
            Directive::Figure(name) => {
                let nth = self.nth(&format!("figure-{name}"));
                drawing::figure(&self.book.ws.book().join("figures"), name, nth)
            }
            Directive::Exercise(name) => self.card(name),
            Directive::Mechanisms => self.mechanisms(),
            Directive::Example { run, listing } => {
                // A reader who was just asked to predict this run should not see it by accident.
                let open = !self.predicted.contains(&run.to_string());
                self.shown_example(run, *listing, open)
            }
            Directive::Stages(runs) => {
                let mut stages = Vec::new();
                for run in runs {
                    stages.push((run.pkg.clone(), self.shown_example(run, false, true)?));
                }
                Ok(stages::write(&self.id("stages"), &stages))
            }
            Directive::Trace { run, part } => self.shown(run, |recording| {
                Ok(panel::fence("text", &part.cut(&recording.trace)?))
            }),
            Directive::Output(run) => self.shown(run, |recording| Ok(panel::output(recording))),
            Directive::Strip(run) => self.shown(run, |recording| {
                let picture = figure::draw(&trace::read(&recording.trace));
                Ok(panel::picture(picture.as_deref()))
            }),
            Directive::Sleeps(run) => {
                let id = self.id("sleeps");
                self.shown(run, |recording| {
                    let svg = figure::draw_sleeps(&recording.output)
                        .map_err(|what| format!("the output of {run} {what}"))?;
                    drawing::made(&svg, "sleeps", &id)
                })
            }
            Directive::Player(run) => self.player(run),
            // `line` has dealt with these.
            Directive::Page(_) | Directive::Deeper(_) | Directive::Predict(_) => Err(
                "this directive begins a block: give it a line of its own, outside of fences"
                    .to_string(),
            ),
            Directive::Count {
                run,
                event,
                argument,
            } => self.count(run, event, argument.as_deref()),
        }
    }

    fn mechanisms(&mut self) -> Result<String, String> {
        if self.nth("mechanisms") > 0 {
            return Err("the index of Go's names stands once on a page".to_string());
        }
        let file = self.book.ws.root.join(::mechanisms::FILE);
        let data = crate::files::text(&file, crate::files::MOST)
            .map_err(|_| format!("there is no file {}", ::mechanisms::FILE))?;
        mechanisms::write(&data, &self.path, &self.known.pages)
    }

    fn count(&self, run: &Run, event: &str, argument: Option<&str>) -> Result<String, String> {
        let Ok(recording) = self.recording(run, run.procs[0])? else {
            return Ok(r#"<span class="sp-missing">?</span>"#.to_string());
        };
        let trace = trace::read(&recording.trace);
        query::known(&trace, &self.legend(run), event)?;
        Ok(trace::count(&trace, event, argument).to_string())
    }

    fn shown_example(&mut self, run: &Run, listing: bool, open: bool) -> Result<String, String> {
        let example = self.example(run)?;
        let mut recorded = Vec::new();
        for procs in &run.procs {
            recorded.push((*procs, self.recording(run, *procs)?));
        }
        let id = format!("example-{}-{}", run.pkg, run.name);
        let id = (self.nth(&id) == 0).then_some(id);
        if listing {
            self.words
                .add(&include::listing(&example.source), self.deeper.is_some());
        }
        let known = self.book.ws.snapshots.recorded_procs(&run.pkg, &run.name);
        Ok(panel::example(
            &example, id, listing, &recorded, &known, open,
        ))
    }

    fn player(&mut self, run: &Run) -> Result<String, String> {
        let recording = match self.recording(run, run.procs[0])? {
            Ok(recording) => recording,
            Err(what) => return Ok(panel::missing(&what)),
        };
        let id = self.id("player");
        if run.pkg.is_empty() {
            return Ok(player::write(&run.name, &recording.trace, None, &id));
        }
        let example = self.example(run)?;
        let listing = include::listing(&example.source);
        let lines = Lines::read(&self.book.ws.book(), &run.to_string(), &listing)?;
        let title = format!("{run}, GOMAXPROCS={}", run.procs[0]);
        Ok(player::write(
            &title,
            &recording.trace,
            Some((&listing, &lines)),
            &id,
        ))
    }

    fn shown(
        &self,
        run: &Run,
        show: impl Fn(&Recording) -> Result<String, String>,
    ) -> Result<String, String> {
        match self.recording(run, run.procs[0])? {
            Ok(recording) => show(&recording),
            Err(what) => Ok(panel::missing(&what)),
        }
    }

    fn example(&self, run: &Run) -> Result<Example, String> {
        self.book.ws.example(&run.pkg, &run.name).ok_or_else(|| {
            let known = self.book.ws.example_names().join(", ");
            format!("there is no example {run}; there are: {known}")
        })
    }

    /// The recorded run; inside, the words of the red box when the build is not strict.
    pub(super) fn recording(
        &self,
        run: &Run,
        procs: u32,
    ) -> Result<Result<Recording, String>, String> {
        let snapshots = &self.book.ws.snapshots;
        if run.pkg.is_empty() {
            let found = snapshots
                .named(&run.name)
                .map_err(|error| format!("{error:#}"))?;
            return self.or_missing(found, &format!("{}.snap", run.name));
        }
        self.example(run)?;
        let found = snapshots
            .recording(&run.pkg, &run.name, procs, 1)
            .map_err(|error| format!("{error:#}"))?;
        let file = Snapshots::file_name(&run.pkg, &run.name, procs, 1);
        self.or_missing(found, &file)
    }

    /// The legends of the events of a run's stage and of those below it, to tell a misspelled
    /// name.
    pub(super) fn legend(&self, run: &Run) -> String {
        let pkg = match run.pkg.as_str() {
            "" => run.name.split("__").next().unwrap_or(""),
            pkg => pkg,
        };
        let mut text = String::new();
        // A recording under another name may be of any stage.
        for stage in self.book.ws.stages() {
            if stage.as_str() <= pkg || !pkg.starts_with("stage") {
                let table = self.book.ws.snapshots.table(&format!("legend__{stage}"));
                text.push_str(&table.ok().flatten().unwrap_or_default());
            }
        }
        text
    }

    fn card(&mut self, name: &str) -> Result<String, String> {
        let Some(cards) = self.known.cards(&self.book.ws) else {
            // The build fails for that. Links to the card are not wrong meanwhile.
            return Ok(card::place(name));
        };
        let Some(card) = cards.iter().find(|card| card.name == name) else {
            let known: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
            return Err(format!(
                "there is no exercise {name} in exercises/; there are: {}",
                known.join(", ")
            ));
        };
        if self.nth(&format!("exercise-{name}")) > 0 {
            return Err(format!("the card of {name} stands on this page already"));
        }
        let text = card::write(card);
        self.words.add(&text, self.deeper.is_some());
        Ok(text)
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
