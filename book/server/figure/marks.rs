//! The signs of the picture: one shape per kind of event.
//!
//! Shape carries the meaning, color only repeats it, so that the picture can be read in
//! print and by readers who see colors differently. Events that the slices already show
//! (a start, an end) get no sign; events this file does not know get a plain dot.

use crate::trace::Event;
use safepoint_trace::{Effect, Next};

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The P was asked for.
    Request,
    /// A check saw the request and the goroutine goes.
    Taken,
    /// A check saw the request and it could not be granted now.
    Refused,
    /// The goroutine gave way because it was asked.
    Preempted,
    /// The goroutine gave way by itself.
    Yielded,
    /// The goroutine waits for something.
    Blocked,
    /// The goroutine made another one runnable.
    Woke,
    /// The usable part of a stack was enlarged.
    Grew,
    /// Work was taken from another P.
    Stole,
    /// The goroutine enters a system call.
    Called,
    /// It is back from it, with a P.
    Returned,
    /// It is back from it, and there is no P.
    ReturnedWithout,
    /// A P was taken out of a system call.
    Took,
    /// Any other event.
    Other,
}

impl Sign {
    /// The sign of an event, if it has one. What the slices show has none.
    pub fn of(event: &Event) -> Option<Sign> {
        let says = |word: &str| event.args.iter().any(|arg| arg.starts_with(word));
        match event.effect() {
            Effect::MakesM | Effect::StartsP | Effect::StopsP | Effect::Makes => None,
            Effect::Starts | Effect::StartsNext | Effect::Leaves(Next::Dead) => None,
            // Comes with the call; that the P's slice ends there says the rest.
            Effect::CallBlocks => None,
            Effect::Asks => Some(Sign::Request),
            Effect::Refuses if says("refuse") => Some(Sign::Refused),
            Effect::Refuses => Some(Sign::Taken),
            Effect::Declines => Some(Sign::Refused),
            Effect::Sends | Effect::Lands | Effect::Interrupts => Some(Sign::Other),
            Effect::Obeys => Some(Sign::Preempted),
            Effect::Leaves(Next::Runnable) => Some(Sign::Yielded),
            Effect::Leaves(Next::Waiting) => Some(Sign::Blocked),
            Effect::Wakes => Some(Sign::Woke),
            Effect::EntersCall => Some(Sign::Called),
            Effect::LeavesCallWithoutP => Some(Sign::ReturnedWithout),
            Effect::LeavesCall => Some(Sign::Returned),
            Effect::StealsP => Some(Sign::Took),
            // What changes nothing has a sign of its own where the page has one.
            Effect::Nothing | Effect::Works => match event.name.as_str() {
                "StackGrow" => Some(Sign::Grew),
                "Steal" => Some(Sign::Stole),
                _ => Some(Sign::Other),
            },
        }
    }

    /// The words of the key below the picture.
    pub fn words(self) -> &'static str {
        match self {
            Sign::Request => "asked to stop",
            Sign::Taken => "request heard",
            Sign::Refused => "heard, refused",
            Sign::Preempted => "gave way",
            Sign::Yielded => "yielded",
            Sign::Blocked => "blocks",
            Sign::Woke => "wakes another",
            Sign::Grew => "stack grows",
            Sign::Stole => "steals work",
            Sign::Called => "into a system call",
            Sign::Returned => "back from it",
            Sign::ReturnedWithout => "back, without a P",
            Sign::Took => "takes a P away",
            Sign::Other => "other event",
        }
    }

    /// The class that gives the sign its color.
    pub fn class(self) -> &'static str {
        match self {
            Sign::Request => "sp-k sp-k-request",
            Sign::Taken => "sp-k sp-k-taken",
            Sign::Refused => "sp-k sp-k-refused",
            Sign::Preempted => "sp-k sp-k-preempted",
            Sign::Yielded | Sign::Other => "sp-k",
            Sign::Blocked | Sign::Called | Sign::Returned => "sp-k sp-k-open",
            Sign::ReturnedWithout => "sp-k sp-k-refused",
            Sign::Took => "sp-k sp-k-request",
            Sign::Woke | Sign::Grew | Sign::Stole => "sp-k sp-k-quiet",
        }
    }

    /// The shape around the point (`x`, `y`), at most nine units wide and high.
    pub fn path(self, x: f64, y: f64) -> String {
        match self {
            Sign::Request => triangle(x, y, 4.5),
            Sign::Woke => triangle(x, y, -4.0),
            Sign::Taken => circle(x, y, 4.0),
            Sign::Refused => format!(
                "{}M{} {}L{} {}",
                circle(x, y, 4.0),
                r(x - 4.0),
                r(y + 4.0),
                r(x + 4.0),
                r(y - 4.0)
            ),
            Sign::Preempted => bar(x, y, 1.6),
            Sign::Yielded => bar(x, y, 0.6),
            Sign::Blocked => diamond(x, y, 3.0, true),
            Sign::Stole => diamond(x, y, 4.5, false),
            Sign::Grew => format!("M{} {}h8M{} {}v8", r(x - 4.0), r(y), r(x), r(y - 4.0)),
            // A bracket that opens where the call begins, and closes where it is over.
            Sign::Called => bracket(x, y, 3.0),
            Sign::Returned => bracket(x, y, -3.0),
            Sign::ReturnedWithout => format!(
                "{}M{} {}H{}",
                bracket(x, y, -3.0),
                r(x - 4.5),
                r(y),
                r(x + 4.0)
            ),
            Sign::Took => format!(
                "M{} {}V{}M{} {}L{} {}L{} {}Z",
                r(x),
                r(y - 5.0),
                r(y),
                r(x - 4.0),
                r(y),
                r(x + 4.0),
                r(y),
                r(x),
                r(y + 5.0)
            ),
            Sign::Other => circle(x, y, 2.2),
        }
    }
}

/// A number as the picture writes it: one decimal is a tenth of a pixel.
pub fn r(value: f64) -> String {
    format!("{value:.1}")
}

/// Points down for a positive size, up for a negative one.
fn triangle(x: f64, y: f64, size: f64) -> String {
    let (x0, x1, y0, y1) = (x - size, x + size, y - size, y + size);
    format!("M{} {}H{}L{} {}Z", r(x0), r(y0), r(x1), r(x), r(y1))
}

fn circle(x: f64, y: f64, radius: f64) -> String {
    let (a, d) = (r(radius), r(radius * 2.0));
    format!(
        "M{} {}a{a} {a} 0 1 1 {d} 0a{a} {a} 0 1 1 -{d} 0Z",
        r(x - radius),
        r(y)
    )
}

fn bar(x: f64, y: f64, half: f64) -> String {
    let (left, right) = (r(x - half), r(x + half));
    format!("M{left} {}H{right}V{}H{left}Z", r(y - 4.5), r(y + 4.5))
}

/// Open to the right for a positive width, to the left for a negative one.
fn bracket(x: f64, y: f64, width: f64) -> String {
    let (edge, back) = (r(x + width / 2.0), r(x - width / 2.0));
    format!("M{edge} {}H{back}V{}H{edge}", r(y - 4.5), r(y + 4.5))
}

/// A square (`level`) or one that stands on its corner.
fn diamond(x: f64, y: f64, half: f64, level: bool) -> String {
    let (x0, x1, y0, y1) = (x - half, x + half, y - half, y + half);
    if level {
        format!("M{} {}H{}V{}H{}Z", r(x0), r(y0), r(x1), r(y1), r(x0))
    } else {
        format!(
            "M{} {}L{} {}L{} {}L{} {}Z",
            r(x),
            r(y0),
            r(x1),
            r(y),
            r(x),
            r(y1),
            r(x0),
            r(y)
        )
    }
}
