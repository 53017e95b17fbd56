//! Draws a trace as a picture: who ran where, who waited, who asked and what came of it.
//!
//! `timeline` turns events into lanes and marks, `scale` turns times into positions,
//! `marks` knows the signs, `svg` writes the lanes and `frame` what stands around them. It
//! is plain inline SVG: it needs no script, prints, and takes its colours from the page's
//! theme.

mod frame;
mod marks;
mod scale;
mod svg;
mod timeline;

pub use svg::Spot;

use crate::trace::Trace;

/// The picture of a trace, or `None` when there is nothing to draw.
pub fn draw(trace: &Trace) -> Option<String> {
    draw_with_spots(trace).map(|(picture, _)| picture)
}

/// The picture, and for each event of the trace where it stands.
pub fn draw_with_spots(trace: &Trace) -> Option<(String, Vec<Spot>)> {
    let timeline = timeline::Timeline::new(trace);
    (!timeline.is_empty()).then(|| svg::write(trace, &timeline))
}

#[cfg(test)]
mod tests;
