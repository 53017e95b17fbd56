//! The trace player: the picture of a recorded run, event by event.
//!
//! The page holds everything: the picture, the trace, the listing, and for each event its
//! place in all three. Without a script, and in print, the picture is there and the two
//! texts are folds. The script adds the keys and the light; it computes nothing.

use serde_json::json;

use super::panel::{escape, picture};
use crate::figure;
use crate::lines::Lines;
use crate::trace::{self, Event, Trace};
use safepoint_trace::{State, World};

/// The HTML of a player. `title` names the run; `listing` is shown when lines are known.
pub fn write(title: &str, text: &str, listing: Option<(&str, &Lines)>, id: &str) -> String {
    let trace = trace::read(text);
    let Some((svg, spots)) = figure::draw_with_spots(&trace) else {
        return picture(None);
    };
    let known = listing.map_or_else(
        || vec![None; trace.events.len()],
        |(_, lines)| lines.of(&trace),
    );
    let now = states(&trace);
    let steps: Vec<serde_json::Value> = trace
        .events
        .iter()
        .zip(&spots)
        .enumerate()
        .map(|(index, (event, spot))| {
            json!({
                "p": spot.map(|spot| [Some(spot.x), spot.lane, spot.goroutine].map(|at| at.map(round))),
                "t": trace.numbers[index],
                "s": known[index],
                "g": event.subject(),
                "l": lane(event),
                "e": trace::describe(event),
                "n": now[index],
            })
        })
        .collect();
    let steps = serde_json::to_string(&steps).unwrap_or_default();
    let mut out = format!(
        "<div class=\"sp-player\" id=\"{id}\" data-title=\"{}\" data-steps=\"{}\">\n{}\n<details class=\"sp-full sp-part\">\n<summary>The whole trace, {} events</summary>\n\n{}\n</details>\n",
        escape(title),
        escape(&steps),
        picture(Some(&svg)),
        trace.events.len(),
        numbered("sp-trace-lines", "Trace", text.trim_end()),
    );
    if let Some((listing, lines)) = listing
        && !lines.is_empty()
    {
        out.push_str(&format!(
            "<details class=\"sp-full sp-part\">\n<summary>The listing</summary>\n\n{}\n</details>\n",
            numbered("sp-listing-lines", "Listing", listing)
        ));
    }
    out.push_str("</div>\n");
    out
}

/// A text of which each line can be lit. It is no `code`: the page's highlighter would
/// take the lines apart.
fn numbered(class: &str, what: &str, text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| format!("<span class=\"sp-l\">{}</span>", escape(line)))
        .collect();
    format!(
        "<pre class=\"sp-lines {class}\" tabindex=\"0\" role=\"group\" aria-label=\"{what}\">{}</pre>\n",
        lines.join("\n")
    )
}

fn lane(event: &Event) -> String {
    match event.p {
        Some(p) => format!("p{p}"),
        None => format!("m{}", event.m),
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// After each event, which goroutines run, and where; which could run and wait for a P; and
/// which are blocked.
fn states(trace: &Trace) -> Vec<String> {
    let mut replay = trace.replay();
    let mut out = Vec::new();
    while let Some((_, world)) = replay.forward() {
        out.push(state(world));
    }
    out
}

fn state(world: &World) -> String {
    let list = |wanted: fn(State) -> bool| {
        let all: Vec<String> = world
            .goroutines()
            .filter(|&(_, state)| wanted(state))
            .map(|(g, state)| match (state, world.p_of(g)) {
                (State::Running(_), Some(p)) => format!("g{g} on p{p}"),
                _ => format!("g{g}"),
            })
            .collect();
        match all.is_empty() {
            true => "nobody".to_string(),
            false => all.join(", "),
        }
    };
    let mut line = format!(
        "Runs: {}. Could run and waits: {}. Blocked: {}.",
        list(|state| matches!(state, State::Running(_))),
        list(|state| state == State::Runnable),
        list(|state| matches!(state, State::Waiting(_))),
    );
    let called = list(|state| matches!(state, State::InCall(_)));
    if called != "nobody" {
        line.push_str(&format!(" In a system call: {called}."));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOGS: &str = include_str!("../../tests/samples/stage1-coop__two_hogs__p1__seed1.snap");

    #[test]
    fn each_event_has_its_place_in_the_texts() {
        let text = HOGS.split("--- trace\n").nth(1).unwrap();
        let html = write("hogs", text, None, "player-1");
        let steps = html.split("data-steps=\"").nth(1).unwrap();
        let steps = steps.split('"').next().unwrap().replace("&quot;", "\"");
        let steps: Vec<serde_json::Value> = serde_json::from_str(&steps).unwrap();
        let trace = trace::read(text);
        assert_eq!(steps.len(), trace.events.len());
        for (step, event) in steps.iter().zip(&trace.events) {
            let line = text.lines().nth(step["t"].as_u64().unwrap() as usize);
            assert!(line.unwrap().contains(&event.name), "{step}");
            assert!(step["s"].is_null(), "no line is invented");
            for place in [&step["p"][0], &step["p"][1]] {
                assert!(place[0].is_number() && place[1].is_number(), "{step}");
            }
        }
        // When the first hog is asked, the other one waits and main is blocked.
        assert_eq!(
            steps[7]["n"],
            "Runs: g3 on p0. Could run and waits: g2. Blocked: g1."
        );
        assert_eq!(
            (steps[7]["g"].as_u64(), steps[7]["l"].as_str()),
            (Some(3), Some("m1"))
        );
        assert!(!html.contains("The listing"));
    }

    #[test]
    fn who_is_in_a_call_is_said() {
        let trace = trace::read(
            "0 m0 p0 -- GoStart g1\n1 m0 p0 g1 GoSysCall\n2 m1 -- -- ProcSteal p0 m0\n3 m0 -- g1 GoSysExit blocked\n4 m0 p0 -- GoStart g1\n5 m0 p0 g1 GoSysCall\n6 m0 p0 g1 GoSysExit\n",
        );
        let now = states(&trace);
        assert!(!now[0].contains("system call"));
        assert_eq!(
            now[1],
            "Runs: nobody. Could run and waits: nobody. Blocked: nobody. In a system call: g1."
        );
        assert_eq!(now[2], now[1]);
        assert!(now[3].starts_with("Runs: nobody. Could run and waits: g1."));
        assert!(now[6].starts_with("Runs: g1 on p0."), "{}", now[6]);
    }

    #[test]
    fn a_trace_without_events() {
        assert!(write("none", "# nothing\n", None, "player-1").contains("no events to draw"));
    }
}
