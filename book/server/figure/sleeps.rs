//! The curve of sysmon's sleeps, drawn from the notes of a recorded run.
//!
//! The notes are lines of the run's output: `look TIME SLEEP`, the moment in milliseconds
//! at which sysmon chose how long to sleep, and how many microseconds it chose; `note TIME
//! WORDS` where the program began something else. One bar is one sleep. Its height is a
//! logarithm: from 20 us to 10 ms it is a way of 500 times.

use std::fmt::Write;

use super::frame::escape;
use super::marks::r;

/// A sleep of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sleep {
    us: f64,
    /// Its length was not chosen: it ended when sysmon was needed.
    deep: bool,
}

/// Where the bars begin and end, and their foot.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 392.0;
const FOOT: f64 = 196.0;
/// The height of a factor of ten.
const DECADE: f64 = 46.0;
/// A gap between two looks that is so much longer than what was chosen is a deep sleep.
const DEEP_US: f64 = 1_000.0;

/// Lines across the drawing, with what they mean.
const RULES: [(f64, &str); 4] = [
    (20.0, "20 µs"),
    (100.0, "100 µs"),
    (1_000.0, "1 ms"),
    (10_000.0, "10 ms"),
];

/// The drawing as SVG, or what is wrong with the notes.
pub fn draw(output: &str) -> Result<String, String> {
    let (sleeps, notes) = read(output)?;
    let width = (RIGHT - LEFT) / sleeps.len() as f64;
    let mut body = String::new();
    for (us, words) in RULES {
        let y = FOOT - height(us);
        let _ = writeln!(
            body,
            r#"<path class="d-rule" d="M{LEFT} {}H{RIGHT}"/><text class="d-t" x="{}" y="{}" text-anchor="end">{words}</text>"#,
            r(y),
            r(LEFT - 6.0),
            r(y + 4.5),
        );
    }
    for (index, sleep) in sleeps.iter().enumerate() {
        body.push_str(&bar(sleep, LEFT + index as f64 * width, width));
    }
    let _ = writeln!(body, r#"<path class="d-tick" d="M{LEFT} {FOOT}H{RIGHT}"/>"#);
    let (labels, lines) = labels(&notes, width);
    Ok(format!(
        r#"<svg viewBox="0 0 400 {}" xmlns="http://www.w3.org/2000/svg">
<title>Sysmon’s sleeps in a recorded run: each bar is one sleep, from left to right</title>
<desc>{}</desc>
{body}{labels}</svg>"#,
        r(FOOT + 10.0 + 18.0 * lines.max(1) as f64),
        description(&sleeps, &notes),
    ))
}

/// The bar of one sleep.
fn bar(sleep: &Sleep, x: f64, width: f64) -> String {
    let (class, gap) = if sleep.deep {
        ("d-bar d-deep", 0.0)
    } else {
        ("d-bar", 0.25)
    };
    let up = height(sleep.us);
    format!(
        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>\n",
        r(x),
        r(FOOT - up),
        r(width * (1.0 - gap)),
        r(up),
        length(sleep.us)
    )
}

/// The notes below the bars, and the number of lines that they take. Things may begin close to
/// each other: a label goes into the first line with room.
fn labels(notes: &[Note], width: f64) -> (String, usize) {
    let mut out = String::new();
    let mut ends: Vec<f64> = Vec::new();
    for (at, ms, words) in notes {
        let x = LEFT + *at as f64 * width;
        let text = format!("{words}, {ms:.0} ms");
        let wide = text.chars().count() as f64 * 7.0;
        let (anchor, from, to, shift) = if x + wide > RIGHT {
            ("end", x - 4.0 - wide, x, -4.0)
        } else {
            ("start", x, x + 4.0 + wide, 4.0)
        };
        let line = ends.iter().position(|end| *end < from);
        let line = line.unwrap_or_else(|| {
            ends.push(0.0);
            ends.len() - 1
        });
        ends[line] = to;
        let y = FOOT + 20.0 + 18.0 * line as f64;
        let _ = writeln!(
            out,
            r#"<path class="d-tick" d="M{} {FOOT}V{}"/><text class="d-t" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
            r(x),
            r(y + 3.0),
            r(x + shift),
            r(y),
            escape(&text),
        );
    }
    (out, ends.len())
}

/// The drawing in words.
fn description(sleeps: &[Sleep], notes: &[Note]) -> String {
    let deepest = sleeps.iter().filter(|sleep| sleep.deep);
    let deepest = deepest.map(|sleep| sleep.us).fold(0.0, f64::max);
    let deep = match deepest > 0.0 {
        true => format!(
            "One is a deep sleep, {}, after which they are 20 µs again. ",
            length(deepest)
        ),
        false => String::new(),
    };
    format!(
        "A bar chart of {} sleeps in a row, with a logarithmic height. Most are 20 µs. After fifty rounds without anything to do each sleep is twice as long as the one before, up to 10 ms. {deep}{}",
        sleeps.len(),
        escape(&in_words(notes)),
    )
}

/// A part of the day: the sleep with which it began, when that was, and its name.
type Note = (usize, f64, String);

fn read(output: &str) -> Result<(Vec<Sleep>, Vec<Note>), String> {
    let (mut sleeps, mut notes): (Vec<Sleep>, Vec<Note>) = (Vec::new(), Vec::new());
    let mut last: Option<(f64, f64)> = None;
    // Notes that wait for the next look: they belong to the sleep that went on meanwhile.
    for line in output.lines() {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or("");
        if !["look", "note"].contains(&kind) {
            continue;
        }
        let number = |word: Option<&str>| {
            let number = word.and_then(|word| word.parse::<f64>().ok());
            number
                .filter(|n| n.is_finite() && *n >= 0.0)
                .ok_or_else(|| format!("`{line}` is no line of the form `look TIME SLEEP`"))
        };
        let ms = number(words.next())?;
        if kind == "note" {
            let words: Vec<&str> = words.collect();
            notes.push((sleeps.len(), ms, words.join(" ")));
            continue;
        }
        let us = number(words.next())?;
        if let Some((then, chosen)) = last {
            let longer = (ms - then) * 1_000.0 - chosen;
            if longer > DEEP_US {
                sleeps.push(Sleep {
                    us: longer,
                    deep: true,
                });
            }
        }
        sleeps.push(Sleep { us, deep: false });
        last = Some((ms, us));
    }
    if sleeps.len() < 2 {
        return Err("holds no two lines `look TIME SLEEP`".to_string());
    }
    Ok((sleeps, notes))
}

fn in_words(notes: &[Note]) -> String {
    let parts: Vec<String> = notes
        .iter()
        .map(|(at, ms, words)| format!("{words} begins at {ms:.0} ms, after {at} sleeps"))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("What the goroutines do: {}.", parts.join("; ")),
    }
}

/// 10 us have none.
fn height(us: f64) -> f64 {
    (us.max(10.0) / 10.0).log10() * DECADE
}

fn length(us: f64) -> String {
    if us < 1_000.0 {
        format!("{us:.0} µs")
    } else {
        let ms = format!("{:.2}", us / 1_000.0);
        format!("{} ms", ms.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "note 0.000 work\nlook 0.010 20\nlook 0.031 40\nlook 0.072 10000\nnote 5.000 all sleep\nsomething else\nlook 60.000 20\n";

    #[test]
    fn a_gap_is_a_deep_sleep() {
        let (sleeps, notes) = read(DAY).unwrap();
        let chosen: Vec<(f64, bool)> = sleeps.iter().map(|s| (s.us.round(), s.deep)).collect();
        assert_eq!(
            chosen,
            [
                (20.0, false),
                (40.0, false),
                (10_000.0, false),
                (49_928.0, true),
                (20.0, false)
            ]
        );
        assert_eq!(notes[0], (0, 0.0, "work".to_string()));
        assert_eq!(notes[1], (3, 5.0, "all sleep".to_string()));
    }

    #[test]
    fn a_bar_for_each() {
        let svg = draw(DAY).unwrap();
        assert_eq!(svg.matches("<rect class=\"d-bar").count(), 5);
        assert_eq!(svg.matches("d-deep").count(), 1);
        assert!(svg.contains(">all sleep, 5 ms<"), "{svg}");
        assert!(svg.contains("<title>20 µs</title>") && svg.contains("<title>49.93 ms</title>"));
        assert!(!svg.contains("NaN") && svg.lines().all(|line| !line.is_empty()));
    }

    #[test]
    fn what_is_no_day() {
        for (text, says) in [
            ("", "no two lines"),
            ("look 1 20\n", "no two lines"),
            ("look 1 x\n", "`look 1 x` is no line"),
            ("look -1 20\n", "is no line"),
        ] {
            let error = draw(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
