//! What a page may ask for, checked word by word.
//!
//! A `Wish` is what came over the wire; an `Order` is one that may be carried out: an example
//! of this repository, a number of Ps and a seed in range, and only the arguments that the
//! example's own head comment offers.

use hyper::StatusCode;
use serde::Deserialize;

use super::lacks;
use crate::workspace::{Example, Workspace};

/// The body of `POST /api/run`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// The stage's package.
    pub pkg: String,
    /// The example's name.
    pub example: String,
    /// Free-running, or a replay.
    pub mode: Mode,
    /// For a replay.
    #[serde(default = "one")]
    pub seed: u64,
    /// The number of Ps.
    #[serde(default = "one")]
    pub procs: u64,
    /// One of the example's argument variants, or nothing.
    #[serde(default)]
    pub args: String,
}

impl Wish {
    /// Reads a body; what is wrong with it is one line. It must be an object: serde would take
    /// the fields from a list too, by their order.
    pub fn read(body: &[u8]) -> Result<Wish, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("no such request: {error}");
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(wrong(&"it is not a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| wrong(&error))
    }
}

/// Which clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// OS threads on the wall clock.
    Run,
    /// The laboratory's clock: the same seed gives the same bytes.
    Replay,
}

/// A checked wish.
#[derive(Debug, Clone)]
pub struct Order {
    /// The program.
    pub example: Example,
    /// Which clock.
    pub mode: Mode,
    /// For a replay.
    pub seed: u64,
    /// The number of Ps.
    pub procs: u32,
    /// Its arguments.
    pub args: Vec<String>,
}

/// The most Ps that a page may ask for: as many as a program takes.
const MOST_PROCS: u64 = 256;

impl Order {
    /// Checks a wish; a refusal is a status code and one line.
    pub fn check(ws: &Workspace, wish: Wish) -> Result<Order, (StatusCode, String)> {
        if let Some(line) = lacks() {
            return Err((StatusCode::NOT_IMPLEMENTED, line));
        }
        let Some(example) = ws.example(&wish.pkg, &wish.example) else {
            let line = format!("there is no example {}/{}", wish.pkg, wish.example);
            return Err((StatusCode::NOT_FOUND, line));
        };
        let bad = |line: String| (StatusCode::BAD_REQUEST, line);
        if !(1..=MOST_PROCS).contains(&wish.procs) {
            return Err(bad(format!("GOMAXPROCS must be from 1 to {MOST_PROCS}")));
        }
        if !wish.args.is_empty() && !example.tries.contains(&wish.args) {
            let line = match example.tries.as_slice() {
                [] => format!("{} takes no arguments here", example.name),
                tries => format!("{} can be tried with: {}", example.name, tries.join(", ")),
            };
            return Err(bad(line));
        }
        Ok(Order {
            mode: wish.mode,
            seed: wish.seed,
            // Cannot fail: at most MOST_PROCS.
            procs: u32::try_from(wish.procs).unwrap_or(1),
            args: wish.args.split_whitespace().map(str::to_string).collect(),
            example,
        })
    }
}

fn one() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::MOST_PROCS;

    #[test]
    fn as_many_ps_as_the_readme_says() {
        let readme = include_str!("../../../README.md");
        let row = format!("| `GOMAXPROCS` | 1 to {MOST_PROCS} |");
        assert!(readme.contains(&row), "{row}");
    }
}
