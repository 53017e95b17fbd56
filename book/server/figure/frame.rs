//! What stands around the lanes: their names, the time axis, and the key of the signs.
//!
//! The key lists only what occurs in this picture, so that a reader of a short trace is not
//! made to learn signs that it does not have.

use std::fmt::Write;

use super::layout::{Layout, MARGIN};
use super::marks::r;
use super::svg::{COLORS, MOST_LANES, Picture};
use super::timeline::{Span, State};
use crate::trace::millis;

/// About as wide as a digit of the axis is.
const DIGIT: f64 = 7.0;

impl Picture<'_> {
    /// The time axis.
    pub(super) fn axis(&mut self) {
        let y = self.y + 4.0;
        let _ = writeln!(
            self.body,
            r#"<path class="sp-axis" d="M{} {}H{}"/>"#,
            r(self.scale.left()),
            r(y),
            r(self.scale.right())
        );
        for us in self.scale.ticks(self.timeline.start, self.timeline.end) {
            let (x, text) = (self.scale.x(us), short_millis(us));
            // A long number at the end of the axis would be cut at the picture's edge.
            let half = text.chars().count() as f64 * DIGIT / 2.0;
            let middle = x.min(self.scale.right() + MARGIN - half);
            let _ = writeln!(
                self.body,
                r#"<path class="sp-axis" d="M{} {}v5"/><text class="sp-small" x="{}" y="{}" text-anchor="middle">{text}</text>"#,
                r(x),
                r(y),
                r(middle),
                r(y + 17.0),
            );
        }
        let _ = writeln!(
            self.body,
            r#"<text class="sp-small" x="{}" y="{}" text-anchor="end">ms</text>"#,
            r(self.scale.left() - 8.0),
            r(y + 17.0)
        );
        self.y = y + 30.0;
    }

    /// Explains the signs and lines that occur.
    pub(super) fn key(&mut self) {
        let left = match self.layout {
            Layout::Wide => self.scale.left(),
            Layout::Narrow => 6.0,
        };
        let states = [
            ("sp-slice sp-c1", "runs", State::Running),
            ("sp-runnable", "could run, waits", State::Runnable),
            ("sp-blocked", "blocked", State::Blocked),
            ("sp-call", "in a system call", State::InCall),
        ];
        let used = |state| {
            let mut spans = self.timeline.goroutines.values().flatten();
            spans.any(|span: &Span| span.state == state)
        };
        let mut items = self.names_in_key();
        for (class, words, state) in states {
            // Where the key has the goroutines' own colors, it need not say that they run.
            let told = state == State::Running && !items.is_empty();
            if used(state) && !told {
                let shape = match state {
                    State::Running => format!(
                        r#"<rect class="{class}" x="-9" y="-5" width="18" height="10" rx="2"/>"#
                    ),
                    _ => format!(r#"<path class="{class}" d="M-9 0H9"/>"#),
                };
                items.push((shape, words.to_string()));
            }
        }
        for sign in &self.signs {
            let shape = format!(
                r#"<path class="{}" d="{}"/>"#,
                sign.class(),
                sign.path(0.0, 0.0)
            );
            items.push((shape, sign.words().to_string()));
        }
        let (mut x, mut y) = (left, self.y + 8.0);
        for (shape, words) in items {
            let width = text_width(&words) + 36.0;
            if x + width > self.scale.right() + 12.0 && x > left {
                x = left;
                y += 18.0;
            }
            let _ = writeln!(
                self.body,
                r#"<g transform="translate({} {})">{shape}</g><text class="sp-small" x="{}" y="{}">{words}</text>"#,
                r(x + 9.0),
                r(y),
                r(x + 23.0),
                r(y + 4.0)
            );
            x += width;
        }
        self.y = y + 10.0;
    }

    /// The names of the goroutines, where the lanes have no room for them.
    fn names_in_key(&self) -> Vec<(String, String)> {
        if self.layout == Layout::Wide {
            return Vec::new();
        }
        let all = self.timeline.goroutines.keys().take(MOST_LANES);
        all.filter(|g| self.timeline.names.contains_key(g))
            .map(|g| {
                let shape = format!(
                    r#"<rect class="sp-slice sp-c{}" x="-9" y="-5" width="18" height="10" rx="2"/>"#,
                    g % COLORS
                );
                (shape, escape(&self.name(*g)))
            })
            .collect()
    }

    /// The name at the left edge of a lane.
    pub(super) fn label(&mut self, text: &str, title: &str, middle: f64) {
        let _ = writeln!(
            self.body,
            r#"<text class="sp-label" x="{}" y="{}" text-anchor="end">{}<title>{title}</title></text>"#,
            r(self.scale.left() - 8.0),
            r(middle + 4.0),
            escape(text)
        );
    }

    /// The thin line of a lane, visible where nothing runs.
    pub(super) fn rule(&mut self, y: f64) {
        let _ = writeln!(
            self.body,
            r#"<path class="sp-idle" d="M{} {}H{}"/>"#,
            r(self.scale.left()),
            r(y),
            r(self.scale.right())
        );
    }

    /// Says how many lanes were not drawn.
    pub(super) fn left_out(&mut self, all: usize, what: &str) {
        if all > MOST_LANES {
            self.y += 12.0;
            let _ = writeln!(
                self.body,
                r#"<text class="sp-small" x="{}" y="{}">and {} more {what}</text>"#,
                r(self.scale.left()),
                r(self.y),
                all - MOST_LANES
            );
            self.y += 6.0;
        }
    }
}

/// About the width of a text: the font is a fixed-width one of 12 units.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.0
}

/// `10` instead of `10.000`.
fn short_millis(us: u64) -> String {
    let text = millis(us);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Text between tags or in a quoted attribute. Control characters are not allowed in SVG.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
