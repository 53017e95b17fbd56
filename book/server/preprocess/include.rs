//! Reads the part of a file that an include names, without its common indentation.
//!
//! `PATH` is relative to the chapter. After it may stand an anchor (the lines between
//! `ANCHOR: name` and `ANCHOR_END: name` in comments) or line numbers. Whatever is
//! missing, or turns out empty, is an error: a blank listing teaches nothing.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::files;

/// The part of a file that `spec` names, seen from a chapter in folder `from`.
pub fn read(root: &Path, from: &Path, spec: &str) -> Result<String, String> {
    let (path, part) = match spec.split_once(':') {
        Some((path, part)) => (path, Some(part)),
        None => (spec, None),
    };
    let path = normal(&from.join(path));
    if !path.starts_with(normal(root)) {
        return Err(format!("`{spec}` lies outside the repository"));
    }
    let shown = path.strip_prefix(normal(root)).unwrap_or(&path).display();
    let text = files::text(&path, files::MOST).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no file {shown}"),
        _ => format!("cannot read {shown}: {error}"),
    })?;
    let lines: Vec<&str> = text.lines().collect();
    let chosen = match part {
        None => lines,
        Some(part) if part.starts_with(|c: char| c.is_ascii_digit()) => {
            numbered(&lines, part).ok_or_else(|| format!("{shown} has no lines {part}"))?
        }
        Some(anchor) => {
            anchored(&lines, anchor).map_err(|what| format!("{what} `{anchor}` in {shown}"))?
        }
    };
    let text = dedent(&without_anchors(chosen));
    if text.trim().is_empty() {
        return Err(format!("`{spec}` expands to nothing"));
    }
    Ok(text)
}

/// The whole of a source text as a listing.
pub fn listing(source: &str) -> String {
    dedent(&without_anchors(source.lines().collect()))
}

fn anchored<'a>(lines: &[&'a str], anchor: &str) -> Result<Vec<&'a str>, &'static str> {
    let at = |mark: &str| {
        lines
            .iter()
            .position(|line| anchor_in(line, mark).is_some_and(|name| name == anchor))
    };
    let start = at("ANCHOR:").ok_or("there is no anchor")?;
    let end = at("ANCHOR_END:").ok_or("there is no end of the anchor")?;
    if end < start {
        return Err("the end stands before the start of the anchor");
    }
    Ok(lines[start + 1..end].to_vec())
}

/// The name after `ANCHOR:` or `ANCHOR_END:` in a line.
fn anchor_in<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    rest.split_whitespace().next()
}

fn without_anchors(lines: Vec<&str>) -> Vec<&str> {
    lines
        .into_iter()
        .filter(|line| !line.contains("ANCHOR:") && !line.contains("ANCHOR_END:"))
        .collect()
}

/// `7` or `7:12`, counted from 1, both included.
fn numbered<'a>(lines: &[&'a str], part: &str) -> Option<Vec<&'a str>> {
    let (from, to): (usize, usize) = match part.split_once(':') {
        None => (part.parse().ok()?, part.parse().ok()?),
        Some((from, "")) => (from.parse().ok()?, lines.len()),
        Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
    };
    (from >= 1 && from <= to)
        .then(|| lines.get(from - 1..to))
        .flatten()
        .map(<[&str]>::to_vec)
}

/// Takes off the white space that all lines share; empty lines do not count.
fn dedent(lines: &[&str]) -> String {
    let indent = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0);
    let cut: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or("").trim_end())
        .collect();
    cut.join("\n").trim_matches('\n').to_string()
}

/// Resolves `.` and `..` by the text alone, so that a path means the same whether or not
/// a folder on the way is a symbolic link.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_and_anchors_go() {
        let lines = ["    a", "", "      b", "    // ANCHOR: x"];
        assert_eq!(dedent(&without_anchors(lines.to_vec())), "a\n\n  b");
        assert_eq!(anchored(&lines, "x"), Err("there is no end of the anchor"));
        assert_eq!(anchored(&lines, "y"), Err("there is no anchor"));
    }

    #[test]
    fn line_numbers() {
        let lines = ["1", "2", "3"];
        assert_eq!(numbered(&lines, "2"), Some(vec!["2"]));
        assert_eq!(numbered(&lines, "2:"), Some(vec!["2", "3"]));
        assert_eq!(numbered(&lines, "2:9"), None);
        assert_eq!(numbered(&lines, "0"), None);
        assert_eq!(numbered(&lines, "3:2"), None);
    }

    #[test]
    fn dots_are_resolved() {
        assert_eq!(normal(Path::new("/a/b/../c/./d")), Path::new("/a/c/d"));
    }
}
