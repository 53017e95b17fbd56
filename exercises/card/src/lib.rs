//! The texts of an exercise, as its `exercise.toml` holds them. The runner has them built in,
//! and the book reads them from the checkout; both see the same folders in the same order.

mod folders;

pub use folders::{Folder, folders};
use serde::Deserialize;

/// The texts of one exercise. All fields but the first two are keys of `exercise.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The stage whose chapters bring it: the folder above.
    #[serde(skip)]
    pub stage: u8,
    /// Its name on the command line: the folder.
    #[serde(skip)]
    pub name: String,
    /// Its title.
    pub title: String,
    /// Where it stands among those of its stage. Numbers in tens leave room for new ones.
    pub order: u32,
    /// What the learner understands afterwards, in one sentence.
    pub idea: String,
    /// What the learner writes: a signature, or a few words.
    pub writes: String,
    /// The row of the stage table that the learner's function of the same name fills.
    pub row: Option<String>,
    /// Without a row: what the piece is measured against, for the list in `ARCHITECTURE.md`.
    pub socket: Option<String>,
    /// Without a row: the items of the learner's file that the judge's `attempt` takes, in order.
    #[serde(default)]
    pub pieces: Vec<String>,
    /// Names of the stage's own piece beside the row: the grader refuses them.
    #[serde(default)]
    pub own: Vec<String>,
    /// What is asked of the learner's Rust.
    pub rust: String,
    /// What `grade` gives for it.
    pub points: u32,
    /// How many minutes a reader needs who has read the chapter.
    pub minutes: u32,
    /// The page of the book that shows the card.
    pub page: String,
    /// What to do.
    pub task: String,
    /// What the helpers take for granted, as parameters in Rust: those of the piece, and what
    /// the task introduces.
    #[serde(default)]
    pub given: String,
    /// What may be called, with the invariants. A name in backticks compiles in the starter as
    /// it is; arguments that are not given may have any name.
    pub helpers: Vec<String>,
    /// What a wrong schedule means in general, for `why`.
    pub why: String,
    /// From a nudge to one step before the answer. Lines that begin with four blanks are code.
    pub hints: [String; 3],
}

impl Card {
    /// Reads the text of `exercise.toml` in `folder`.
    ///
    /// # Errors
    /// What is wrong with the text, in one line that begins with the file's name.
    pub fn parse(folder: &Folder, text: &str) -> Result<Card, String> {
        let problem = |why: String| format!("{}/exercise.toml: {why}", folder.shown());
        let card: Card = toml::from_str(text).map_err(|e| problem(in_one_line(&e, text)))?;
        card.check().map_err(problem)?;
        Ok(Card {
            stage: folder.stage,
            name: folder.name.clone(),
            ..card
        })
    }

    fn check(&self) -> Result<(), String> {
        if self.row.is_some() == self.socket.is_some() {
            return Err("either `row` or `socket` says where the piece belongs".to_owned());
        }
        // Both are written into the program of an attempt as they are.
        let names = self.row.iter().chain(&self.pieces);
        match names.into_iter().find(|name| !is_path(name)) {
            Some(name) => Err(format!("{name:?} is no name of a row or a piece")),
            None => Ok(()),
        }
    }

    /// What is asked of the learner's Rust, and the row.
    pub fn asks(&self) -> String {
        match &self.row {
            Some(row) => format!("{} Row `{row}`.", self.rust),
            None => self.rust.clone(),
        }
    }

    /// By this the cards are in the order of the book.
    pub fn place(&self) -> (u8, u32) {
        (self.stage, self.order)
    }
}

/// Whether this is a name of Rust, or several joined by `::`.
fn is_path(text: &str) -> bool {
    text.split("::").all(|name| {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
            && letters.all(|c| c == '_' || c.is_ascii_alphanumeric())
    })
}

/// What the parser says of a text, with the line.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let lines = error.message().lines().map(str::trim);
    let what = lines
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join(", ");
    match error.span() {
        // A key that is missing is missing in the text as a whole.
        Some(span) if span.end > 0 => {
            let before = text.get(..span.start).unwrap_or(text);
            format!("line {}: {what}", before.matches('\n').count() + 1)
        }
        _ => what,
    }
}
