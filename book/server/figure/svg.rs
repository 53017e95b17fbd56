//! Writes the picture.
//!
//! From top to bottom: threads without a P (the third party that asks), the Ps with their
//! slices and signs, the goroutines, the time axis, and the key. Every element that means
//! something has a `<title>`; colors and fonts are classes, so that the page's theme rules
//! them. One element stands on one line and no line is empty: Markdown would end the block.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::frame::{escape, text_width};
use super::layout::{Layout, MARGIN};
use super::marks::{Sign, r};
use super::scale::Scale;
use super::timeline::{Lane, Mark, Span, State, Timeline};
use crate::trace::{Event, Trace, millis};
use safepoint_trace::Effect;

/// Height of a P's slices, and of the strip with the signs below them.
const SLICE: f64 = 22.0;
const STRIP: f64 = 13.0;
/// Height of a goroutine's lane.
const ROW: f64 = 15.0;
/// More lanes than this are not drawn: the picture says how many are left out.
pub(super) const MOST_LANES: usize = 24;
/// The most arrows of a picture.
const MOST_ARROWS: usize = 400;
/// The most slices of one lane of a crowded picture.
const MOST_SLICES: usize = 300;
/// Colors in use; goroutines share them in turn.
pub(super) const COLORS: u32 = 8;

/// The picture of a timeline, and where each event stands in it.
pub fn write(trace: &Trace, timeline: &Timeline, layout: Layout) -> (String, Vec<Spot>) {
    let scale = Scale::new(timeline, layout);
    let mut picture = Picture {
        timeline,
        layout,
        scale,
        body: String::new(),
        y: 6.0,
        rows: BTreeMap::new(),
        rows_of_g: BTreeMap::new(),
        signs: BTreeSet::new(),
        dense: timeline.lanes.values().map(Vec::len).sum::<usize>() > layout.many()
            || timeline.marks.len() > layout.many(),
    };
    picture.lanes();
    picture.marks();
    picture.arrows();
    picture.goroutines();
    picture.axis();
    picture.key();
    let spots = trace
        .events
        .iter()
        .map(|event| picture.spot(event))
        .collect();
    (picture.close(trace), spots)
}

/// Where an event stands in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Its time.
    pub x: f64,
    /// The lane of its P or thread, if that is drawn.
    pub lane: Option<f64>,
    /// The lane of the goroutine that it is about, if that is drawn.
    pub goroutine: Option<f64>,
}

/// A picture being written, from top to bottom.
pub(super) struct Picture<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) layout: Layout,
    pub(super) scale: Scale,
    pub(super) body: String,
    /// Where the next row begins.
    pub(super) y: f64,
    /// The height at which each lane's signs stand.
    pub(super) rows: BTreeMap<Lane, f64>,
    /// The middle of each goroutine's lane.
    rows_of_g: BTreeMap<u32, f64>,
    /// The signs that the key must explain.
    pub(super) signs: BTreeSet<Sign>,
    /// Too much to draw each thing.
    pub(super) dense: bool,
}

impl Picture<'_> {
    fn spot(&self, event: &Event) -> Spot {
        let lane = event.p.map_or(Lane::M(event.m), Lane::P);
        Spot {
            x: self.scale.x(event.us),
            lane: self.rows.get(&lane).copied(),
            goroutine: event
                .subject()
                .and_then(|g| self.rows_of_g.get(&g).copied()),
        }
    }

    fn lanes(&mut self) {
        for (lane, spans) in self.timeline.lanes.iter().take(MOST_LANES) {
            let (name, what, height) = match lane {
                Lane::M(m) => (format!("m{m}"), "a thread without a P", STRIP),
                Lane::P(p) => (
                    format!("p{p}"),
                    "a P: one goroutine at a time",
                    SLICE + STRIP,
                ),
            };
            let middle = match lane {
                Lane::M(_) => self.y + STRIP / 2.0,
                Lane::P(_) => self.y + SLICE / 2.0,
            };
            self.label(&name, what, middle);
            self.rule(middle);
            for span in self.coalesce(spans) {
                self.slice(&span, self.y, SLICE, true);
            }
            self.rows.insert(*lane, self.y + height - STRIP / 2.0);
            self.y += height + 6.0;
        }
        self.left_out(self.timeline.lanes.len(), "lanes");
    }

    /// Slices too small to be seen become one gray slice. In a lane that is crowded all
    /// the same, what counts as thin grows until `MOST_SLICES` are left.
    fn coalesce(&self, spans: &[Span]) -> Vec<Slice> {
        let mut thin = if self.dense { 1.5 } else { 0.0 };
        loop {
            let slices = self.merge(spans, thin);
            if !self.dense || slices.len() <= MOST_SLICES {
                return slices;
            }
            thin *= 2.0;
        }
    }

    fn merge(&self, spans: &[Span], limit: f64) -> Vec<Slice> {
        let mut out: Vec<Slice> = Vec::new();
        for span in spans {
            let (x0, x1) = (self.scale.x(span.from), self.scale.x(span.to));
            let thin = x1 - x0 < limit;
            if let Some(last) = out.last_mut()
                && thin
                && last.thin
                && x0 - last.x1 < limit
            {
                last.x1 = x1;
                last.to = span.to;
                last.many += 1;
                continue;
            }
            out.push(Slice {
                x0,
                x1,
                from: span.from,
                to: span.to,
                g: span.g,
                state: span.state,
                thin,
                many: 1,
            });
        }
        out
    }

    fn slice(&mut self, slice: &Slice, y: f64, height: f64, labeled: bool) {
        let width = (slice.x1 - slice.x0).max(0.8);
        let times = format!("{} to {} ms", millis(slice.from), millis(slice.to));
        let in_call = slice.state == State::InCall && slice.many == 1;
        let (class, title) = if slice.many > 1 {
            (
                "sp-many".to_string(),
                format!("{} short slices, {times}", slice.many),
            )
        } else if in_call {
            let who = self.name(slice.g);
            (
                "sp-in-call".to_string(),
                format!("{who} is in a system call, and this P lies there, {times}"),
            )
        } else {
            (
                format!("sp-c{}", slice.g % COLORS),
                format!("{} runs, {times}", self.name(slice.g)),
            )
        };
        let _ = writeln!(
            self.body,
            r#"<rect class="sp-slice {class}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}</title></rect>"#,
            r(slice.x0),
            r(y),
            r(width),
            r(height),
            escape(&title)
        );
        if labeled && slice.many == 1 {
            let full = self.name(slice.g);
            let short = format!("g{}", slice.g);
            let (texts, class) = if in_call {
                (["in a call".to_string(), "call".to_string()], "sp-in-open")
            } else {
                ([full, short], "sp-in")
            };
            let text = texts
                .into_iter()
                .find(|text| text_width(text) + 6.0 < width);
            if let Some(text) = text {
                let _ = writeln!(
                    self.body,
                    r#"<text class="{class}" x="{}" y="{}" text-anchor="middle">{}</text>"#,
                    r(slice.x0 + width / 2.0),
                    r(y + height / 2.0 + 4.0),
                    escape(&text)
                );
            }
        }
    }

    fn marks(&mut self) {
        let mut last: BTreeMap<(Lane, Sign), f64> = BTreeMap::new();
        for mark in &self.timeline.marks {
            let Some(y) = self.rows.get(&mark.lane) else {
                continue;
            };
            let x = self.scale.x(mark.us);
            let place = last.entry((mark.lane, mark.sign)).or_insert(f64::MIN);
            if self.dense && x - *place < 2.0 {
                continue;
            }
            *place = x;
            self.signs.insert(mark.sign);
            let _ = writeln!(
                self.body,
                r#"<path class="{}" d="{}"><title>{}</title></path>"#,
                mark.sign.class(),
                mark.sign.path(x, *y),
                escape(&mark.text)
            );
        }
    }

    /// From each request to what came of it, when that happened on another lane.
    fn arrows(&mut self) {
        let mut flows: BTreeMap<u32, Vec<&Mark>> = BTreeMap::new();
        for mark in &self.timeline.marks {
            if let Some(flow) = mark.flow {
                flows.entry(flow).or_default().push(mark);
            }
        }
        for marks in flows.values().take(MOST_ARROWS) {
            for pair in marks.windows(2) {
                let (Some(y0), Some(y1)) =
                    (self.rows.get(&pair[0].lane), self.rows.get(&pair[1].lane))
                else {
                    continue;
                };
                if y0 == y1 {
                    continue;
                }
                let down = if y1 > y0 { 1.0 } else { -1.0 };
                let (x0, y0) = (self.scale.x(pair[0].us), y0 + 5.0 * down);
                let (x1, y1) = (self.scale.x(pair[1].us), y1 - 6.0 * down);
                let half = (y0 + y1) / 2.0;
                let _ = writeln!(
                    self.body,
                    r#"<path class="sp-arrow" d="M{} {}C{} {} {} {} {} {}M{} {}L{} {}L{} {}"/>"#,
                    r(x0),
                    r(y0),
                    r(x0),
                    r(half),
                    r(x1),
                    r(half),
                    r(x1),
                    r(y1),
                    r(x1 - 2.6),
                    r(y1 - 4.0 * down),
                    r(x1),
                    r(y1),
                    r(x1 + 2.6),
                    r(y1 - 4.0 * down)
                );
            }
        }
    }

    fn goroutines(&mut self) {
        self.y += 4.0;
        for (g, spans) in self.timeline.goroutines.iter().take(MOST_LANES) {
            let middle = self.y + ROW / 2.0;
            self.rows_of_g.insert(*g, middle);
            self.label(&self.layout.label(self.timeline, *g), "a goroutine", middle);
            for slice in self.coalesce(spans) {
                if slice.state == State::Running || slice.many > 1 {
                    self.slice(&slice, self.y + 2.0, ROW - 4.0, false);
                } else {
                    self.waiting(&slice, middle);
                }
            }
            self.y += ROW + 2.0;
        }
        self.left_out(self.timeline.goroutines.len(), "goroutines");
    }

    fn waiting(&mut self, slice: &Slice, y: f64) {
        let (class, words) = match slice.state {
            State::Blocked => ("sp-blocked", "is blocked"),
            State::InCall => ("sp-call", "is in a system call"),
            _ => ("sp-runnable", "could run and waits"),
        };
        let place = format!(
            r#"class="{class}" d="M{} {}H{}""#,
            r(slice.x0),
            r(y),
            r(slice.x1.max(slice.x0 + 0.8))
        );
        // Thousands of pop-up texts would be most of the page, and they are too small to aim at.
        if self.dense {
            let _ = writeln!(self.body, "<path {place}/>");
            return;
        }
        let title = format!(
            "{} {words}, {} to {} ms",
            self.name(slice.g),
            millis(slice.from),
            millis(slice.to)
        );
        let _ = writeln!(
            self.body,
            "<path {place}><title>{}</title></path>",
            escape(&title)
        );
    }

    fn close(self, trace: &Trace) -> String {
        let width = self.scale.right() + MARGIN;
        let procs = self
            .timeline
            .lanes
            .keys()
            .filter(|lane| matches!(lane, Lane::P(_)));
        let times = |effect| trace.events.iter().filter(|e| e.effect() == effect).count();
        let alt = format!(
            "Trace of {} goroutines on {} Ps over {} ms: {} requests to stop, {} times a goroutine gave way.",
            self.timeline.goroutines.len(),
            procs.count(),
            millis(self.timeline.end.saturating_sub(self.timeline.start)),
            times(Effect::Asks),
            times(Effect::Obeys),
        );
        format!(
            r#"<svg class="{class}" role="img" aria-label="{alt}" viewBox="0 0 {w} {h}" width="{w}" height="{h}" xmlns="http://www.w3.org/2000/svg"><desc>{alt}</desc>
{}</svg>"#,
            self.body,
            class = self.layout.class(width),
            w = r(width),
            h = r(self.y),
        )
    }

    /// The goroutine's number and name.
    pub(super) fn name(&self, g: u32) -> String {
        Layout::Wide.label(self.timeline, g)
    }
}

/// A span with its place.
struct Slice {
    x0: f64,
    x1: f64,
    from: u64,
    to: u64,
    g: u32,
    state: State,
    thin: bool,
    many: usize,
}

/// Names are the reader's own strings; a long one would push the picture aside.
pub(super) fn shorten(name: &str) -> String {
    if name.chars().count() <= 14 {
        return name.to_string();
    }
    let start: String = name.chars().take(13).collect();
    format!("{start}…")
}
