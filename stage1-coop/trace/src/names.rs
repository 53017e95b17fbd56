//! A misspelled name of an event would count nothing, for ever, and look right. So it is refused,
//! with the names that are near.
//!
//! Tests: `stage1-coop/trace/tests/later.rs`, `trace_of::refused::a_misspelled_event_is_refused`.

use crate::trace::Trace;

impl Trace {
    /// Whether the reader's kinds or this trace have an event of this name. A trace that was
    /// read without kinds knows every name.
    ///
    /// # Errors
    /// If not: which names are near, or else all of them.
    pub fn knows(&self, name: &str) -> Result<(), String> {
        let mut all: Vec<&str> = self
            .kinds
            .iter()
            .copied()
            .flatten()
            .map(|k| k.name)
            .collect();
        all.dedup();
        if all.is_empty() || all.contains(&name) || self.events.iter().any(|e| e.name == name) {
            return Ok(());
        }
        let mut near: Vec<&str> = all
            .iter()
            .copied()
            .filter(|known| distance(known, name) <= 3)
            .collect();
        near.sort_by_key(|known| distance(known, name));
        let stage = self.stage().unwrap_or("these events");
        Err(match near.as_slice() {
            [] => format!(
                "there is no event `{name}` in {stage}; there are {}",
                all.join(", ")
            ),
            [near] => format!("there is no event `{name}` in {stage}; is `{near}` meant?"),
            [near, others @ ..] => format!(
                "there is no event `{name}` in {stage}; is `{near}` meant? Also near: {}",
                others.join(", ")
            ),
        })
    }

    /// As [`knows`](Trace::knows).
    #[track_caller]
    pub(crate) fn refuse_unknown(&self, name: &str) {
        if let Err(what) = self.knows(name) {
            panic!("{what}");
        }
    }
}

/// How many letters must be changed, put in, or left out, to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
