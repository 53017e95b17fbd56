//! Every link inside the book leads somewhere.
//!
//! A link to a chapter needs the chapter, a link to a heading needs the heading. The ids of
//! headings are computed as mdBook computes them. Links to other sites are left alone: a
//! build must not depend on the network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};

use super::include::normal;
use super::rules::Lines;
use super::{Expanded, Problem};

/// A link or picture: its line in the expanded text, and where it leads.
type Link = (usize, String);

/// Checks all links of all chapters.
pub fn check(chapters: &Path, book: &[Expanded], problems: &mut Vec<Problem>) {
    let mut ids: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut links: Vec<(&Expanded, Link)> = Vec::new();
    for chapter in book {
        let (found, targets) = scan(&chapter.text);
        ids.insert(chapter.path.clone(), targets);
        links.extend(found.into_iter().map(|link| (chapter, link)));
    }
    for (chapter, (line, target)) in links {
        if let Some(what) = dead(chapters, chapter, &target, &ids) {
            problems.push(Problem {
                chapter: chapter.path.display().to_string(),
                line: chapter.origin.get(line - 1).copied().unwrap_or(0),
                what,
            });
        }
    }
}

/// Why a link is dead, or `None`.
fn dead(
    chapters: &Path,
    from: &Expanded,
    target: &str,
    ids: &BTreeMap<PathBuf, BTreeSet<String>>,
) -> Option<String> {
    if elsewhere(target) {
        return None;
    }
    if target.starts_with('/') {
        return Some(format!(
            "`{target}` breaks when the book does not stand at the top of its host: write it relative to this page"
        ));
    }
    let (file, id) = match target.split_once('#') {
        Some((file, id)) => (file, Some(id)),
        None => (target, None),
    };
    let path = if file.is_empty() {
        from.path.clone()
    } else {
        normal(&from.path.parent().unwrap_or(Path::new("")).join(file))
    };
    let Some(known) = ids.get(&path) else {
        let is_file = !file.ends_with(".md") && chapters.join(&path).is_file();
        return (!is_file).then(|| format!("`{target}` is no page of this book"));
    };
    match id {
        Some(id) if !known.contains(id) => {
            Some(format!("there is no heading `#{id}` in {}", path.display()))
        }
        _ => None,
    }
}

/// Does a link leave the book?
fn elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// The links of a text and the ids that links may name.
fn scan(text: &str) -> (Vec<Link>, BTreeSet<String>) {
    let mut links = Vec::new();
    let mut ids = BTreeSet::new();
    let lines = Lines::of(text);
    // The heading being read: the id given by hand, if any, and its text.
    let mut heading: Option<(Option<String>, String)> = None;
    for (event, range) in new_cmark_parser(text, &MarkdownOptions::default()).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push((lines.at(range.start), dest_url.to_string()));
            }
            Event::Start(Tag::Heading { id, .. }) => {
                heading = Some((id.map(|id| id.to_string()), String::new()));
            }
            // mdBook gives an id to each term of a definition list too: a glossary's.
            Event::Start(Tag::DefinitionListTitle) => heading = Some((None, String::new())),
            Event::Text(words) | Event::Code(words) => {
                if let Some((_, text)) = &mut heading {
                    text.push_str(&words);
                }
            }
            Event::End(TagEnd::Heading(_) | TagEnd::DefinitionListTitle) => {
                if let Some((id, text)) = heading.take() {
                    let id = id.unwrap_or_else(|| heading_id(&text));
                    ids.insert(unique(id, &ids));
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let line = lines.at(range.start);
                links.extend(attribute(&html, "href").map(|to| (line, to.to_string())));
                ids.extend(attribute(&html, "id").map(str::to_string));
            }
            _ => {}
        }
    }
    (links, ids)
}

/// The values of an attribute in a piece of HTML.
fn attribute<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    html.match_indices(&start)
        .map(|(at, found)| at + found.len())
        .filter_map(|at| html[at..].split('"').next())
        .collect::<Vec<_>>()
        .into_iter()
}

/// mdBook's rule: lower case, spaces become dashes, other signs go.
fn heading_id(text: &str) -> String {
    text.trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// mdBook's rule for headings that say the same: `-1`, `-2` and so on.
fn unique(id: String, taken: &BTreeSet<String>) -> String {
    if !taken.contains(&id) {
        return id;
    }
    (1..)
        .map(|number| format!("{id}-{number}"))
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or(id)
}
