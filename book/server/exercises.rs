//! The exercises as the book shows them: their texts, and how far the reader is.
//!
//! The book reads the same files as the exercises' runner and depends on none of its code.
//! The texts are the repository's, so a fault in them is told. The progress is the reader's:
//! when its file is missing or damaged, there is no progress to show, and that is all.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;

/// The text of one exercise; fields that only the runner needs are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    /// Its name on the command line.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What `grade` gives for it.
    pub points: u32,
    /// How long it takes.
    pub minutes: u32,
    /// The page that it belongs to.
    pub page: String,
    /// What is asked of the reader's Rust.
    pub grade: String,
    /// What to do.
    pub task: String,
    /// What may be called, with the invariants.
    pub helpers: Vec<String>,
    /// What one understands afterwards.
    #[serde(default)]
    pub learn: String,
}

#[derive(Deserialize)]
struct Cards {
    exercise: Vec<Card>,
}

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

/// All cards, in the order of the file.
pub fn cards(root: &Path) -> Result<Vec<Card>, String> {
    let file = root.join("exercises/exercises.toml");
    let text = files::text(&file, files::MOST)
        .map_err(|_| "there is no file exercises/exercises.toml".to_string())?;
    let cards: Cards = toml::from_str(&text)
        .map_err(|error| format!("exercises/exercises.toml: {}", one_line(&error.to_string())))?;
    let plan = files::text(&root.join("exercises/src/lib.rs"), files::MOST).unwrap_or_default();
    let mut cards = cards.exercise;
    for card in &mut cards {
        if card.learn.is_empty() {
            card.learn = planned(&plan, &card.name).unwrap_or_default();
        }
    }
    Ok(cards)
}

/// What the plan of the exercises says that one learns: `1 "name" "what" socket;`.
fn planned(plan: &str, name: &str) -> Option<String> {
    let mark = format!(" \"{name}\" \"");
    let line = plan.lines().find(|line| line.contains(&mark))?;
    let (_, rest) = line.split_once(&mark)?;
    Some(rest.split('"').next()?.to_string())
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

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;

    const CARD: &str = "[[exercise]]\nname = \"half\"\ntitle = \"T\"\npoints = 10\nminutes = 25\npage = \"p.html\"\ngrade = \"None.\"\ntask = \"Do.\"\nhelpers = []\nwhy = \"x\"\nhints = [\"a\"]\n";

    fn folder(files: &[(&str, &str)]) -> Scratch {
        let dir = Scratch::new().unwrap();
        fs::create_dir_all(dir.path().join("exercises/src")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join("exercises").join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn cards_are_read() {
        let plan = "    1 \"half\" \"Half is enough.\" Row(\"x\");\n";
        let dir = folder(&[("exercises.toml", CARD), ("src/lib.rs", plan)]);
        let cards = cards(dir.path()).unwrap();
        assert_eq!((cards[0].name.as_str(), cards[0].minutes), ("half", 25));
        assert_eq!(cards[0].learn, "Half is enough.");
        let broken = folder(&[("exercises.toml", "[[exercise]]\nname = 1\n")]);
        let error = super::cards(broken.path()).unwrap_err();
        assert!(error.starts_with("exercises/exercises.toml: "), "{error}");
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
