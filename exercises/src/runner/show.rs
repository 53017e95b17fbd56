//! Failure output: what broke, where, the two traces side by side, and what it means.

use super::Failure;
use crate::attempt::Run;
use safepoint_testkit::trace::{Event, Trace};
use std::fmt::Write;

/// Columns that an event needs to be told from another one.
const NARROW: usize = 36;
/// Lines in front of the marked one, and behind it.
const AROUND: usize = 5;

/// The report for the learner. `width`: columns of the terminal.
pub fn failure(failure: &Failure, width: usize) -> String {
    let mut out = String::new();
    let seed = failure
        .seed
        .map_or("free-running".to_owned(), |s| format!("seed {s}"));
    let case = format!("{} ({seed}): {}", failure.case.name, failure.case.what);
    paragraph(&mut out, "case", &case, width);
    paragraph(&mut out, "broke", &failure.fault.what, width);
    paragraph(&mut out, "means", &failure.fault.meaning, width);
    let (mine, at) = (&failure.run.trace, failure.fault.at);
    let differs = |reference: &Run| first_difference(&reference.trace, mine).is_some();
    match &failure.reference {
        Some(reference) if !reference.trace.events.is_empty() && differs(reference) => {
            out.push('\n');
            out.push_str(&side_by_side(&reference.trace, mine, at, width));
        }
        // Two equal columns say nothing, and neither does a trace without a place in it.
        _ if at.is_some_and(|at| at < mine.events.len()) => {
            out.push('\n');
            out.push_str(&alone(mine, at, width));
        }
        _ => {}
    }
    let said = last_lines(&failure.run);
    if !said.is_empty() {
        let _ = writeln!(out, "\n  what it said");
        for line in said {
            let _ = writeln!(out, "    {}", cut(line, width - 4));
        }
    }
    out
}

/// A text of whole sentences, folded to the width, behind `mark` and in line with it. Lines
/// that begin with four blanks are code: they stay as they are, in blocks of their own.
pub fn text(mark: &str, text: &str, width: usize) -> String {
    let room = mark.len();
    let mut out = String::new();
    let mut before = mark;
    let mut put = |line: &str| {
        let line = format!("{before:room$}{line}");
        let _ = writeln!(out, "{}", line.trim_end());
        before = "";
    };
    let lines: Vec<&str> = text.trim_end().lines().collect();
    for block in lines.chunk_by(|a, b| is_code(a) == is_code(b)) {
        if is_code(block[0]) {
            put("");
            block.iter().for_each(|line| put(line));
            put("");
            continue;
        }
        let words: Vec<&str> = block.iter().flat_map(|l| l.split_whitespace()).collect();
        fold(&words.join(" "), width.min(100) - room)
            .into_iter()
            .for_each(&mut put);
    }
    out
}

fn is_code(line: &str) -> bool {
    line.starts_with("    ")
}

/// `text`, folded to the width, behind a word.
fn paragraph(out: &mut String, word: &str, text: &str, width: usize) {
    let room = width.saturating_sub(12).max(24);
    let mut label = word;
    for line in text.lines() {
        // Lines that are to be pasted keep their shape.
        for part in fold(line, room) {
            let _ = writeln!(out, "  {label:<9} {part}");
            label = "";
        }
    }
}

/// A line, cut at blanks into parts that have room.
fn fold(line: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = line;
    while rest.chars().count() > room {
        // A blank right behind the last column is fine too.
        let limit = rest
            .char_indices()
            .nth(room + 1)
            .map_or(rest.len(), |c| c.0);
        let end = rest[..limit].rfind(' ').filter(|&i| i > 0);
        let end = end.unwrap_or_else(|| rest.char_indices().nth(room).map_or(rest.len(), |c| c.0));
        parts.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
    parts.push(rest.trim_end());
    parts
}

/// Where the two schedules part: the first event that differs, times apart.
pub fn first_difference(expected: &Trace, actual: &Trace) -> Option<usize> {
    let same = expected
        .events
        .iter()
        .zip(&actual.events)
        .take_while(|(e, a)| e.timeless() == a.timeless())
        .count();
    (same < expected.events.len() || same < actual.events.len()).then_some(same)
}

/// The two traces around the place where they part, if they do.
fn side_by_side(expected: &Trace, actual: &Trace, at: Option<usize>, width: usize) -> String {
    let column = (width - 5) / 2;
    let part = first_difference(expected, actual);
    let mut out = String::new();
    let middle = part.or(at).unwrap_or(0);
    let from = middle.saturating_sub(AROUND);
    let to = middle + AROUND + 1;
    if column < NARROW {
        // No room for two columns.
        for (whose, trace) in [("expected (the stage's own)", expected), ("yours", actual)] {
            let _ = writeln!(out, "   {whose}");
            out.push_str(&alone(trace, Some(middle), width));
        }
        out.push_str(" > is the first event that differs\n");
        return out;
    }
    let _ = writeln!(out, "   {:<column$}| yours", "expected (the stage's own)");
    if from > 0 {
        let _ = writeln!(out, "   {:<column$}|", format!("... {from} events before"));
    }
    for i in from..to.min(expected.events.len().max(actual.events.len())) {
        let show = |t: &Trace| {
            t.events.get(i).map_or(
                if i == t.events.len() {
                    "(the end)".into()
                } else {
                    String::new()
                },
                short,
            )
        };
        let mark = if Some(i) == part { '>' } else { ' ' };
        let (left, right) = (cut(&show(expected), column - 1), cut(&show(actual), column));
        let line = format!(" {mark} {left:<column$}| {right}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push_str(" > is the first event that differs\n");
    if let Some(at) = at
        && !(from..to).contains(&at)
        && let Some(e) = actual.events.get(at)
    {
        let place = if at < from {
            "before that"
        } else {
            "further on"
        };
        let _ = writeln!(out, "   the event that broke it, {place}: {}", short(e));
    }
    out
}

/// One trace around an event.
fn alone(trace: &Trace, at: Option<usize>, width: usize) -> String {
    let mut out = String::new();
    let middle = at.unwrap_or(0);
    let from = middle.saturating_sub(AROUND);
    for (i, e) in trace
        .events
        .iter()
        .enumerate()
        .skip(from)
        .take(2 * AROUND + 1)
    {
        let mark = if Some(i) == at { '>' } else { ' ' };
        let _ = writeln!(out, " {mark} {}", cut(&short(e), width - 3));
    }
    out
}

/// An event in few columns.
fn short(e: &Event) -> String {
    let id = |letter, n: Option<u32>| n.map_or("--".into(), |n| format!("{letter}{n}"));
    let flow = e.flow.map_or(String::new(), |n| format!(" #{n}"));
    format!(
        "{:>7}.{:03} m{} {} {:<3} {} {}{flow}",
        e.us / 1000,
        e.us % 1000,
        e.m,
        id('p', e.p),
        id('g', e.g),
        e.name,
        e.args.join(" "),
    )
    .trim_end()
    .to_owned()
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('~');
    short
}

/// What an attempt said to people: the beginning, since of a dump the first lines tell most.
fn last_lines(run: &Run) -> Vec<&str> {
    let lines: Vec<&str> = run
        .out
        .lines()
        .filter(|l| !l.starts_with('@'))
        .chain(run.err.lines())
        .filter(|l| !l.trim().is_empty())
        .collect();

    lines.into_iter().take(6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Trace {
        Trace::parse(text, safepoint_judges::KINDS)
    }

    #[test]
    fn the_first_difference_does_not_look_at_times() {
        let line = |time: &str, rest: &str| format!("{time}  m0  p0  --   {rest}\n");
        let a = parse(&(line("0.001", "GoStart g1") + &line("0.002", "GoEnd")));
        let b = parse(&(line("0.005", "GoStart g1") + &line("0.006", "GoEnd")));
        let c = parse(&(line("0.005", "GoStart g1") + &line("0.006", "GoSched")));
        assert_eq!(first_difference(&a, &b), None);
        assert_eq!(first_difference(&a, &c), Some(1));
        assert_eq!(first_difference(&a, &Trace::default()), Some(0));
    }

    #[test]
    fn texts_fold_at_blanks_and_never_lose_a_word() {
        let words = "one two threeandfour äöü five-and-a-half six";
        for room in 1..60 {
            let parts = fold(words, room);
            assert!(parts.iter().all(|p| p.chars().count() <= room), "{parts:?}");
            assert_eq!(parts.concat().replace(' ', ""), words.replace(' ', ""));
        }
        assert_eq!(text("- ", "a b\nc", 40), "- a b c\n");
        assert_eq!(text("- ", "aa bb cc", 7), "- aa bb\n  cc\n");
        let with_code = "aa\nbb\n    if c {\n        d  e\n    }\nf\n";
        assert_eq!(
            text("  ", with_code, 40),
            "  aa bb\n\n      if c {\n          d  e\n      }\n\n  f\n"
        );
    }

    fn report(expected: &[&str], actual: &[&str], at: Option<usize>) -> String {
        let trace = |events: &[&str]| {
            let line = |(i, e): (usize, &&str)| format!("0.{i:03}  m0  p0  --   {e}\n");
            parse(&events.iter().enumerate().map(line).collect::<String>())
        };
        let run = |events| Run {
            trace: trace(events),
            ..Run::default()
        };
        let mut fault = crate::attempt::Fault::new("rule", "what", "meaning");
        fault.at = at;
        failure(
            &Failure {
                case: &crate::catalogue::find("sticky-flag")
                    .expect("it is there")
                    .cases[0],
                seed: Some(1),
                fault,
                run: run(actual),
                reference: Some(run(expected)),
            },
            100,
        )
    }

    #[test]
    fn two_equal_traces_are_not_put_side_by_side() {
        let same = ["GoStart g1", "GoEnd"];
        let text = report(&same, &same, None);
        assert!(
            !text.contains("GoStart") && !text.contains("expected"),
            "{text}"
        );
        let text = report(&same, &same, Some(1));
        assert!(
            text.contains(" >       0.001") && !text.contains("expected"),
            "{text}"
        );
    }

    #[test]
    fn the_event_that_broke_it_is_said_to_be_where_it_is() {
        let mut mine = vec!["GoSched"; 40];
        mine[20] = "GoEnd";
        let theirs = vec!["GoSched"; 40];
        let early = report(&theirs, &mine, Some(2));
        assert!(
            early.contains("that broke it, before that:       0.002"),
            "{early}"
        );
        let late = report(&theirs, &mine, Some(38));
        assert!(
            late.contains("that broke it, further on:       0.038"),
            "{late}"
        );
    }

    #[test]
    fn paragraphs_fold_at_words() {
        let mut out = String::new();
        paragraph(
            &mut out,
            "broke",
            "one two three four five six seven eight nine ten",
            42,
        );
        assert_eq!(
            out,
            "  broke     one two three four five six\n            seven eight nine ten\n"
        );
    }
}
