//! The index of Go's names, made from `mechanisms.toml`.
//!
//! First all names in alphabetical order, each a link to its mechanism; then the mechanisms with
//! both versions of Go, our file and the test. The pages that tell a mechanism are found by
//! where its names stand as code, so the index cannot fall behind the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mdbook_markdown::pulldown_cmark::{Event, Tag, TagEnd};
use mdbook_markdown::{MarkdownOptions, new_cmark_parser};
use mechanisms::Mechanism;

use super::panel::escape;

/// What the index must know of a page.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Its file, relative to the chapters.
    pub path: PathBuf,
    /// Its first heading.
    pub title: String,
    /// Everything that stands in it as code.
    pub code: Vec<String>,
    /// Does it hold the index itself?
    pub index: bool,
}

/// Reads what the index needs of a chapter.
pub fn page(path: &Path, source: &str) -> Page {
    let mut page = Page {
        path: path.to_path_buf(),
        index: source.contains("{{#mechanisms}}"),
        ..Page::default()
    };
    let mut in_title = false;
    for event in new_cmark_parser(source, &MarkdownOptions::default()) {
        match event {
            Event::Start(Tag::Heading { .. }) => in_title = page.title.is_empty(),
            Event::End(TagEnd::Heading(_)) => in_title = false,
            Event::Code(code) => {
                if in_title {
                    page.title.push_str(&code);
                }
                page.code.push(code.to_string());
            }
            Event::Text(text) if in_title => page.title.push_str(&text),
            _ => {}
        }
    }
    page
}

/// The whole index, for a page of this path, from the text of `mechanisms.toml`.
pub fn write(data: &str, from: &Path, pages: &[Page]) -> Result<String, String> {
    let all = mechanisms::parse(data)?;
    let up = "../".repeat(from.components().count().saturating_sub(1));
    let mut out = names(&all);
    for mechanism in &all {
        out.push_str(&format!(
            "<div class=\"sp-mechanism\" id=\"mechanism-{}\">\n<p class=\"sp-mechanism-name\">{}</p>\n",
            mechanism.number,
            html(&mechanism.name)
        ));
        for (what, text) in lines(mechanism) {
            out.push_str(&pair(what, &html(&text)));
        }
        let told = told(mechanism, pages, &up);
        let told = if told.is_empty() {
            "on no page yet".to_string()
        } else {
            told.join(", ")
        };
        out.push_str(&pair("told", &told));
        out.push_str("</div>\n\n");
    }
    Ok(out)
}

/// All names in alphabetical order, each a link to its mechanism.
fn names(all: &[Mechanism]) -> String {
    let mut names: BTreeMap<(String, String), usize> = BTreeMap::new();
    for mechanism in all {
        for name in mechanism.names() {
            let key = name.trim_start_matches(['_', '.']).to_lowercase();
            names.insert((key, name.to_string()), mechanism.number);
        }
    }
    let mut out = String::from("<ul class=\"sp-names\">\n");
    for ((_, name), number) in &names {
        out.push_str(&format!(
            "<li><a href=\"#mechanism-{number}\"><code>{}</code></a></li>\n",
            escape(name)
        ));
    }
    out.push_str("</ul>\n\n");
    out
}

/// What the index says of a mechanism, as text with backquotes.
fn lines(mechanism: &Mechanism) -> [(&'static str, String); 4] {
    let tests = mechanisms::list(&mechanism.tests);
    let no_test = if tests.is_empty() { "not yet" } else { "" };
    let here = mechanism.not_yet.clone();
    [
        ("Go 1.15", mechanism.go_1_15.clone()),
        ("Go 1.27", mechanism.go_1_27.clone()),
        ("here", here.unwrap_or_else(|| mechanism.places())),
        ("test", tests + no_test),
    ]
}

/// Links to the pages: the sections that the data names first, then every other mention.
fn told(mechanism: &Mechanism, pages: &[Page], up: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut seen = Vec::new();
    for section in &mechanism.sections {
        let target = section.trim_start_matches("book/chapters/");
        let file = target.split('#').next().unwrap_or(target);
        if let Some(page) = pages.iter().find(|page| page.path == Path::new(file)) {
            seen.push(&page.path);
            links.push(link(&format!("{up}{target}"), &page.title));
        }
    }
    for page in pages.iter().filter(|page| !page.index) {
        let mentions = |name: &str| page.code.iter().any(|code| mentions(code, name));
        if !seen.contains(&&page.path) && mechanism.names().any(mentions) {
            let target = format!("{up}{}", page.path.display());
            links.push(link(&target, &page.title));
        }
    }
    links
}

/// Is this name a whole word of that code?
fn mentions(code: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// A link to a chapter's source: mdBook makes it one to the finished page.
fn link(target: &str, title: &str) -> String {
    format!("<a href=\"{target}\">{}</a>", escape(title))
}

/// What is told, and what there is to tell. (mdBook would give each `dt` an id and a link.)
fn pair(what: &str, text: &str) -> String {
    format!(
        "<p class=\"sp-mechanism-line\"><span class=\"sp-mechanism-what\">{what}</span> <span>{text}</span></p>\n"
    )
}

/// Text with backquotes as HTML.
fn html(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            // A path may break where a reader would break it.
            let part = escape(part).replace('/', "/<wbr>").replace("::", "::<wbr>");
            out.push_str(&format!("<code>{part}</code>"));
        } else {
            out.push_str(&escape(part));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "
[[mechanism]]
number = 1
name = '`runq`, `_Gidle`'
go_1_15 = 'A <ring>.'
go_1_27 = 'The same.'
here = [{ file = 'a/b.rs', find = ['x'] }]
tests = ['t.rs::f']
sections = ['book/chapters/one.md#top']

[[mechanism]]
number = 2
name = 'every 61st tick'
go_1_15 = 'Rare.'
go_1_27 = 'The same.'
not_yet = 'not yet: later'
";

    fn pages() -> Vec<Page> {
        vec![
            page(Path::new("one.md"), "# One\n\n`runqput`\n"),
            page(Path::new("two.md"), "# Two `x`\n\nsee `p.runq[0]`\n"),
            page(Path::new("all.md"), "# All\n\n`runq`\n\n{{#mechanisms}}\n"),
        ]
    }

    #[test]
    fn names_rows_and_pages() {
        let html = write(DATA, Path::new("sub/all.md"), &pages()).unwrap();
        let (idle, runq) = (html.find(">_Gidle<"), html.find(">runq<"));
        assert!(idle < runq && idle.is_some(), "by the alphabet: {html}");
        assert!(html.contains("A &lt;ring&gt;."));
        assert!(
            html.contains("<a href=\"../one.md#top\">One</a>, <a href=\"../two.md\">Two x</a>")
        );
        assert!(!html.contains("all.md"), "not the index itself");
        assert!(
            html.contains("<span>not yet: later</span>") && html.contains("<span>not yet</span>")
        );
        assert!(html.contains("on no page yet"));
        assert!(write("# nothing\n", Path::new("x.md"), &[]).is_err());
    }

    #[test]
    fn whole_words_only() {
        assert!(mentions("p.runq[0]", "runq"));
        assert!(mentions("runq", "runq"));
        assert!(!mentions("runqput", "runq"));
        assert!(!mentions("_runq", "runq"));
    }
}
