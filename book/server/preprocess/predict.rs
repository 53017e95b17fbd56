//! The question boxes: a question about a recorded run, and choices each with its why.
//!
//! Between `{{#predict QUERY}}` and `{{/predict}}` stands the question, then a list, one
//! choice an item: `- VALUE: why`. Without a script each choice is a fold that says, when it
//! is opened, whether it is right. The script makes radio buttons of the same folds.

use super::panel::escape;
use super::query::Query;

/// A line of the chapter and its number.
pub type Line = (usize, String);

/// A piece of the result and the line that it came from.
pub type Piece = (usize, String);

/// One choice.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    line: usize,
    value: String,
    why: Vec<Line>,
}

/// The box with this id, or what is wrong with it and in which line.
pub fn write(
    query: &Query,
    answer: &str,
    at: usize,
    body: &[Line],
    id: &str,
) -> Result<Vec<Piece>, (usize, String)> {
    let (question, choices) = read(at, body)?;
    check(query, answer, at, &choices)?;
    let mut out = vec![(
        at,
        format!(
            "<div class=\"sp-predict\" id=\"{id}\" role=\"group\" aria-labelledby=\"{id}-title\">\n<p class=\"sp-predict-title\" id=\"{id}-title\">Before you look: predict</p>\n"
        ),
    )];
    out.extend(question);
    for choice in choices {
        let right = plain(&choice.value) == plain(answer);
        let (class, verdict) = if right {
            (" sp-right", "Yes, that is what was recorded.")
        } else {
            ("", "No, that is not what was recorded.")
        };
        out.push((
            choice.line,
            format!(
                "\n<details class=\"sp-option{class}\">\n<summary>{}</summary>\n<p class=\"sp-verdict\">{verdict}</p>\n",
                escape(&plain(&choice.value))
            ),
        ));
        out.extend(choice.why);
        out.push((choice.line, "\n</details>".to_string()));
    }
    let procs = match query.run.pkg.as_str() {
        "" => String::new(),
        _ => format!(", <code>GOMAXPROCS={}</code>, seed 1", query.run.procs[0]),
    };
    out.push((
        at,
        format!(
            "\n<p class=\"sp-source\">The answer is computed from the recorded run of <code>{}</code>{procs}.</p>\n</div>\n",
            escape(&query.run.to_string())
        ),
    ));
    Ok(out)
}

/// Takes the block apart: the lines of the question, and the choices.
fn read(at: usize, body: &[Line]) -> Result<(Vec<Line>, Vec<Choice>), (usize, String)> {
    let first = body
        .iter()
        .position(|(_, line)| line.starts_with("- "))
        .unwrap_or(body.len());
    let (question, list) = body.split_at(first);
    if question.iter().all(|(_, line)| line.trim().is_empty()) {
        return Err((
            at,
            "this predict block has no question: write it before the choices".to_string(),
        ));
    }
    let mut choices: Vec<Choice> = Vec::new();
    for (number, line) in list {
        if let Some(item) = line.strip_prefix("- ") {
            let (value, why) = item.split_once(": ").unwrap_or((item, ""));
            if why.trim().is_empty() {
                return Err((
                    *number,
                    "this choice has no why: write `- VALUE: why`, also for the right one"
                        .to_string(),
                ));
            }
            choices.push(Choice {
                line: *number,
                value: value.trim().to_string(),
                why: vec![(*number, why.to_string())],
            });
        } else if line.trim().is_empty() || line.starts_with("  ") {
            if let Some(choice) = choices.last_mut() {
                choice.why.push((*number, line.trim().to_string()));
            }
        } else {
            return Err((
                *number,
                "after the choices only {{/predict}} can stand; indent a longer why by two columns"
                    .to_string(),
            ));
        }
    }
    Ok((question.to_vec(), choices))
}

fn check(
    query: &Query,
    answer: &str,
    at: usize,
    choices: &[Choice],
) -> Result<(), (usize, String)> {
    if choices.len() < 3 {
        return Err((
            at,
            format!(
                "this predict block has {} choices, and three are the least: write each as `- VALUE: why`",
                choices.len()
            ),
        ));
    }
    for (index, choice) in choices.iter().enumerate() {
        let value = plain(&choice.value);
        if choices[..index]
            .iter()
            .any(|other| plain(&other.value) == value)
        {
            return Err((
                choice.line,
                format!("the choice `{value}` stands here twice"),
            ));
        }
        if query.is_number() && value.parse::<u64>().is_err() {
            return Err((
                choice.line,
                format!("the answer is a number, and `{value}` is none: write it in digits"),
            ));
        }
    }
    if choices
        .iter()
        .any(|choice| plain(&choice.value) == plain(answer))
    {
        return Ok(());
    }
    Err((
        at,
        format!("none of the choices is what was recorded: one must be `- {answer}: why`"),
    ))
}

/// A value as it is compared: without backquotes, and with single spaces.
fn plain(value: &str) -> String {
    let words: Vec<String> = value
        .split_whitespace()
        .map(|word| word.replace('`', ""))
        .collect();
    words.join(" ")
}
