//! `MECHANISMS.md` says where each of Go's mechanisms is: this test holds it to the truth.
//! Every file, symbol, test and section that the table names must exist.

use std::collections::HashMap;
use std::path::Path;
use tests::root;

const HEADER: &str =
    "| # | mechanism (Go's name) | Go 1.15 | Go 1.27 | our file | test | section |";
/// Rows that the table must have by now: those of stages 1 and 2.
const ROWS: usize = 58;
/// Rows that may have no file of ours yet.
const NOT_YET: &[usize] = &[30, 56, 58];

struct Mechanism {
    number: usize,
    name: String,
    go: [String; 2],
    file: String,
    test: String,
    section: String,
}

/// The table's rows, in order.
fn table() -> Vec<Mechanism> {
    let text = std::fs::read_to_string(root().join("MECHANISMS.md")).expect("MECHANISMS.md");
    let mut lines = text.lines().skip_while(|l| *l != HEADER);
    assert!(lines.next().is_some(), "no table with the header {HEADER}");
    let rule = lines.next().unwrap_or_default();
    assert!(rule.starts_with("|---"), "not a table: {rule}");
    lines
        .take_while(|l| l.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [number, name, then, now, file, test, section] = cells[..] else {
                panic!("not seven cells: {line}");
            };
            Mechanism {
                number: number
                    .parse()
                    .unwrap_or_else(|_| panic!("no number: {line}")),
                name: name.to_owned(),
                go: [then.to_owned(), now.to_owned()],
                file: file.to_owned(),
                test: test.to_owned(),
                section: section.to_owned(),
            }
        })
        .collect()
}

/// What stands between backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A cell that is empty on purpose, perhaps with a reason behind the dash.
fn not_yet(cell: &str) -> bool {
    cell == "-" || cell.starts_with("- (")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn rows_are_numbered_and_complete() {
    let table = table();
    assert!(table.len() >= ROWS, "{} rows", table.len());
    for (i, m) in table.iter().enumerate() {
        assert_eq!(m.number, i + 1, "row {} has the number {}", i + 1, m.number);
        assert!(!m.name.is_empty(), "row {}: no name", m.number);
        for go in &m.go {
            assert!(go.ends_with('.'), "row {}: not a sentence: {go}", m.number);
        }
        for cell in [&m.file, &m.test, &m.section] {
            assert!(
                not_yet(cell) || !quoted(cell).is_empty(),
                "row {}: neither a name in backquotes nor a dash: {cell}",
                m.number
            );
        }
    }
}

#[test]
fn files_and_symbols_exist() {
    for m in table() {
        if not_yet(&m.file) {
            assert!(NOT_YET.contains(&m.number), "row {}: no file", m.number);
            continue;
        }
        let mut file: Option<(&str, String)> = None;
        let mut symbols: HashMap<&str, usize> = HashMap::new();
        for word in quoted(&m.file) {
            if word.contains('/') {
                file = Some((word, read(&root().join(word))));
                symbols.insert(word, 0);
                continue;
            }
            let (path, text) = file
                .as_ref()
                .unwrap_or_else(|| panic!("row {}: `{word}` before any file", m.number));
            assert!(
                text.contains(word),
                "row {}: no `{word}` in {path}",
                m.number
            );
            *symbols.entry(path).or_default() += 1;
        }
        for (path, n) in symbols {
            assert!(n > 0, "row {}: nothing named in {path}", m.number);
        }
    }
}

#[test]
fn tests_exist() {
    for m in table().iter().filter(|m| !not_yet(&m.test)) {
        for word in quoted(&m.test) {
            let Some((module, name)) = word.rsplit_once("::") else {
                panic!("row {}: `{word}` is not of the form module::name", m.number);
            };
            let path = root()
                .join("tests/tests/it")
                .join(module.replace("::", "/"));
            let file = path.with_extension("rs");
            let text = read(&if file.is_file() {
                file
            } else {
                path.join("mod.rs")
            });
            let place = text.find(&format!("fn {name}("));
            let is_test = place.is_some_and(|at| text[..at].trim_end().ends_with(']'));
            assert!(is_test, "row {}: no test `{word}`", m.number);
        }
    }
}

#[test]
fn sections_exist() {
    for m in table().iter().filter(|m| !not_yet(&m.section)) {
        for word in quoted(&m.section) {
            let (path, anchor) = word.split_once('#').unwrap_or((word, ""));
            let text = read(&root().join(path));
            assert!(
                path.starts_with("book/chapters/") && path.ends_with(".md"),
                "row {}: {path} is no chapter",
                m.number
            );
            let found = anchor.is_empty()
                || text
                    .lines()
                    .filter(|l| l.starts_with('#'))
                    .any(|l| slug(l) == anchor);
            assert!(found, "row {}: no heading #{anchor} in {path}", m.number);
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
