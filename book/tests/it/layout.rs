//! Every page in a real browser, at the width of a phone and of a desk: nothing is cut off,
//! nothing overlaps, and the letters are large enough.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use safepoint_book::run::Limits;
use safepoint_book::workspace::Workspace;
use serde_json::Value;

use super::driver::Browser;
use super::support::{Server, repository};

/// A server of the whole book. It stays until the tests end: to build the pages takes longer
/// than to look at most of them.
fn book() -> &'static Server {
    static BOOK: OnceLock<Server> = OnceLock::new();
    BOOK.get_or_init(|| Server::start(Workspace::at(repository()), Limits::default()))
}

/// A trace can be read on a phone: no picture is cut at its edge, no line of text is.
#[test]
fn traces_fit_every_width() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let server = book();
    let ours = format!("http://{}/", server.address);
    for width in [360, 540, 700, 1000, 1200] {
        browser.width(width);
        browser.open(&format!("{ours}before/reading-a-trace.html"));
        browser.script("document.querySelectorAll('details').forEach(d => { d.open = true; })");
        assert_eq!(
            browser.script(CUT),
            Value::Array(Vec::new()),
            "at {width} pixels"
        );
    }
}

/// Pictures and texts of traces that must be scrolled sideways, and letters too small.
const CUT: &str = "\
const bad = [];
for (const box of document.querySelectorAll('.sp-figure, .sp-trace-lines, code.language-text')) {
    if (box.clientWidth > 0 && box.scrollWidth > box.clientWidth + 1) bad.push(box.className + ' ' + box.scrollWidth + ' in ' + box.clientWidth);
}
for (const figure of document.querySelectorAll('.sp-figure')) {
    const shown = Array.from(figure.querySelectorAll('svg')).filter(s => s.getBoundingClientRect().width > 0);
    if (shown.length !== 1) bad.push(shown.length + ' pictures');
    for (const svg of shown) {
        const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
        if (11 * scale < 8.5) bad.push('letters of ' + 11 * scale);
        for (const text of svg.querySelectorAll('text')) {
            const t = text.getBoundingClientRect();
            if (t.left < box.left - 1 || t.right > box.right + 1) bad.push('cut: ' + text.textContent);
        }
    }
}
return bad;";

/// Every page of the book, at the width of a phone or of a desk, each in its theme;
/// `SAFEPOINT_LONG=1` looks at every page in both.
#[test]
fn every_page_is_quiet_local_and_fits() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let root = repository();
    let server = book();
    let ours = format!("http://{}/", server.address);
    let summary = fs::read_to_string(root.join("book/chapters/SUMMARY.md")).unwrap();
    let pages: BTreeSet<String> = summary
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next()?.strip_suffix(".md"))
        .map(|stem| format!("{stem}.html"))
        .collect();
    assert!(pages.len() >= 4, "{pages:?}");
    let mut requests = 0;
    let long = std::env::var_os("SAFEPOINT_LONG").is_some_and(|v| v != "0");
    for (form, (width, theme)) in [(360, "light"), (1200, "navy")].into_iter().enumerate() {
        browser.width(width);
        let mine = |n: usize| long || n % 2 == form;
        for (_, page) in pages.iter().enumerate().filter(|(n, _)| mine(*n)) {
            browser.open(&format!("{ours}{page}"));
            // The page may be in another process of the browser than the one before, and such
            // a process knows a little later what was chosen there.
            browser.until(
                "the theme is chosen",
                &format!(
                    "if (document.documentElement.className.includes('{theme}')) return true; \
                     localStorage.setItem('mdbook-theme', '{theme}'); location.reload(); return false"
                ),
            );
            assert_eq!(
                browser.script(TOO_WIDE),
                Value::Array(Vec::new()),
                "{page} at {width} pixels: these are wider than the page"
            );
            assert_eq!(
                browser.script(CROWDED),
                Value::Array(Vec::new()),
                "{page}: these texts of a figure overlap or are cut off"
            );
            requests += browser.quiet_and_local(&ours);
        }
    }
    assert!(requests > 4 * pages.len(), "the log of requests was read");
}

/// What makes the page itself scroll sideways.
const TOO_WIDE: &str = "\
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= wide) return [];
return Array.from(document.querySelectorAll('main *'))
    .filter(e => e.getBoundingClientRect().right > wide + 1)
    .map(e => e.tagName + '.' + e.className).slice(0, 5).concat(['something']);";

/// Texts of a drawing that lie on each other, or beyond its edge.
const CROWDED: &str = "\
const bad = [];
for (const svg of document.querySelectorAll('.sp-drawing')) {
    const box = svg.viewBox.baseVal;
    const texts = Array.from(svg.querySelectorAll('text')).map(t => [t.textContent, t.getBBox()]);
    texts.forEach(([text, b], i) => {
        if (b.x < 0 || b.y < 0 || b.x + b.width > box.width || b.y + b.height > box.height) bad.push(text);
        for (const [other, o] of texts.slice(i + 1)) {
            const across = Math.min(b.x + b.width, o.x + o.width) - Math.max(b.x, o.x);
            const down = Math.min(b.y + b.height, o.y + o.height) - Math.max(b.y, o.y);
            if (across > 1 && down > 4) bad.push(text + ' / ' + other);
        }
    });
}
return bad;";
