//! The real book: it builds under the strict rules and needs nothing from elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safepoint_book::build;
use safepoint_book::workspace::Workspace;

use super::support::repository;

/// Builds the book for hosting, once for all tests here.
fn pages() -> &'static Path {
    static PAGES: OnceLock<PathBuf> = OnceLock::new();
    PAGES.get_or_init(|| {
        let out = super::support::scratch().join("pages");
        let ws = Workspace::at(repository());
        build::publish(&ws, &out).unwrap_or_else(|error| panic!("{error:#}"));
        out
    })
}

/// All finished pages, by their path relative to the book's top.
fn html() -> Vec<(String, String)> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else if name.ends_with(".html") {
                found.push((name, fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(pages(), "", &mut found);
    found
}

/// Where a relative link of a page leads.
fn target(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The values of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.match_indices(&format!(" {attribute}=\""))
        .filter_map(|(at, found)| html[at + found.len()..].split('"').next())
        .collect()
}

#[test]
fn the_book_builds_under_the_strict_rules() {
    for page in ["index.html", "the-loop.html", "stage1-examples.html"] {
        assert!(pages().join(page).is_file(), "{page}");
    }
    let text = fs::read_to_string(pages().join("the-loop.html")).unwrap();
    assert!(text.contains("<svg"), "the recorded run is drawn");
    assert!(!text.contains("sp-missing"), "nothing is missing");
    assert!(!text.contains("{{#"), "every directive was carried out");
}

/// A stage switch shows one program: the files differ in the stage's name and nothing else.
#[test]
fn under_each_stage_it_is_the_same_program() {
    let ws = Workspace::at(repository());
    let page = fs::read_to_string(ws.book().join("chapters/the-loop.md")).unwrap();
    let switch = page
        .split("{{#stages ")
        .nth(1)
        .expect("the first page has one");
    let targets = switch.split("}}").next().unwrap();
    let programs: Vec<(String, String)> = targets
        .split_whitespace()
        .filter_map(|target| target.split_once('/'))
        .map(|(pkg, name)| {
            let example = ws
                .example(pkg, name)
                .unwrap_or_else(|| panic!("{pkg}/{name}"));
            let krate = pkg.replace('-', "_");
            assert!(
                example.source.contains(&krate),
                "{pkg}/{name} uses its stage"
            );
            (
                pkg.to_string(),
                example.source.replace(&krate, "STAGE_CRATE"),
            )
        })
        .collect();
    assert!(programs.len() >= 2, "{targets}");
    for (pkg, program) in &programs[1..] {
        assert_eq!(program, &programs[0].1, "{pkg} and {}", programs[0].0);
    }
}

/// Loading a page asks for nothing beyond its own host: no script, style, font or picture.
#[test]
fn nothing_is_loaded_from_elsewhere() {
    for (name, text) in html() {
        let sources = values(&text, "src");
        for tag in text.split("<link ").skip(1) {
            let tag = format!(" {}", tag.split('>').next().unwrap());
            for url in values(&tag, "href") {
                assert!(!url.contains("//"), "{name} loads {url}");
            }
        }
        for url in sources {
            assert!(!url.contains("//"), "{name} loads {url}");
        }
        // The stock Run button asks a public server as soon as a page has this class.
        assert!(!text.contains("class=\"playground\""), "{name}");
    }
    for entry in fs::read_dir(pages()).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "css") {
            let css = fs::read_to_string(&path).unwrap();
            assert!(
                !css.contains("url(http") && !css.contains("url(//") && !css.contains("@import")
            );
        }
    }
}

/// What we write into a page brings no script of its own: those are files.
#[test]
fn no_handler_stands_in_a_page() {
    for (name, text) in html() {
        let (_, main) = text.split_once("<main>").unwrap_or(("", ""));
        let main = main.split("</main>").next().unwrap_or("");
        assert!(
            !main.contains("<script") && !main.contains("javascript:"),
            "{name}"
        );
        for tag in main.split('<').skip(1) {
            let tag = tag.split('>').next().unwrap_or("");
            let handler = tag.split_whitespace().skip(1).find(|word| {
                let (key, value) = word.split_once('=').unwrap_or(("", ""));
                key.starts_with("on") && value.starts_with('"')
            });
            assert_eq!(handler, None, "{name}: {tag}");
        }
    }
}

/// The links of the finished pages, those that mdBook and the panels made included.
#[test]
fn every_link_of_the_finished_pages_leads_somewhere() {
    let pages_by_name: Vec<(String, String)> = html();
    let ids: Vec<(&str, BTreeSet<&str>)> = pages_by_name
        .iter()
        .map(|(name, text)| (name.as_str(), values(text, "id").into_iter().collect()))
        .collect();
    for (name, text) in &pages_by_name {
        // The page for wrong addresses cannot know how deep it is, and `toc.html` is shown
        // in a frame of other pages.
        if ["404.html", "print.html", "toc.html"].contains(&name.as_str()) {
            continue;
        }
        for url in values(text, "href") {
            if url.contains("://") || url.is_empty() {
                continue;
            }
            let (file, id) = url.split_once('#').unwrap_or((url, ""));
            let file = if file.is_empty() {
                name.clone()
            } else {
                target(name, file)
            };
            assert!(pages().join(&file).is_file(), "{name} links to {url}");
            if !id.is_empty() {
                let known = ids.iter().find(|(page, _)| *page == file.as_str());
                assert!(
                    known.is_some_and(|(_, ids)| ids.contains(id)),
                    "{name} links to {url}"
                );
            }
        }
    }
}

/// The runner of the exercises names the page of each; there its card is.
#[test]
fn every_card_stands_where_the_exercises_say() {
    let pages = html();
    let mut wrong = Vec::new();
    for card in safepoint_book::exercises::cards(&repository()).unwrap() {
        let mark = format!("data-exercise=\"{}\"", card.name);
        let found: Vec<&str> = pages
            .iter()
            .filter(|(name, text)| !name.ends_with("print.html") && text.contains(&mark))
            .map(|(name, _)| name.as_str())
            .collect();
        if found != [card.page.as_str()] {
            wrong.push(format!(
                "{}: page = {:?}, but found on {found:?}",
                card.name, card.page
            ));
        }
    }
    assert!(wrong.is_empty(), "exercise.toml:\n{}", wrong.join("\n"));
}

/// A folder with somebody's files is never replaced.
#[test]
fn a_foreign_folder_is_left_alone() {
    let dir = super::support::scratch().join("foreign");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("thesis.txt"), "years of work").unwrap();
    let error = build::publish(&Workspace::at(repository()), &dir).unwrap_err();
    assert!(
        error.to_string().contains("choose an empty or new folder"),
        "{error}"
    );
    assert!(dir.join("thesis.txt").is_file());
}

/// A mistake in a chapter while the book is open: the old page stays and says what is wrong.
#[cfg(unix)]
#[test]
fn a_failed_build_keeps_the_old_pages() {
    use safepoint_book::run::Limits;

    use super::support::{Server, fixture};

    let root = super::support::scratch().join("rebuild");
    let _ = fs::remove_dir_all(&root);
    let chapters = root.join("book/chapters");
    fs::create_dir_all(&chapters).unwrap();
    fs::create_dir_all(root.join("book/assets")).unwrap();
    let real = fixture().join("book");
    for entry in fs::read_dir(real.join("assets")).unwrap().flatten() {
        fs::copy(
            entry.path(),
            root.join("book/assets").join(entry.file_name()),
        )
        .unwrap();
    }
    fs::copy(real.join("book.toml"), root.join("book/book.toml")).unwrap();
    fs::write(chapters.join("SUMMARY.md"), "# S\n\n- [Page](page.md)\n").unwrap();
    let page = chapters.join("page.md");

    fs::write(&page, "# One\n\n```\nx\n```\n").unwrap();
    let server = Server::start(Workspace::at(&root), Limits::default());
    let (status, text) = server.get("/page.html");
    assert_eq!(status, 503);
    assert!(
        text.contains("book/chapters/page.md:3: this fence has no language"),
        "{text}"
    );

    fs::write(&page, "# The first form\n").unwrap();
    assert!(server.get("/page.html").1.contains("The first form"));

    fs::write(&page, "# The second form\n\n[x](gone.md)\n").unwrap();
    let (status, text) = server.get("/page.html");
    assert_eq!(status, 200);
    assert!(text.contains("The first form") && !text.contains("The second form"));
    assert!(text.contains("role=\"alert\"") && text.contains("page.md:3: `gone.md` is no page"));

    fs::write(&page, "# The third form\n").unwrap();
    let text = server.get("/page.html").1;
    assert!(text.contains("The third form") && !text.contains("sp-build-error"));
    assert_eq!(server.get("/none.html").0, 404);
}
