//! Every exercise: its texts ([`Card`]) and its judge, from its folder. `build.rs` lists the
//! folders; nothing else in this crate knows which there are.

use crate::attempt::{Case, Judge, Kind, enter};
pub use safepoint_card::Card;
use safepoint_card::Folder;
use stage1_coop::Stage;
use std::any::Any;
use std::fmt::Write;
use std::sync::LazyLock;

/// A folder, as `build.rs` lists it.
pub(crate) struct Found {
    pub(crate) stage: u8,
    pub(crate) name: &'static str,
    /// Its `exercise.toml`.
    pub(crate) text: &'static str,
    pub(crate) judge: &'static Judge,
}

/// One exercise.
pub struct Exercise {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its texts.
    pub card: Card,
    /// What the learner edits, and how it is judged.
    pub kind: Kind,
    /// The cases, simplest first.
    pub cases: &'static [Case],
    /// Whether an attempt's trace can be held against that of the stage's own piece.
    pub compare: bool,
    pub(crate) judge: &'static Judge,
}

static ALL: LazyLock<Vec<Exercise>> = LazyLock::new(|| {
    let found = crate::ALL.iter().copied().flatten();
    let mut all: Vec<Exercise> = found.map(exercise).collect();
    all.sort_by_key(|exercise| exercise.card.place());
    all
});

fn exercise(found: &Found) -> Exercise {
    let folder = Folder {
        stage: found.stage,
        name: found.name.to_owned(),
        path: format!("stage{}/{}", found.stage, found.name).into(),
    };
    Exercise {
        name: found.name,
        card: Card::parse(&folder, found.text).expect("build.rs has read the same text"),
        kind: found.judge.kind,
        cases: found.judge.cases,
        compare: found.judge.compare,
        judge: found.judge,
    }
}

/// Every exercise, in the order of the book.
pub fn all() -> &'static [Exercise] {
    &ALL
}

/// The exercise with this name.
pub fn find(name: &str) -> Option<&'static Exercise> {
    all().iter().find(|exercise| exercise.name == name)
}

impl Exercise {
    /// The `main` of a run with the stage's own piece.
    pub fn reference(&self) {
        enter(self.judge.reference);
    }

    /// Whether its row is in the table that all stages share; else its stage declares it.
    pub fn row_is_shared(&self) -> bool {
        let row = self.card.row.as_deref();
        stage1_coop::STAGE
            .rows()
            .iter()
            .any(|r| Some(r.name) == row)
    }

    /// The call of [`plug!`](crate::plug) that runs a case with the pieces in module `work`.
    pub fn plugged(&self, work: &str) -> String {
        let (stage, module) = (self.card.stage, self.name.replace('-', "_"));
        let socket = match &self.card.row {
            Some(row) if self.row_is_shared() => format!("row {row}"),
            Some(row) => format!("own row {row}"),
            None => format!("alone {}", self.card.pieces.join(", ")),
        };
        format!("exercises::plug!({work}, stage{stage}::{module}, {socket})")
    }
}

/// The tables of `README.md`, one for each stage, and the list in `ARCHITECTURE.md`. A test
/// holds both files against this.
pub fn markdown() -> String {
    let mut text = String::new();
    for here in all().chunk_by(|a, b| a.card.stage == b.card.stage) {
        let _ = writeln!(
            text,
            "Stage {}:\n\n| exercise | you learn | min | points |\n|---|---|---|---|",
            here[0].card.stage
        );
        for Exercise { card, .. } in here {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                card.name, card.idea, card.minutes, card.points
            );
        }
        text.push('\n');
    }
    text.push_str("| stage | exercise | the learner writes | socket |\n|---|---|---|---|\n");
    for exercise in all() {
        let card = &exercise.card;
        let socket = match &card.row {
            Some(row) if exercise.row_is_shared() => format!("row `{row}`"),
            Some(row) => format!("row `{row}` of stage {}", card.stage),
            None => card.socket.clone().unwrap_or_default(),
        };
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {socket} |",
            card.stage, card.name, card.writes
        );
    }
    text
}

/// `stage` with other rows of a table that a later stage has declared: they come before its
/// own, and the first table of a type counts.
pub fn with_rows(stage: &Stage, rows: impl Any + Send + Sync) -> &'static Stage {
    let mine: &'static (dyn Any + Send + Sync) = Box::leak(Box::new(rows));
    let more = [&[mine], stage.more].concat();
    Box::leak(Box::new(Stage {
        more: more.leak(),
        ..*stage
    }))
}

/// Plugs a learner's piece, which is in module `$work`, into its socket, and runs the case that
/// the arguments name.
#[macro_export]
macro_rules! plug {
    ($work:ident, $stage:ident::$exercise:ident, row $row:ident) => {{
        const MINE: &$crate::$stage::library::Stage = &$crate::$stage::library::Stage {
            $row: $work::$row,
            ..$crate::$stage::library::STAGE
        };
        $crate::$stage::$exercise::attempt(MINE)
    }};
    ($work:ident, $stage:ident::$exercise:ident, own row $row:ident) => {{
        let rows = $crate::$stage::library::rt::table::Rows {
            $row: $work::$row,
            ..$crate::$stage::library::rt::table::ROWS
        };
        let mine = $crate::catalogue::with_rows(&$crate::$stage::library::STAGE, rows);
        $crate::$stage::$exercise::attempt(mine)
    }};
    ($work:ident, $stage:ident::$exercise:ident, alone $($($piece:ident)::+),+) => {
        $crate::$stage::$exercise::attempt($($work::$($piece)::+),+)
    };
}
