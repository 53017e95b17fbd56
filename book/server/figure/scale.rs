//! From times to positions.
//!
//! A scheduler does ten things within microseconds and then nothing for ten milliseconds.
//! On a plain scale the ten things fall on one point. So each moment at which something
//! happened gets a small step of its own, and the rest of the width is shared out by time:
//! long slices still look long, and what happens at once can be told apart.

use super::layout::Layout;
use super::timeline::Timeline;

/// The widest step that a moment gets.
const STEP: f64 = 10.0;

/// How a time becomes an x position.
#[derive(Debug)]
pub struct Scale {
    left: f64,
    width: f64,
    moments: Vec<u64>,
    step: f64,
    per_us: f64,
}

impl Scale {
    /// The scale of a timeline.
    pub fn new(timeline: &Timeline, layout: Layout) -> Scale {
        let left = layout.left(timeline);
        let moments: Vec<u64> = timeline.moments.iter().copied().collect();
        let steps = moments.len().saturating_sub(1).max(1) as f64;
        let width = layout.width(left, steps);
        // At most half of the width goes to the steps, the other half stays true to time.
        let step = STEP.min(width / 2.0 / steps);
        let total = timeline.end.saturating_sub(timeline.start).max(1) as f64;
        Scale {
            left,
            width,
            moments,
            step,
            per_us: (width - step * steps) / total,
        }
    }

    /// Where the drawing area begins.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// Where the drawing area ends.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// The position of a time.
    pub fn x(&self, us: u64) -> f64 {
        let Some(first) = self.moments.first() else {
            return self.left;
        };
        // The number of moments up to `us`, and how far it is to the next one.
        let before = self.moments.partition_point(|moment| *moment <= us);
        let part = match (before.checked_sub(1), self.moments.get(before)) {
            (Some(last), Some(next)) => {
                let last = self.moments[last];
                (us - last) as f64 / (next - last) as f64
            }
            _ => 0.0,
        };
        let steps = before.saturating_sub(1) as f64 + part;
        self.left + steps * self.step + us.saturating_sub(*first) as f64 * self.per_us
    }

    /// Round times for the axis, far enough apart to write a number at each.
    pub fn ticks(&self, start: u64, end: u64) -> Vec<u64> {
        // 1, 2, 5, 10, 20, ...: two ticks are at least as far apart as their time says.
        let mut every = 1;
        let mut next = [2, 5, 10].into_iter().cycle();
        let mut decade = 1;
        while every as f64 * self.per_us < 46.0 && every < end.max(1) {
            let factor = next.next().unwrap_or(10);
            every = decade * factor;
            if factor == 10 {
                decade = every;
            }
        }
        let first = start.div_ceil(every);
        (first..=end / every).map(|n| n * every).collect()
    }
}
