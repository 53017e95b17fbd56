//! The exercises as the book shows them: their texts, and how far the reader is.
//!
//! The book reads the same folders as the exercises' runner, and depends on none of its code
//! but the package that knows what is in a folder.
//! The texts are the repository's, so a fault in them is told. The progress is the reader's:
//! when its file is missing or damaged, there is no progress to show, and that is all.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;
pub use safepoint_card::Card;

/// How far the reader is with one exercise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// It has passed at least once.
    pub solved: bool,
    /// How often it was run.
    pub runs: u32,
    /// How many hints were shown.
    pub hints: u32,
}

/// All cards, in the order of the book.
///
/// # Errors
/// The first folder or text that is not as it should be, in one line.
pub fn cards(root: &Path) -> Result<Vec<Card>, String> {
    let mut cards = Vec::new();
    for folder in safepoint_card::folders(&root.join("exercises"))? {
        let text = files::text(&folder.path.join("exercise.toml"), files::MOST)
            .map_err(|error| format!("{}/exercise.toml: {error}", folder.shown()))?;
        cards.push(Card::parse(&folder, &text)?);
    }
    if cards.is_empty() {
        return Err("there are no exercises in exercises/".to_string());
    }
    cards.sort_by_key(Card::place);
    Ok(cards)
}

/// The reader's progress, by name. Anything but a readable file is no progress.
pub fn progress(root: &Path) -> BTreeMap<String, Entry> {
    let Ok(text) = files::text(&root.join("exercises/.progress.toml"), files::MOST) else {
        return BTreeMap::new();
    };
    let Ok(table) = toml::from_str::<BTreeMap<String, toml::Value>>(&text) else {
        return BTreeMap::new();
    };
    table
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.try_into().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;

    const CARD: &str = "title = \"T\"\norder = 10\nidea = \"Half is enough.\"\nwrites = \"f\"\nrow = \"r\"\npoints = 10\nminutes = 25\npage = \"p.html\"\nrust = \"None.\"\ntask = \"Do.\"\nhelpers = []\nwhy = \"x\"\nhints = [\"a\", \"b\", \"c\"]\n";

    fn folder(files: &[(&str, &str)]) -> Scratch {
        let dir = Scratch::new().unwrap();
        for (name, text) in files {
            let file = dir.path().join("exercises").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        dir
    }

    #[test]
    fn cards_are_read() {
        let later = CARD.replace("order = 10", "order = 20");
        let dir = folder(&[
            ("stage1/a/exercise.toml", &later),
            ("stage1/half/exercise.toml", CARD),
            ("stage2/odd", ""),
            ("src/x/exercise.toml", "no"),
        ]);
        let cards = cards(dir.path()).unwrap();
        let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["half", "a"]);
        assert_eq!((cards[0].stage, cards[0].minutes), (1, 25));
        assert_eq!(cards[0].asks(), "None. Row `r`.");
        let broken = folder(&[("stage1/half/exercise.toml", "title = 1\n")]);
        let error = super::cards(broken.path()).unwrap_err();
        assert!(
            error.starts_with("exercises/stage1/half/exercise.toml: "),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(super::cards(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn progress_is_never_an_error() {
        assert_eq!(progress(folder(&[]).path()), BTreeMap::new());
        for broken in ["what = [", "\u{0}", "half = 3\n"] {
            let dir = folder(&[(".progress.toml", broken)]);
            assert_eq!(progress(dir.path()), BTreeMap::new(), "{broken:?}");
        }
        let text = "# yours\n\n[half]\nsolved = true\nruns = 3\ntries = 2\nhints = 1\nlooked = false\nfile = \"x\"\n\n[odd]\nruns = \"many\"\n";
        let known = progress(folder(&[(".progress.toml", text)]).path());
        assert_eq!(known.len(), 1, "the damaged entry is left out");
        assert_eq!(
            known["half"],
            Entry {
                solved: true,
                runs: 3,
                hints: 1
            }
        );
    }
}
