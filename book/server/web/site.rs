//! The built pages, held in memory.
//!
//! Before a page is handed out, the times of its sources are looked at; if any changed, the
//! book is built anew (that takes a second or two). When it cannot be built, the old pages
//! stay and say why. Pages in memory cannot be half-written, and no path of a request ever
//! reaches the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::body::Bytes;

use super::shelf::Shelf;
use crate::build;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// All files of the built book, by their path without the first `/`.
pub type Files = HashMap<String, Bytes>;

/// The pages and what is known about them.
#[derive(Debug)]
pub struct Site {
    ws: Workspace,
    shelf: Shelf,
    /// Held while the sources are looked at: requests that come meanwhile wait for it.
    look: Arc<tokio::sync::Mutex<()>>,
    /// How often they were looked at; changed by the holder of `look` only.
    looks: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: Files,
    /// The pages with cards of exercises, and the names on the cards.
    cards: BTreeMap<String, Vec<String>>,
    /// The stamp of the sources of the last attempt, also of a failed one.
    stamp: Option<u64>,
    error: Option<String>,
}

impl Site {
    /// No pages yet.
    pub fn new(ws: Workspace) -> Site {
        Site {
            shelf: Shelf::of(&ws),
            ws,
            look: Arc::default(),
            looks: AtomicU64::new(0),
            state: Mutex::new(State::default()),
        }
    }

    /// Sees to it that the pages are those of the sources as they are now. A look that began
    /// after this call did serves it as well as one of its own, so many requests at once cost
    /// two looks. Old pages are better than none: it waits no longer than `limit` if there
    /// are some.
    pub async fn fresh(self: &Arc<Site>, limit: Duration) {
        let seen = self.looks.load(Ordering::Relaxed);
        let site = Arc::clone(self);
        let refreshed = async move {
            let one = Arc::clone(&site.look).lock_owned().await;
            if site.looks.load(Ordering::Relaxed) > seen {
                return;
            }
            site.looks.fetch_add(1, Ordering::Relaxed);
            let work = move || {
                site.refresh(|| ());
                drop(one);
            };
            // A failed join means a panic inside mdBook; the old pages are still good.
            let _ = tokio::task::spawn_blocking(work).await;
        };
        if self.state().files.is_empty() {
            refreshed.await;
        } else {
            let _ = tokio::time::timeout(limit, refreshed).await;
        }
    }

    /// Builds again if a source changed, and calls `building` before it does. It takes its
    /// time: call it where waiting is allowed.
    pub fn refresh(&self, building: impl FnOnce()) {
        let stamp = build::stamp(&self.ws);
        if self.state().stamp == Some(stamp) {
            return;
        }
        let files = match self.shelf.take(stamp) {
            Some(files) => Ok(files),
            None => {
                building();
                self.build().inspect(|files| self.shelf.put(stamp, files))
            }
        };
        let mut state = self.state();
        state.stamp = Some(stamp);
        match files {
            Ok(files) => {
                state.cards = cards(&files);
                state.files = files;
                state.error = None;
            }
            Err(error) => state.error = Some(format!("{error:#}")),
        }
    }

    /// Why the last build failed.
    pub fn error(&self) -> Option<String> {
        self.state().error.clone()
    }

    /// The pages with cards of exercises, and the names on the cards.
    pub fn cards(&self) -> BTreeMap<String, Vec<String>> {
        self.state().cards.clone()
    }

    /// A file by its path without the first `/`.
    pub fn file(&self, path: &str) -> Option<Bytes> {
        self.state().files.get(path).cloned()
    }

    /// The example (package, name) that a reader of the book meets first.
    pub fn first_example(&self) -> Option<(String, String)> {
        let print = self.file("print.html")?;
        let print = std::str::from_utf8(&print).ok()?;
        let (_, panel) = print.split_once("<div class=\"sp-panel\" data-pkg=\"")?;
        let (pkg, rest) = panel.split_once("\" data-name=\"")?;
        let (name, _) = rest.split_once('"')?;
        Some((pkg.to_string(), name.to_string()))
    }

    fn build(&self) -> Result<Files> {
        let scratch = Scratch::new().context("cannot build the pages")?;
        build::render(&self.ws, scratch.path(), false)?;
        let mut files = HashMap::new();
        load(scratch.path(), "", &mut files)?;
        Ok(files)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced whole; a panic elsewhere cannot leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cards(files: &Files) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (name, file) in files {
        let Ok(text) = std::str::from_utf8(file) else {
            continue;
        };
        if name == "print.html" || !name.ends_with(".html") {
            continue;
        }
        let names: Vec<String> = text
            .split(" data-exercise=\"")
            .skip(1)
            .filter_map(|rest| Some(rest.split('"').next()?.to_string()))
            .collect();
        if !names.is_empty() {
            found.insert(name.clone(), names);
        }
    }
    found
}

fn load(dir: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            load(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, Bytes::from(fs::read(entry.path())?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any web page can ask for pages, a thousand at once; the sources are looked at twice.
    #[test]
    fn many_requests_share_a_look() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dir = Scratch::new().unwrap();
        let site = Arc::new(Site::new(Workspace::at(dir.path())));
        let held = runtime.block_on(Arc::clone(&site.look).lock_owned());
        let ask = |_| {
            let site = Arc::clone(&site);
            runtime.spawn(async move { site.fresh(Duration::from_secs(60)).await })
        };
        let asked: Vec<_> = (0..1000).map(ask).collect();
        // Those that come while a look goes on must not be served by it: it may have been at
        // their file already.
        std::thread::sleep(Duration::from_millis(100));
        drop(held);
        for one in asked {
            runtime.block_on(one).unwrap();
        }
        let looks = site.looks.load(Ordering::Relaxed);
        assert!((1..=20).contains(&looks), "{looks}");
        runtime.block_on(site.fresh(Duration::from_secs(60)));
        assert_eq!(site.looks.load(Ordering::Relaxed), looks + 1);
    }

    #[test]
    fn the_first_example_of_the_book() {
        let site = Site::new(Workspace::at("/nowhere"));
        assert_eq!(site.first_example(), None);
        let page = "<p>\n<div class=\"sp-panel\" data-pkg=\"s\" data-name=\"a\" x>\n<div class=\"sp-panel\" data-pkg=\"s\" data-name=\"b\">";
        site.state()
            .files
            .insert("print.html".to_string(), Bytes::from(page));
        let first = Some(("s".to_string(), "a".to_string()));
        assert_eq!(site.first_example(), first);
    }
}
