//! The built pages, held in memory.
//!
//! Before a page is handed out, the times of its sources are looked at; if any changed, the
//! book is built anew (that takes a tenth of a second). When it cannot be built, the old
//! pages stay and say why. Pages in memory cannot be half-written, and no path of a request
//! ever reaches the disk.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::body::Bytes;

use crate::build;
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// The pages and what is known about them.
#[derive(Debug)]
pub struct Site {
    ws: Workspace,
    /// Held during a build: requests that come meanwhile wait for it.
    building: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, Bytes>,
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
            ws,
            building: Mutex::new(()),
            state: Mutex::new(State::default()),
        }
    }

    /// Builds again if a source changed. Takes its time: call it where blocking is allowed.
    pub fn refresh(&self) {
        let _one = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = build::stamp(&self.ws);
        if self.state().stamp == Some(stamp) {
            return;
        }
        let built = self.build();
        let mut state = self.state();
        state.stamp = Some(stamp);
        match built {
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

    fn build(&self) -> Result<HashMap<String, Bytes>> {
        let scratch = Scratch::new()?;
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

fn cards(files: &HashMap<String, Bytes>) -> BTreeMap<String, Vec<String>> {
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

fn load(dir: &Path, prefix: &str, files: &mut HashMap<String, Bytes>) -> Result<()> {
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
