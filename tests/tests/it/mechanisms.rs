//! `mechanisms.toml` says where each of Go's mechanisms is: these tests hold it to the truth.
//! Every file, symbol, test and section that it names must exist.

use std::path::Path;

use super::heads::is_test;
use ::mechanisms::Mechanism;
use tests::root;

/// Mechanisms that the list must have by now: those of stages 1 and 2.
const WRITTEN: usize = 80;
/// Those that may have no file of ours yet.
const NOT_YET: &[usize] = &[30, 56, 58];

fn all() -> Vec<Mechanism> {
    let text = read(&root().join(::mechanisms::FILE));
    ::mechanisms::parse(&text).unwrap_or_else(|e| panic!("{e}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_list_is_complete_and_in_sentences() {
    let all = all();
    assert!(all.len() >= WRITTEN, "{} mechanisms", all.len());
    for m in &all {
        assert!(!m.name.is_empty(), "mechanism {}: no name", m.number);
        for go in [&m.go_1_15, &m.go_1_27] {
            assert!(go.ends_with('.'), "{}: not a sentence: {go}", m.number);
        }
        assert!(
            m.not_yet.is_none() || NOT_YET.contains(&m.number),
            "mechanism {}: no file",
            m.number
        );
    }
}

#[test]
fn files_and_symbols_exist() {
    for m in all() {
        for place in &m.here {
            let text = read(&root().join(&place.file));
            for symbol in &place.find {
                assert!(
                    text.contains(symbol.as_str()),
                    "mechanism {}: no `{symbol}` in {}",
                    m.number,
                    place.file
                );
            }
        }
    }
}

#[test]
fn tests_exist() {
    for m in all() {
        for test in &m.tests {
            assert!(
                is_test(test),
                "mechanism {}: no test `{test}`, which is module::name",
                m.number
            );
        }
    }
}

#[test]
fn sections_exist() {
    for m in all() {
        for section in &m.sections {
            let (path, anchor) = section.split_once('#').unwrap_or((section, ""));
            let text = read(&root().join(path));
            assert!(
                path.starts_with("book/chapters/") && path.ends_with(".md"),
                "mechanism {}: {path} is no chapter",
                m.number
            );
            let found = anchor.is_empty()
                || text
                    .lines()
                    .filter(|l| l.starts_with('#'))
                    .any(|l| slug(l) == anchor);
            assert!(
                found,
                "mechanism {}: no heading #{anchor} in {path}",
                m.number
            );
        }
    }
}

/// A heading's anchor, as mdBook makes it: lower case, words joined by hyphens, no
/// punctuation.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// The tables of *Start here*: each cell names a file and what to look for in it.
#[test]
fn the_walk_in_architecture_is_in_the_sources() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let page = text
        .split("\n## ")
        .find(|section| section.starts_with("Start here"))
        .expect("ARCHITECTURE.md begins with it");
    let mut looked = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let cell = row.trim_matches('|').rsplit('|').next().unwrap_or_default();
        let mut file: Option<(&str, String)> = None;
        for word in quoted(cell) {
            if word.ends_with(".rs") {
                file = Some((word, read(&root().join("stage1-coop/src").join(word))));
            } else if let Some((path, text)) = &file {
                // `Runtime::run` stands in parentheses after the way to find it.
                let word = word.rsplit("::").next().unwrap_or(word);
                assert!(text.contains(word), "no `{word}` in {path}");
                looked += 1;
            }
        }
    }
    assert!(looked >= 20, "{looked} names");
}

/// The line *Contents* names every section, in order.
#[test]
fn the_contents_of_architecture_are_its_sections() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let (_, contents) = text.split_once("\nContents: ").expect("a list");
    let (contents, sections) = contents.split_once("\n\n").expect("sections below it");
    let links = contents.split("](#").skip(1);
    let links: Vec<&str> = links.filter_map(|link| link.split(')').next()).collect();
    let headings = sections.lines().filter(|line| line.starts_with("## "));
    assert_eq!(links, headings.map(slug).collect::<Vec<_>>());
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
