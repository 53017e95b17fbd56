//! Draws a trace as a picture: what ran where, what waited, what asked and what came of it.
//!
//! `sleeps` is apart: the curve of sysmon's sleeps. Of the others, `timeline` turns events into lanes and marks, `scale` turns times into positions,
//! `marks` knows the signs, `svg` writes the lanes and `frame` what stands around them. It
//! is plain inline SVG: it needs no script, prints, and takes its colors from the page's
//! theme. Each trace is drawn twice, for a wide and for a narrow page (`layout`), and the
//! style sheet shows the one that fits.

mod frame;
mod layout;
mod marks;
mod scale;
mod sleeps;
mod svg;
mod timeline;

pub use sleeps::draw as draw_sleeps;
pub use svg::Spot;

use crate::trace::Trace;
use layout::Layout;

/// The picture of a trace, or `None` when there is nothing to draw.
pub fn draw(trace: &Trace) -> Option<String> {
    draw_with_spots(trace).map(|(picture, _)| picture)
}

/// The picture, and for each event of the trace where it stands: on a wide page, and on a
/// narrow one.
pub fn draw_with_spots(trace: &Trace) -> Option<(String, Vec<[Spot; 2]>)> {
    let timeline = timeline::Timeline::new(trace);
    if timeline.is_empty() {
        return None;
    }
    let (wide, on_wide) = svg::write(trace, &timeline, Layout::Wide);
    let (narrow, on_narrow) = svg::write(trace, &timeline, Layout::Narrow);
    let spots = on_wide.into_iter().zip(on_narrow);
    Some((
        format!("{wide}\n{narrow}"),
        spots.map(|(wide, narrow)| [wide, narrow]).collect(),
    ))
}

#[cfg(test)]
mod tests;
