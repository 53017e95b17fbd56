//! The rules for fences, checked on the source as it was written.
//!
//! No Rust stands free in a chapter: each `rust` fence is one include of a compiled file.
//! Every fence says its language, because rustdoc takes one without for Rust. The parser is
//! the one that mdBook renders with, so that both agree on what a fence is.

use mdbook_markdown::pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

/// Lines of a fenced block, first and last, counted from 1.
pub type Fence = (usize, usize);

/// The fences of a chapter, and what is wrong with them as (line, words).
pub fn check(source: &str) -> (Vec<Fence>, Vec<(usize, String)>) {
    let mut fences = Vec::new();
    let mut wrong = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    let lines = Lines::of(source);
    let parser = new_cmark_parser(source, &MarkdownOptions::default());
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let line = lines.at(range.start);
                match kind {
                    CodeBlockKind::Indented => wrong.push((
                        line,
                        "text indented by four columns becomes code: use a fence with a language"
                            .to_string(),
                    )),
                    CodeBlockKind::Fenced(info) => {
                        fences.push((line, lines.at(range.end.saturating_sub(1))));
                        open = Some((line, info.to_string(), String::new()));
                    }
                }
            }
            Event::Text(text) => {
                if let Some((_, _, body)) = &mut open {
                    body.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((line, info, body)) = open.take()
                    && let Some(what) = fence(&info, &body)
                {
                    wrong.push((line, what));
                }
            }
            _ => {}
        }
    }
    (fences, wrong)
}

fn fence(info: &str, body: &str) -> Option<String> {
    let language = info
        .split([',', ' ', '\t', '{'])
        .find(|word| !word.is_empty());
    match language {
        None => {
            Some("this fence has no language: write text, console, go, x86asm or rust".to_string())
        }
        Some("rust") => {
            let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
            let (first, second) = (lines.next(), lines.next());
            let included = first
                .and_then(|line| line.strip_prefix("{{#include ")?.strip_suffix("}}"))
                .filter(|_| second.is_none());
            match included {
                None => Some(
                    "a rust fence must be exactly one {{#include ...}} of a file in this repository"
                        .to_string(),
                ),
                Some(spec) if !spec.split(':').next().unwrap_or("").trim().ends_with(".rs") => {
                    Some("a rust fence must include a .rs file".to_string())
                }
                Some(_) => None,
            }
        }
        Some(_) => None,
    }
}

/// Where the lines of a text end: found once, because a page has thousands of places to ask for.
pub struct Lines(Vec<usize>);

impl Lines {
    /// Those of this text.
    pub fn of(text: &str) -> Lines {
        Lines(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte offset, counted from 1.
    pub fn at(&self, offset: usize) -> usize {
        1 + self.0.partition_point(|end| *end < offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(source: &str) -> Vec<(usize, String)> {
        check(source).1
    }

    #[test]
    fn lines_are_counted_from_1() {
        let text = "a\n\nbc\n";
        let lines = Lines::of(text);
        let found: Vec<usize> = (0..=text.len()).map(|at| lines.at(at)).collect();
        assert_eq!(found, [1, 1, 2, 3, 3, 3, 4]);
    }

    #[test]
    fn what_is_allowed() {
        let source = "a\n\n```rust,hidelines=x\n{{#include ../x.rs:y}}\n```\n\n```text\nx\n```\n\n> ```rust\n> {{#include ../x.rs}}\n> ```\n";
        let (fences, wrong) = check(source);
        assert_eq!(wrong, []);
        assert_eq!(fences, [(3, 5), (7, 9), (11, 13)]);
    }

    #[test]
    fn what_is_not() {
        for (source, line, part) in [
            ("x\n\n```\ny\n```\n", 3, "no language"),
            ("```rust\nfn main() {}\n```\n", 1, "exactly one"),
            ("```rust\n{{#include a.rs}}\nx\n```\n", 1, "exactly one"),
            ("```rust,compile_fail\nlet x = 1;\n```\n", 1, "exactly one"),
            ("```rust\n{{#include a.toml}}\n```\n", 1, ".rs file"),
            ("x\n\n    indented\n", 3, "four columns"),
            ("~~~rust\nx\n~~~\n", 1, "exactly one"),
        ] {
            let found = complaints(source);
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert_eq!(found[0].0, line, "{source}");
            assert!(found[0].1.contains(part), "{source}: {found:?}");
        }
    }
}
