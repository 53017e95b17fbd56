//! `watch`: runs the attempt each time it is saved, and goes on to the next one. Keys are
//! plain lines, so the terminal stays as it is.
//!
//! It looks at the file itself a few times in a second, since there are many ways to save:
//! over the old file, by another file that gets its name, by moving the old one away first,
//! in a folder that was made anew, on a disk that sends no notices. What counts is what is in it
//! afterwards.

use crate::app::{App, Usage, width};
use crate::out::outln;
use anyhow::Result;
use exercises::catalogue::{self, Exercise};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Time between two looks at the file. What is the same in two of them was saved.
const LOOK: Duration = Duration::from_millis(80);
/// A file that is away for longer was not just being saved.
const AWAY: Duration = Duration::from_secs(2);

/// The command.
pub fn watch(app: &App, name: Option<&'static Exercise>) -> Result<u8> {
    if app.json {
        return Err(Usage::new("watch talks to people; use run --json").into());
    }
    let mut current = match name {
        Some(exercise) => Some(exercise),
        None => app.current(&app.progress()?),
    };
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
        // The end of input is no wish to stop: it is possible to watch without a keyboard.
    });
    while let Some(exercise) = current {
        app.places.ensure_work_file(exercise)?;
        // From here on a file that is away is being saved, and not missing.
        loop {
            let before = bytes(app, exercise);
            outln!("\n{}", rule(exercise.name));
            let passed = match app.run(exercise) {
                Ok(status) => status == 0,
                // For example bytes that are no text. The next save may be better.
                Err(error) => {
                    outln!("not yet: {error:#}");
                    false
                }
            };
            if passed {
                current = app.current(&app.progress()?);
                if let Some(next) = current {
                    outln!("\n(going on with {})", next.name);
                }
                break;
            }
            outln!(
                "\nwatching {}; Enter runs, h hint, w why, n next, l list, q quit",
                exercise.name
            );
            match wait(app, exercise, &lines, before) {
                Wish::Run => {}
                Wish::Quit => return Ok(0),
                Wish::Next => {
                    current = following(exercise);
                    break;
                }
            }
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

/// Waits until the file says something else than `before`, or for a key.
fn wait(
    app: &App,
    exercise: &'static Exercise,
    lines: &Receiver<String>,
    before: Option<Vec<u8>>,
) -> Wish {
    let mut last = before.clone();
    let mut away: Option<Instant> = None;
    let mut told = false;
    loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => {
                if let Some(wish) = key(app, exercise, line.trim()) {
                    return wish;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // No more keys can come.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
        }
        let now = bytes(app, exercise);
        match &now {
            Some(_) => {
                away = None;
                if now != before && now == last {
                    return Wish::Run;
                }
            }
            None => {
                let since = *away.get_or_insert_with(Instant::now);
                if !told && since.elapsed() > AWAY {
                    told = true;
                    let file = app.places.work_file(exercise);
                    outln!(
                        "{} is not there; waiting for it (Enter brings the starter back)",
                        app.places.shown(&file)
                    );
                }
            }
        }
        last = now;
    }
}

/// What a line of the keyboard means; none: it is done already.
fn key(app: &App, exercise: &'static Exercise, line: &str) -> Option<Wish> {
    let done = match line {
        "" | "r" => return Some(Wish::Run),
        "q" => return Some(Wish::Quit),
        "n" => return Some(Wish::Next),
        "h" => app.hint(exercise),
        "w" => app.why(exercise),
        "l" => app.list(),
        other => {
            outln!("{other:?} means nothing here");
            Ok(0)
        }
    };
    if let Err(error) = done {
        outln!("{error:#}");
    }
    None
}

/// What is in the file. Not its text: an editor may have written no text.
fn bytes(app: &App, exercise: &Exercise) -> Option<Vec<u8>> {
    let file = app.places.work_file(exercise);
    file.is_file().then(|| std::fs::read(file).ok())?
}

/// The exercise after this one, in the order of the book.
fn following(exercise: &Exercise) -> Option<&'static Exercise> {
    let mut all = catalogue::all().iter();
    all.find(|e| e.name == exercise.name);
    all.next()
}

/// A line that parts one verdict from the next, with the time.
fn rule(name: &str) -> String {
    let head = format!("---- {} {name} ", now());
    let rest = width().min(100).saturating_sub(head.len());
    head + &"-".repeat(rest)
}

/// The time of day.
fn now() -> String {
    // SAFETY: the structure is ours and zeroed is valid for it; time takes a null pointer.
    let about = unsafe {
        let mut about: libc::tm = std::mem::zeroed();
        let seconds = libc::time(std::ptr::null_mut());
        libc::localtime_r(&seconds, &mut about);
        about
    };
    format!(
        "{:02}:{:02}:{:02}",
        about.tm_hour, about.tm_min, about.tm_sec
    )
}
