//! What the judges of answers about a trace share.

use safepoint_testkit::trace::Trace;
use toml::{Table, Value};

/// An answer as text.
pub(crate) fn given(answers: &Table, key: &str) -> String {
    match answers.get(key) {
        Some(Value::String(s)) => s.trim().to_owned(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// A goroutine may be called by its name or by its number.
pub(crate) fn by_number(trace: &Trace, answer: &str) -> String {
    match trace.goroutine(answer) {
        Some(g) => format!("g{g}"),
        None => answer.to_owned(),
    }
}
