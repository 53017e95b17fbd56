//! The drawings of `book/figures`, put into the page itself.
//!
//! Inline, they take their colors from the page's theme, print, and need no second request.
//! The caption is the drawing's own `<title>`, and its `<desc>` is what a reader hears who
//! does not see it; a drawing without one of them is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::files;

/// The drawing as HTML. `nth` counts how often the page showed it before.
pub fn figure(folder: &Path, name: &str, nth: usize) -> Result<String, String> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(format!(
            "`{name}` is no name of a figure: give it without folder and .svg"
        ));
    }
    let Ok(text) = files::text(&folder.join(format!("{name}.svg")), files::MOST) else {
        return Err(format!(
            "there is no figure book/figures/{name}.svg; there are: {}",
            names(folder).join(", ")
        ));
    };
    let prefix = if nth == 0 {
        format!("figure-{name}")
    } else {
        format!("figure-{name}-{}", nth + 1)
    };
    inline(&text, name, &prefix)
}

/// The names of all drawings.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            Some(file.strip_suffix(".svg")?.to_string())
        })
        .collect();
    names.sort();
    names
}

/// A drawing that was made from a recording, as HTML.
pub fn made(svg: &str, name: &str, prefix: &str) -> Result<String, String> {
    inline(svg, name, prefix)
}

fn inline(text: &str, name: &str, prefix: &str) -> Result<String, String> {
    let file = format!("book/figures/{name}.svg");
    let start = text
        .find("<svg")
        .ok_or_else(|| format!("{file} has no <svg> element"))?;
    let svg = text[start..].trim_end();
    let title = element(svg, "title")
        .ok_or_else(|| format!("{file} has no <title>: it is the caption below the figure"))?;
    element(svg, "desc").ok_or_else(|| {
        format!(
            "{file} has no <desc>: say in words what the figure shows, for those who do not see it"
        )
    })?;
    // Ids stand once on a page, so each drawing gets names of its own.
    let mut renamed = BTreeMap::new();
    for part in svg.split(" id=\"").skip(1) {
        if let Some(id) = part.split('"').next() {
            renamed.insert(id.to_string(), format!("{prefix}-{id}"));
        }
    }
    let mut svg = svg.to_string();
    for (old, new) in &renamed {
        for (before, after) in [(" id=\"", "\""), ("url(#", ")"), ("href=\"#", "\"")] {
            svg = svg.replace(
                &format!("{before}{old}{after}"),
                &format!("{before}{new}{after}"),
            );
        }
    }
    let open = format!(
        "<svg role=\"img\" aria-labelledby=\"{prefix}-title {prefix}-desc\" class=\"sp-drawing sp-drawing-{name}\""
    );
    svg = svg.replacen("<svg", &open, 1);
    svg = svg.replacen("<title>", &format!("<title id=\"{prefix}-title\">"), 1);
    svg = svg.replacen("<desc>", &format!("<desc id=\"{prefix}-desc\">"), 1);
    // An empty line would end the block of HTML.
    let lines: Vec<&str> = svg
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Ok(format!(
        "<figure class=\"sp-plate\" id=\"{prefix}\">\n<div class=\"sp-plate-box\">\n{}\n</div>\n<figcaption>{title}</figcaption>\n</figure>\n",
        lines.join("\n")
    ))
}

/// The text of the first element of this name, if it says anything.
fn element<'a>(svg: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = svg.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 9 9\">\n<title>A ring</title>\n<desc>A ring with four places.</desc>\n\n<path id=\"a\" d=\"M0 0\"/>\n<use href=\"#a\"/>\n<rect fill=\"url(#a)\"/>\n</svg>\n";

    #[test]
    fn a_drawing_becomes_part_of_the_page() {
        let html = inline(GOOD, "ring", "figure-ring-2").unwrap();
        assert!(html.starts_with("<figure class=\"sp-plate\" id=\"figure-ring-2\">"));
        assert!(html.contains("<figcaption>A ring</figcaption>"));
        assert!(html.contains("aria-labelledby=\"figure-ring-2-title figure-ring-2-desc\""));
        assert!(html.contains("<desc id=\"figure-ring-2-desc\">A ring with"));
        for part in [
            "id=\"figure-ring-2-a\"",
            "\"#figure-ring-2-a\"",
            "url(#figure-ring-2-a)",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("<?xml") && !html.contains("\n\n"));
    }

    #[test]
    fn what_a_drawing_must_have() {
        for (from, to, says) in [
            ("<title>A ring</title>", "", "no <title>"),
            ("A ring with four places.", " ", "no <desc>"),
            ("<svg", "<sv", "no <svg>"),
        ] {
            let error = inline(&GOOD.replace(from, to), "ring", "x").unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        for name in ["", "../x", "a/b", "x.svg"] {
            assert!(figure(Path::new("/nowhere"), name, 0).is_err(), "{name}");
        }
    }
}
