//! The card of an exercise, as a part of the page.
//!
//! It says what one learns, what to do, what may be called, and the command. Where the
//! server is there, a script adds how far the reader is; the card itself never changes.

use super::panel::{escape, fence};
use crate::exercises::Card;

/// The Markdown and HTML of a card.
pub fn write(card: &Card) -> String {
    let name = escape(&card.name);
    let mut out = format!(
        "<section class=\"sp-card\" id=\"exercise-{name}\" data-exercise=\"{name}\" aria-labelledby=\"exercise-{name}-title\">\n<p class=\"sp-card-title\" id=\"exercise-{name}-title\" role=\"heading\" aria-level=\"3\">Exercise: {}</p>\n<p class=\"sp-card-facts\"><span>{} minutes</span> <span>{} points</span> <span class=\"sp-progress\"></span></p>\n\n",
        escape(&card.title),
        card.minutes,
        card.points
    );
    out.push_str(&format!("**What you learn.** {}\n\n", card.idea));
    out.push_str(&format!("**What to do.** {}\n\n", card.task.trim()));
    out.push_str(&format!(
        "**What it asks of your Rust.** {}\n\n",
        card.asks()
    ));
    if !card.helpers.is_empty() {
        out.push_str("**What you may use, and what must hold.**\n\n");
        for helper in &card.helpers {
            out.push_str(&format!("- {}\n", helper_line(helper)));
        }
        out.push('\n');
    }
    out.push_str(&fence(
        "console",
        &format!("$ cargo run -p exercises -- run {}", card.name),
    ));
    out.push_str("\n\n</section>\n");
    out
}

/// A card without its texts.
pub fn place(name: &str) -> String {
    format!("<section id=\"exercise-{}\"></section>\n", escape(name))
}

/// `name: text`, with the name as code when it is one.
fn helper_line(helper: &str) -> String {
    match helper.split_once(": ") {
        Some((head, text)) if is_code(head) => {
            let names: Vec<String> = split(head)
                .iter()
                .map(|name| format!("`{}`", name.trim()))
                .collect();
            format!("{}: {text}", names.join(", "))
        }
        _ => helper.to_string(),
    }
}

/// Splits at commas and `and`, outside of parentheses.
fn split(head: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in head.replace(" and ", ", ").chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// Names and calls, and nothing that is a sentence.
fn is_code(head: &str) -> bool {
    !head.contains('`')
        && split(head).iter().all(|part| {
            let name = part.trim().split('(').next().unwrap_or("");
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.:#[]!".contains(c))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_helpers_are_code() {
        for (helper, line) in [
            ("gp.preempt: it was asked.", "`gp.preempt`: it was asked."),
            (
                "rt::queues::globrunqput(&mut sched, gp): to the end.",
                "`rt::queues::globrunqput(&mut sched, gp)`: to the end.",
            ),
            (
                "v.next() and take(gp): who is next.",
                "`v.next()`, `take(gp)`: who is next.",
            ),
            ("go, gosched: all.", "`go`, `gosched`: all."),
            ("-1234 is taken: it says so.", "-1234 is taken: it says so."),
            ("At most one.", "At most one."),
        ] {
            assert_eq!(helper_line(helper), line);
        }
    }
}
