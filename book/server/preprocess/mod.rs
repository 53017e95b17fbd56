//! The strict preprocessor: what a page prints is what the repository holds.
//!
//! mdBook's own includes let a missing file pass with a warning and a missing anchor
//! without one. Here every such mistake stops the build and names chapter and line. All
//! problems of all chapters are collected first, so that one build shows them all.

mod card;
mod chapter;
pub mod directive;
mod drawing;
pub mod excerpt;
mod expand;
mod include;
mod links;
mod mechanisms;
mod panel;
mod player;
mod predict;
pub mod query;
mod reading;
mod rules;
mod stages;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::exercises::{self, Card};
use crate::workspace::Workspace;

/// The preprocessor `safepoint` of `book.toml`.
#[derive(Debug)]
pub struct Safepoint {
    ws: Workspace,
    strict: bool,
}

/// Something in a chapter that must be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The chapter's file.
    pub chapter: String,
    /// The line in that file, counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// What all chapters are expanded with.
#[derive(Debug)]
pub struct Known {
    pages: Vec<mechanisms::Page>,
    /// The exercises, read for the first card. What is wrong with one is said once, and not
    /// for every card.
    cards: OnceCell<Result<Vec<Card>, String>>,
}

impl Known {
    fn cards(&self, ws: &Workspace) -> Option<&[Card]> {
        let cards = self.cards.get_or_init(|| exercises::cards(&ws.root));
        cards.as_deref().ok()
    }

    /// What is wrong with the exercises, if a card was asked for.
    fn problem(self) -> Option<String> {
        self.cards.into_inner()?.err()
    }
}

/// A chapter after its directives were carried out.
#[derive(Debug)]
pub struct Expanded {
    /// Path relative to the chapters' folder, for example `the-loop.md`.
    pub path: PathBuf,
    /// The Markdown that mdBook renders.
    pub text: String,
    /// For each line of `text`, the line of the source that it came from.
    pub origin: Vec<usize>,
}

impl Safepoint {
    /// Expands for this workspace. When `strict`, a recorded run that is not there stops the
    /// build; otherwise a red box stands in its place while a chapter is being written.
    pub fn new(ws: Workspace, strict: bool) -> Safepoint {
        Safepoint { ws, strict }
    }

    /// The folder with the chapters.
    fn chapters(&self) -> PathBuf {
        self.ws.book().join("chapters")
    }

    /// Every Markdown file must be reachable: a page that no list names is lost.
    fn orphans(&self, known: &BTreeSet<PathBuf>, problems: &mut Vec<Problem>) {
        let chapters = self.chapters();
        for file in markdown_files(&chapters) {
            let path = file.strip_prefix(&chapters).unwrap_or(&file);
            if path != Path::new("SUMMARY.md") && !known.contains(path) {
                problems.push(Problem {
                    chapter: path.display().to_string(),
                    line: 0,
                    what: "is not in SUMMARY.md: add it there, or remove the file".to_string(),
                });
            }
        }
    }
}

impl Preprocessor for Safepoint {
    fn name(&self) -> &str {
        "safepoint"
    }

    fn run(&self, _ctx: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let mut problems = Vec::new();
        let mut done: Vec<Expanded> = Vec::new();
        let mut pages = Vec::new();
        book.for_each_mut(|item| {
            if let Some((chapter, path)) = with_source(item) {
                pages.push(mechanisms::page(&path, &chapter.content));
            }
        });
        let known = Known {
            pages,
            cards: OnceCell::new(),
        };
        book.for_each_mut(|item| {
            if let Some((chapter, path)) = with_source(item) {
                let expanded = self.chapter(path, &chapter.content, &known, &mut problems);
                chapter.content = expanded.text.clone();
                done.push(expanded);
            }
        });
        let listed = done.iter().map(|chapter| chapter.path.clone()).collect();
        self.orphans(&listed, &mut problems);
        links::check(&self.chapters(), &done, &mut problems);
        problems.sort_by(|a, b| (&a.chapter, a.line).cmp(&(&b.chapter, b.line)));
        let exercises = known.problem().map(|what| format!("  {what}"));
        let chapters = problems.iter().map(Problem::to_string);
        let lines: Vec<String> = exercises.into_iter().chain(chapters).collect();
        if lines.is_empty() {
            return Ok(book);
        }
        Err(anyhow!("the book was not built:\n{}", lines.join("\n")))
    }

    fn supports_renderer(&self, renderer: &str) -> Result<bool> {
        Ok(renderer == "html")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  book/chapters/{}", self.chapter)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)
    }
}

fn with_source(item: &mut BookItem) -> Option<(&mut Chapter, PathBuf)> {
    match item {
        BookItem::Chapter(chapter) => {
            let path = chapter.source_path.clone()?;
            Some((chapter, path))
        }
        _ => None,
    }
}

fn markdown_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(dir) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(markdown_files(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests;
