//! The pages in a real browser: what one can press works, and nothing leaves this machine.
//!
//! The server is the one with the scripts, so no stage is compiled for it. Where there is
//! no browser, each test prints one line and passes.

use std::fs;
use std::time::Duration;

use safepoint_book::run::Limits;
use safepoint_book::workspace::Workspace;

use super::driver::Browser;
use super::support::{Server, lesson};

/// The text of the first element that fits, as it is shown.
fn text(browser: &Browser, css: &str) -> String {
    let script = format!("return document.querySelector('{css}').innerText");
    browser.script(&script).as_str().unwrap_or("").to_string()
}

fn open(browser: &Browser, server: &Server, path: &str) -> String {
    let ours = format!("http://{}/", server.address);
    browser.open(&format!("{ours}{path}"));
    ours
}

/// What browser and driver write to is a folder of their own, which is gone when they are.
#[test]
fn a_browser_leaves_nothing_behind() {
    let Some(browser) = Browser::get() else {
        return;
    };
    browser.open("data:text/html,<p>text</p>");
    assert_eq!(text(&browser, "p"), "text");
    let [folder, temporary] = browser.folders();
    let made = fs::read_dir(temporary).unwrap().count();
    assert!(made > 0, "it makes its temporary files somewhere else");
    browser.end();
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn run_replay_and_raise_the_flag() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let server = Server::fake(Duration::from_secs(30));
    let ours = open(&browser, &server, "page.html");
    browser.until(
        "the panels are built",
        "return document.querySelectorAll('.sp-go').length === 2",
    );
    assert_eq!(
        browser.script("return document.documentElement.scrollWidth <= window.innerWidth"),
        true,
        "the page fits a narrow screen"
    );
    browser.click("#example-stage1-fake-quick .sp-go");
    browser.until(
        "the run is over",
        "return !!document.querySelector('.sp-yours svg')",
    );
    let log = text(&browser, ".sp-log");
    assert!(log.contains("hello") && log.contains("warned"), "{log}");
    assert_eq!(
        browser.script("return document.querySelectorAll('.sp-line-err').length"),
        1,
        "standard error is marked"
    );
    browser.click("#example-stage1-fake-quick .sp-pair button");
    browser.until(
        "the replay is equal",
        "return document.querySelector('.sp-status').textContent.includes('Equal to the recorded run')",
    );

    // Enter in the field of the seed does what the button beside it does.
    browser.script("const s = document.querySelector('.sp-seed'); s.value = 9; s.focus()");
    browser.keys(&["Enter"]);
    browser.until(
        "the replay of another seed is not compared",
        "return document.querySelector('.sp-status').textContent.includes('no recording for this seed')",
    );

    let flag = "#example-stage1-fake-flag ";
    assert_eq!(
        browser.script(&format!(
            "return document.querySelector('{flag} .sp-flag').disabled"
        )),
        true,
        "nobody runs who could hear it"
    );
    browser.click(&format!("{flag}.sp-go"));
    browser.until(
        "the program waits for the flag",
        &format!("return document.querySelector('{flag}.sp-log').innerText.includes('ready') && !document.querySelector('{flag}.sp-flag').disabled"),
    );
    assert_eq!(text(&browser, &format!("{flag}.sp-go")), "Running…");
    browser.click(&format!("{flag}.sp-bar > button:last-child"));
    browser.until(
        "it was stopped, and not by a signal of somebody's",
        &format!("return document.querySelector('{flag}.sp-status').textContent.startsWith('Stopped by you after')"),
    );
    browser.click(&format!("{flag}.sp-go"));
    browser.until(
        "it waits for the flag again",
        &format!("return !document.querySelector('{flag}.sp-flag').disabled"),
    );
    browser.click(&format!("{flag}.sp-flag"));
    browser.until(
        "the flag was heard",
        &format!("return document.querySelector('{flag}.sp-log').innerText.includes('heard')"),
    );
    assert!(browser.quiet_and_local(&ours) > 5, "the log was read");
}

#[test]
fn the_player_follows_the_keys() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let server = Server::start(Workspace::at(lesson("player")), Limits::default());
    let ours = open(&browser, &server, "page.html");
    let now = || text(&browser, ".sp-now");
    let lit = |part: &str| {
        let script = format!(
            "const l = document.querySelector('.sp-{part}-lines .sp-lit'); return l ? l.innerText : ''"
        );
        browser.script(&script).as_str().unwrap_or("").to_string()
    };
    // A click on a line of the trace goes to its event, and from then on the keys step.
    let keys = |names: &[&str]| browser.keys(names);
    browser.click(".sp-trace-lines .sp-l:nth-of-type(9)");
    let clicked = now();
    assert!(clicked.starts_with("Event "), "{clicked}");
    let line = lit("trace");
    let event = clicked
        .split(": ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert!(line.contains(event), "{clicked} is not {line}");
    keys(&["ArrowRight"]);
    assert_ne!(now(), clicked, "a step");
    // So does one on the picture: here in its middle, which is neither end of the run.
    browser.script("window.scrollTo(0, 0)");
    let shown = "Array.from(document.querySelectorAll('.sp-player svg')).find(s => s.getBoundingClientRect().width > 0)";
    browser.script(&format!(
        "const s = {shown}; const b = s.getBoundingClientRect(); \
         s.dispatchEvent(new MouseEvent('click', {{bubbles: true, clientX: b.left + b.width / 2, clientY: b.top + b.height / 2}}))"
    ));
    let middle = now();
    assert!(
        !middle.starts_with("Event 1 of") && !middle.starts_with("Event 20 of"),
        "{middle}"
    );
    assert_eq!(
        browser.script("return document.activeElement.className.includes('sp-player')"),
        true
    );
    keys(&["Home", "ArrowLeft"]);
    assert!(now().starts_with("Event 1 of 20:"), "{}", now());
    keys(&["ArrowLeft"]);
    assert_eq!(browser.script("return location.pathname"), "/page.html");

    keys(&["ArrowRight"]);
    assert!(now().starts_with("Event 2 of 20:"), "{}", now());
    keys(&["ArrowLeft"]);
    assert!(now().contains("ProcStart"), "{}", now());
    keys(&["End"]);
    assert!(now().starts_with("Event 20 of 20:"), "{}", now());
    keys(&["Home"]);
    assert!(now().starts_with("Event 1 of 20:"), "{}", now());
    // main is made: its line of the trace, and no line of the listing, for none is known.
    keys(&["ArrowRight"]);
    assert!(
        lit("trace").contains("GoCreate     g1 main"),
        "{}",
        lit("trace")
    );
    assert_eq!(lit("listing"), "");
    // The same goroutine: started, makes hog_a.
    keys(&["Shift+ArrowRight"]);
    assert!(now().contains("GoStart g1"), "{}", now());
    assert!(
        lit("listing").contains("runtime.run(|| {"),
        "{}",
        lit("listing")
    );
    // The thread without a P asks; the next event of its lane is its next request.
    keys(&["End", "Home"]);
    for _ in 0..7 {
        keys(&["ArrowRight"]);
    }
    assert!(now().contains("Preempt p0/g3"), "{}", now());
    assert!(lit("listing").contains("me.raise_the_flag();"));
    let state = text(&browser, ".sp-now-state");
    assert_eq!(
        state,
        "Runs: g3 on p0. Could run and waits: g2. Blocked: g1."
    );
    keys(&["ArrowDown"]);
    assert!(
        now().contains("Preempt p0/g2") && now().contains("#2"),
        "{}",
        now()
    );
    keys(&["ArrowUp", "ArrowRight"]);
    assert!(now().contains("GoPreempt coop"), "{}", now());
    assert!(lit("listing").contains("fn work("), "{}", lit("listing"));
    assert_eq!(
        browser.script(
            "const c = document.querySelector('.sp-cursor'); return c.getAttribute('visibility')"
        ),
        "visible"
    );
    browser.until(
        "the lit line can be seen in its box",
        "const l = document.querySelector('.sp-trace-lines .sp-lit').getBoundingClientRect(); \
         const b = document.querySelector('.sp-trace-lines').getBoundingClientRect(); \
         return l.top >= b.top && l.bottom <= b.bottom",
    );
    // Space plays and stops; the page itself stays where it is, and no key turns it.
    keys(&["Space"]);
    browser.until(
        "it plays on",
        "return document.querySelector('.sp-now').textContent.startsWith('Event 12')",
    );
    keys(&["Space"]);
    assert_eq!(
        text(&browser, ".sp-player-bar button:nth-of-type(3)"),
        "Play"
    );
    assert_eq!(
        browser.script("return location.pathname"),
        "/page.html",
        "no key turned the page"
    );
    let calm = browser.script("return document.querySelector('.sp-now').getAttribute('role')");
    assert_eq!(calm, "status", "the event is read aloud");
    browser.quiet_and_local(&ours);
}

#[test]
fn a_prediction_by_keyboard() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let server = Server::start(Workspace::at(lesson("predict")), Limits::default());
    let ours = open(&browser, &server, "page.html");
    assert_eq!(
        browser.script(
            "return Array.from(document.querySelectorAll('.sp-option')).every(o => o.hidden)"
        ),
        true
    );
    browser.script("document.querySelector('.sp-choices input').focus()");
    browser.keys(&["Space", "Enter"]);
    let answer = text(&browser, ".sp-answer");
    assert!(
        answer.contains("No, that is not what was recorded."),
        "{answer}"
    );
    assert!(answer.contains("Somebody asks."), "its own why: {answer}");
    browser.keys(&["ArrowDown"]);
    assert_eq!(
        text(&browser, ".sp-answer"),
        "",
        "another choice, no answer yet"
    );
    browser.keys(&["Tab", "Enter"]);
    let answer = text(&browser, ".sp-answer");
    assert!(
        answer.contains("Yes, that is what was recorded."),
        "{answer}"
    );
    assert!(answer.contains("Once each eighth."), "{answer}");
    browser.click(".sp-choices button[type=button]");
    assert_eq!(
        browser.script("return Array.from(document.querySelectorAll('.sp-option')).every(o => !o.hidden && o.open)"),
        true,
        "all reasons can be compared"
    );
    browser.quiet_and_local(&ours);
}

#[test]
fn cards_show_the_readers_progress() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let root = lesson("progress");
    let server = Server::start(Workspace::at(&root), Limits::default());
    let ours = open(&browser, &server, "page.html");
    let file = root.join("exercises/.progress.toml");
    let shows = |what: &str| {
        browser.script("window.dispatchEvent(new Event('focus'))");
        browser.until(
            what,
            &format!(
                "return document.querySelector('.sp-progress').textContent.includes('{what}')"
            ),
        );
    };
    // No file, a damaged one, and then the real thing.
    shows("not tried yet");
    fs::write(&file, "half-plus-one = [").unwrap();
    shows("not tried yet");
    fs::write(&file, "[half-plus-one]\nsolved = false\nruns = 3\n").unwrap();
    shows("tried 3 times");
    let tick = "const t = document.querySelector('#mdbook-sidebar .sp-tick'); return t ? t.textContent : ''";
    assert_eq!(browser.script(tick), "");
    fs::write(&file, "[half-plus-one]\nsolved = true\nruns = 4\n").unwrap();
    shows("solved");
    assert_eq!(browser.script(tick), " ✓", "beside the page in the sidebar");
    browser.quiet_and_local(&ours);
}

/// The glossary gives the words of notes in other languages, so they are searched for.
#[test]
fn words_in_other_letters_are_found() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let root = lesson("search");
    fs::write(
        root.join("book/chapters/other.md"),
        "# Other\n\nIn Chinese: 异步抢占 (asynchronous preemption).\n\n# Вытеснение\n\nIn Russian.\n",
    )
    .unwrap();
    let server = Server::start(Workspace::at(root), Limits::default());
    for (word, page) in [
        ("抢占", "other.html"),
        ("异步抢占", "other.html"),
        ("вытеснение", "other.html"),
        ("asynchronous", "other.html"),
        ("preemption", "other.html"),
    ] {
        let ours = open(&browser, &server, &format!("page.html?search={word}"));
        browser.until(
            word,
            &format!(
                "const a = document.querySelector('#mdbook-searchresults a'); return !!a && a.href.includes('{page}')"
            ),
        );
        browser.quiet_and_local(&ours);
    }
}

/// One program under two stages: one is seen at a time, and the keys choose.
#[test]
fn the_stage_switch() {
    let Some(browser) = Browser::get() else {
        return;
    };
    let root = lesson("switch");
    let copy = |from: &str, to: &str| {
        let to = root.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(root.join(from), to).unwrap();
    };
    copy("stage1-coop/Cargo.toml", "stage2-more/Cargo.toml");
    copy(
        "stage1-coop/examples/two_hogs.rs",
        "stage2-more/examples/two_hogs_2.rs",
    );
    copy(
        "tests/snapshots/stage1-coop__two_hogs__p1__seed1.snap",
        "tests/snapshots/stage2-more__two_hogs_2__p1__seed1.snap",
    );
    fs::write(
        root.join("book/chapters/page.md"),
        "# The page\n\n{{#stages stage1-coop/two_hogs stage2-more/two_hogs_2 procs=1}}\n",
    )
    .unwrap();
    let server = Server::start(Workspace::at(root), Limits::default());
    let ours = open(&browser, &server, "page.html");
    let seen = || {
        let script = "return Array.from(document.querySelectorAll('.sp-stage')).filter(s => s.getBoundingClientRect().height > 100).map(s => s.dataset.stage).join(' ')";
        browser.script(script).as_str().unwrap_or("").to_string()
    };
    assert_eq!(seen(), "stage1-coop");
    browser.script("document.querySelector('.sp-switch input').focus()");
    browser.keys(&["ArrowRight"]);
    assert_eq!(seen(), "stage2-more");
    assert_eq!(
        browser.script("return location.pathname"),
        "/page.html",
        "the key did not turn the page"
    );
    browser.click(".sp-switch-stage:nth-of-type(1)");
    assert_eq!(seen(), "stage1-coop");
    assert_eq!(
        browser.script("return document.documentElement.scrollWidth <= window.innerWidth"),
        true,
        "it fits"
    );
    browser.quiet_and_local(&ours);
    browser.without_scripts();
    open(&browser, &server, "page.html");
    let names = "Array.from(document.querySelectorAll('.sp-stage')).filter(s => s.getBoundingClientRect().height > 100 && s.innerText.includes('Under ')).length";
    assert_eq!(browser.value(names), 2, "both, each under its name");
}

/// With JavaScript off: what a reader needs is there, and nothing pretends to work.
#[test]
fn pages_without_scripts() {
    let Some(browser) = Browser::get() else {
        return;
    };
    browser.without_scripts();
    let root = lesson("plain");
    fs::write(
        root.join("exercises/.progress.toml"),
        "[half-plus-one]\nsolved = true\nruns = 4\n",
    )
    .unwrap();
    let server = Server::start(Workspace::at(root), Limits::default());
    let ours = open(&browser, &server, "page.html");
    let count = |css: &str| {
        let expression = format!("document.querySelectorAll('{css}').length");
        browser.value(&expression).as_u64().unwrap()
    };
    assert_eq!(count("main button, main input"), 0, "nothing to press");
    let text = |css: &str| {
        let expression = format!("document.querySelector('{css}').innerText");
        browser
            .value(&expression)
            .as_str()
            .unwrap_or("")
            .to_string()
    };
    let press = |css: &str| browser.value(&format!("document.querySelector('{css}').click()"));
    // A question: its choices are folds, and a fold opens without a script.
    assert_eq!(count(".sp-option"), 3);
    assert_eq!(count(".sp-option[hidden], .sp-option[open]"), 0);
    press(".sp-right summary");
    assert!(text(".sp-right").contains("Once each eighth."));
    // The player: one picture that can be seen, and the two texts as folds.
    assert_eq!(
        browser.value(
            "Array.from(document.querySelectorAll('.sp-player svg')).filter(s => s.getBoundingClientRect().width > 200).length"
        ),
        1,
        "the picture that fits, and only that"
    );
    assert_eq!(count(".sp-player .sp-part:not([open])"), 2);
    press(".sp-player .sp-part summary");
    assert!(text(".sp-trace-lines").contains("GoCreate"));
    // A card: the task and the command, and no word about progress.
    let card = text(".sp-card");
    assert!(
        card.contains("cargo run -p exercises -- run half-plus-one"),
        "{card}"
    );
    assert!(
        !card.contains("solved") && !card.contains("tried"),
        "{card}"
    );
    assert_eq!(count(".sp-tick"), 0);
    // The list of pages is a frame then, which our own policy must allow.
    assert_eq!(
        browser.value("document.querySelector('iframe').getBoundingClientRect().width > 100"),
        true
    );
    browser.quiet_and_local(&ours);

    // A run panel: the command for a terminal stands where the buttons would be.
    let server = Server::fake(Duration::from_secs(30));
    let ours = open(&browser, &server, "page.html");
    assert_eq!(count("main button, .sp-bar"), 0);
    let panel = text(".sp-panel");
    assert!(
        panel.contains("Run it in a terminal: cargo run -p stage1-fake --example quick"),
        "{panel}"
    );
    assert!(count(".sp-recorded[open] svg") >= 1, "the recorded run");
    browser.quiet_and_local(&ours);
}
