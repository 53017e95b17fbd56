//! `watch`: runs the attempt each time it is saved, and goes on to the next one. Keys are
//! plain lines, so the terminal stays as it is.

use crate::app::{App, Named};
use crate::known;
use crate::out::outln;
use anyhow::{Context, Result};
use notify::{RecursiveMode, Watcher};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

enum News {
    Saved,
    Line(String),
}

/// The command.
pub fn watch(app: &App, name: Option<&str>) -> Result<u8> {
    if app.json {
        eprintln!("watch talks to people; use run --json");
        return Ok(2);
    }
    let mut current = match name {
        Some(name) => Some(known(name)?),
        None => app.current(&app.progress()?),
    };
    let (send, news) = channel();
    let saved: Sender<News> = send.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is news too, and ours; only changes count.
        if event.is_ok_and(|e| !e.kind.is_access()) {
            let _ = saved.send(News::Saved);
        }
    })
    .context("cannot watch files here; use run instead")?;
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(News::Line(line)).is_err() {
                return;
            }
        }
        // The end of input is no wish to stop: somebody may watch without a keyboard.
    });
    if let Some((exercise, _)) = current {
        app.places
            .ensure_work_file(exercise.name, exercise.kind.ending())?;
    }
    std::fs::create_dir_all(&app.places.work)?;
    watcher
        .watch(&app.places.work, RecursiveMode::NonRecursive)
        .with_context(|| format!("cannot watch {}", app.places.work.display()))?;
    while let Some(named) = current {
        let before = text(app, named);
        let passed = app.run(named)? == 0;
        let progress = app.progress()?;
        if passed {
            current = app.current(&progress);
            if let Some((exercise, _)) = current {
                app.places
                    .ensure_work_file(exercise.name, exercise.kind.ending())?;
                outln!("\n(going on with {})\n", exercise.name);
            }
            continue;
        }
        outln!(
            "\nwatching {}; Enter runs, h hint, w why, n next, l list, q quit",
            named.0.name
        );
        match wait(app, named, &news, &before)? {
            Wish::Run => {}
            Wish::Quit => return Ok(0),
            Wish::Next => current = following(named),
        }
    }
    outln!("finished: nothing is left to watch");
    Ok(0)
}

enum Wish {
    Run,
    Next,
    Quit,
}

fn wait(app: &App, named: Named, news: &Receiver<News>, before: &str) -> Result<Wish> {
    loop {
        match news.recv() {
            Err(_) => return Ok(Wish::Quit),
            Ok(News::Saved) => {
                // An editor saves in several steps.
                while !matches!(
                    news.recv_timeout(Duration::from_millis(60)),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
                ) {}
                if text(app, named) != *before {
                    return Ok(Wish::Run);
                }
            }
            Ok(News::Line(line)) => match line.trim() {
                "" | "r" => return Ok(Wish::Run),
                "q" => return Ok(Wish::Quit),
                "n" => return Ok(Wish::Next),
                "h" => {
                    app.hint(named)?;
                }
                "w" => {
                    app.why(named)?;
                }
                "l" => {
                    app.list()?;
                }
                other => outln!("{other:?} means nothing here"),
            },
        }
    }
}

fn text(app: &App, (exercise, _): Named) -> String {
    let file = app.places.work_file(exercise.name, exercise.kind.ending());
    std::fs::read_to_string(file).unwrap_or_default()
}

/// The exercise behind this one, in the order of the book.
fn following((exercise, _): Named) -> Option<Named> {
    let next = exercises::runner::all()
        .skip_while(|e| e.name != exercise.name)
        .nth(1)?;
    known(next.name).ok()
}
