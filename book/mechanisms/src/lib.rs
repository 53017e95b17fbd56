//! Go's mechanisms as data: `mechanisms.toml`, one table a mechanism, and its only reader.
//!
//! `MECHANISMS.md` and the book's index of names are printed from here.
//! Tests: `tests/tests/it/mechanisms.rs` holds the data to the code, `tests/tests/it/printed.rs`
//! holds `MECHANISMS.md` to the data and prints it.

use serde::Deserialize;

/// Where the data is, from the workspace's root.
pub const FILE: &str = "book/mechanisms/mechanisms.toml";

/// One of Go's mechanisms.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mechanism {
    /// Its place in the list, from 1.
    pub number: usize,
    /// Go's names, in backquotes.
    pub name: String,
    /// How Go 1.15 does it. That is what we follow.
    pub go_1_15: String,
    /// What is different in Go 1.27.
    pub go_1_27: String,
    /// Where it is here.
    #[serde(default)]
    pub here: Vec<Place>,
    /// Why it is nowhere yet.
    pub not_yet: Option<String>,
    /// Tests that hold it: what `cargo test -p tests --test it NAME` runs.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Chapters that tell it, from the workspace's root, perhaps with `#heading`.
    #[serde(default)]
    pub sections: Vec<String>,
}

/// A file, and what to look for in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What this place is, if it is one of several.
    #[serde(rename = "as")]
    pub role: Option<String>,
    /// From the workspace's root.
    pub file: String,
    /// Text that is in the file.
    pub find: Vec<String>,
    /// A remark.
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    mechanism: Vec<Mechanism>,
}

/// Reads the data.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(text: &str) -> Result<Vec<Mechanism>, String> {
    let data: Data = toml::from_str(text).map_err(|e| format!("{FILE}: {e}"))?;
    for (at, m) in data.mechanism.iter().enumerate() {
        let problem = if m.number != at + 1 {
            format!("should have the number {}", at + 1)
        } else if m.here.is_empty() != m.not_yet.is_some() {
            "needs `here` or `not_yet`, and not both".to_owned()
        } else if m.here.iter().any(|place| place.find.is_empty()) {
            "names a file without anything to find in it".to_owned()
        } else {
            continue;
        };
        return Err(format!("{FILE}: mechanism {} {problem}", m.number));
    }
    Ok(data.mechanism)
}

impl Mechanism {
    /// The names in [`Mechanism::name`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.name.split('`').skip(1).step_by(2)
    }

    /// [`Mechanism::here`] as text with backquotes.
    pub fn places(&self) -> String {
        let places: Vec<String> = self.here.iter().map(Place::text).collect();
        places.join("; ")
    }
}

impl Place {
    fn text(&self) -> String {
        let role = self.role.as_ref().map(|r| format!("{r}: "));
        let note = self.note.as_ref().map(|n| format!(" ({n})"));
        format!(
            "{}`{}` {}{}",
            role.unwrap_or_default(),
            self.file,
            list(&self.find),
            note.unwrap_or_default()
        )
    }
}

/// Words in backquotes, with commas.
pub fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// The table of `MECHANISMS.md`.
pub fn markdown(mechanisms: &[Mechanism]) -> String {
    let mut out = String::from(
        "| # | mechanism (Go's name) | Go 1.15 | Go 1.27 | our file | test | section |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let or_dash = |cell: String| {
        if cell.is_empty() {
            "-".to_owned()
        } else {
            cell
        }
    };
    for m in mechanisms {
        let here = match &m.not_yet {
            Some(why) => format!("- ({why})"),
            None => m.places(),
        };
        out.push_str(&format!(
            "| {} | {} | {} | {} | {here} | {} | {} |\n",
            m.number,
            m.name,
            m.go_1_15,
            m.go_1_27,
            or_dash(list(&m.tests)),
            or_dash(list(&m.sections))
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "[[mechanism]]\nnumber = 1\nname = 'states: `_Gidle` to `_Gdead`'\ngo_1_15 = 'A.'\ngo_1_27 = 'The same.'\nhere = [{ as = 'the list', file = 'a/b.rs', find = ['fn f', 'G'], note = 'as in Go' }]\ntests = ['t.rs::f']\n";

    #[test]
    fn a_row_has_all_that_the_table_says() {
        let mechanisms = parse(DATA).unwrap();
        let row = "| 1 | states: `_Gidle` to `_Gdead` | A. | The same. | the list: `a/b.rs` `fn f`, `G` (as in Go) | `t.rs::f` | - |";
        assert_eq!(markdown(&mechanisms).lines().nth(2), Some(row));
        let names: Vec<&str> = mechanisms[0].names().collect();
        assert_eq!(names, ["_Gidle", "_Gdead"]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let here = DATA.find("here").unwrap();
        for (data, says) in [
            (DATA.replace("= 1\n", "= 2\n"), "should have the number 1"),
            (DATA[..here].to_owned(), "needs `here` or `not_yet`"),
            (format!("{DATA}not_yet = 'later'\n"), "and not both"),
            (DATA.replace("['fn f', 'G']", "[]"), "without anything"),
            (DATA.replace("tests", "test"), "unknown field `test`"),
        ] {
            let error = parse(&data).unwrap_err();
            assert!(error.contains(says), "{data}\n{error}");
        }
    }
}
