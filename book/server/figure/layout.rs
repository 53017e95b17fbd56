//! The two forms of a picture: for a page with room, and for a phone.
//!
//! A picture that is only made smaller cannot be read on a phone. So the narrow form is
//! drawn for about 320 pixels: the lanes have short names, and the key says the rest.

use super::svg::{MOST_LANES, shorten};
use super::timeline::Timeline;

/// For which page a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Long names at the left edge, and more width for a long run.
    Wide,
    /// One width for all, short names.
    Narrow,
}

/// Up to so many moments have room in the usual width.
const USUAL: f64 = 60.0;
/// The whole width of a narrow picture.
const NARROW: f64 = 330.0;
/// What is left free at the right edge, for the last sign and the last number.
pub const MARGIN: f64 = 14.0;

impl Layout {
    /// The name at the left edge of a goroutine's lane.
    pub fn label(self, timeline: &Timeline, g: u32) -> String {
        match (self, timeline.names.get(&g)) {
            (Layout::Wide, Some(name)) => format!("g{g} {}", shorten(name)),
            _ => format!("g{g}"),
        }
    }

    /// Where the drawing area begins: behind the longest label.
    pub fn left(self, timeline: &Timeline) -> f64 {
        let labels = timeline.goroutines.keys().take(MOST_LANES);
        let longest = labels
            .map(|g| self.label(timeline, *g).chars().count())
            .max();
        longest.unwrap_or(0).max(3) as f64 * 7.0 + 16.0
    }

    /// The width of the drawing area, for so many steps from moment to moment.
    pub fn width(self, left: f64, steps: f64) -> f64 {
        match self {
            Layout::Wide if steps <= USUAL => 600.0,
            Layout::Wide => (steps * 20.0).min(1500.0),
            Layout::Narrow => NARROW - left - MARGIN,
        }
    }

    /// From so many slices or signs on, what could not be told apart is drawn as one.
    pub fn many(self) -> usize {
        match self {
            Layout::Wide => 400,
            Layout::Narrow => 150,
        }
    }

    /// The class of a picture of this width.
    pub fn class(self, width: f64) -> &'static str {
        match self {
            Layout::Narrow => "sp-svg sp-narrow",
            Layout::Wide if width > 800.0 => "sp-svg sp-wide sp-long",
            Layout::Wide => "sp-svg sp-wide",
        }
    }
}
