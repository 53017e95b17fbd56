//! The texts of the exercises: titles, cards, hints. Read from `exercises.toml`, which is
//! built in: an array `exercise` of tables with the fields of [`Card`], all of them, in the
//! order of the book. The book reads the same file.

use crate::{PLANNED, Planned};
use serde::Deserialize;
use std::sync::LazyLock;

/// The texts of one exercise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name on the command line.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What `grade` gives for it.
    pub points: u32,
    /// How long a reader with the chapter behind him needs.
    pub minutes: u32,
    /// The page of the book that it belongs to.
    pub page: String,
    /// What is asked of the learner's Rust.
    pub grade: String,
    /// What to do.
    pub task: String,
    /// What may be called, with the invariants.
    pub helpers: Vec<String>,
    /// What a wrong schedule means, in general.
    pub why: String,
    /// From a nudge to nearly the answer.
    pub hints: [String; 3],
}

#[derive(Deserialize)]
struct File {
    exercise: Vec<Card>,
}

static CARDS: LazyLock<Vec<Card>> = LazyLock::new(|| {
    let file: File =
        toml::from_str(include_str!("../exercises.toml")).expect("exercises.toml is sound");
    file.exercise
});

/// Every card, in the order of the book.
pub fn cards() -> &'static [Card] {
    &CARDS
}

impl Card {
    /// The card with this name.
    pub fn find(name: &str) -> Option<&'static Card> {
        cards().iter().find(|c| c.name == name)
    }

    /// The plan's entry.
    pub fn planned(&self) -> Option<&'static Planned> {
        PLANNED.iter().find(|p| p.name == self.name)
    }

    /// The stage whose chapter brings it.
    pub fn stage(&self) -> u8 {
        self.planned().map_or(0, |p| p.stage)
    }
}
