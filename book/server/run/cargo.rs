//! Builds examples with cargo, one build at a time.
//!
//! At the start all of them are built in the background with the lowest priority. A reader
//! who presses Run meanwhile sees how far that is, waits for it, and then gets the path of
//! the program from cargo itself.

use std::path::PathBuf;
use std::pin::pin;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::Event;
use super::group::Group;

/// Cargo in this workspace.
#[derive(Debug)]
pub struct Cargo {
    program: PathBuf,
    root: PathBuf,
    /// Held by the build that is going on.
    one: Mutex<()>,
    /// The latest line of the build of all examples; empty when there is none.
    progress: watch::Sender<String>,
}

impl Cargo {
    /// Nothing is built yet.
    pub fn new(program: PathBuf, root: PathBuf) -> Cargo {
        Cargo {
            program,
            root,
            one: Mutex::new(()),
            progress: watch::Sender::new(String::new()),
        }
    }

    /// The latest line of the background build, while there is one.
    pub fn progress(&self) -> Option<String> {
        Some(self.progress.borrow().clone()).filter(|line| !line.is_empty())
    }

    /// Builds all examples of these stages. Errors are not told here: they come again, with
    /// their text, when the reader asks for an example that they concern.
    pub async fn all_examples(&self, stages: &[String]) {
        let _one = self.one.lock().await;
        self.progress
            .send_replace("building the examples".to_string());
        let mut args = vec!["build".to_string(), "--examples".to_string()];
        for stage in stages {
            args.extend(["-p".to_string(), stage.clone()]);
        }
        // `nice` is there on every Unix; where it is not, the build runs as usual.
        let mut nice = Command::new("nice");
        nice.args(["-n", "19"]).arg(&self.program).args(&args);
        let mut plain = Command::new(&self.program);
        plain.args(&args);
        let group = Group::spawn(nice.current_dir(&self.root))
            .or_else(|_| Group::spawn(plain.current_dir(&self.root)));
        if let Ok(mut group) = group
            && let Some((out, err)) = group.outputs()
        {
            let tell = |line: String| {
                self.progress.send_replace(line.trim().to_string());
            };
            tokio::join!(lines(out, |_| ()), lines(err, tell));
            let _ = group.wait().await;
        }
        self.progress.send_replace(String::new());
    }

    /// Builds one example and says where its program is. On failure: what the compiler said.
    pub async fn example(
        &self,
        pkg: &str,
        name: &str,
        events: &UnboundedSender<Event>,
    ) -> Result<PathBuf, Vec<String>> {
        let _one = self.turn(events).await;
        let mut command = Command::new(&self.program);
        command
            .args(["build", "-p", pkg, "--example", name])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(&self.root);
        let failed = |error| {
            vec![format!(
                "{} cannot be started: {error}",
                self.program.display()
            )]
        };
        let mut group = Group::spawn(&mut command).map_err(failed)?;
        let Some((out, err)) = group.outputs() else {
            return Err(vec!["cargo's output cannot be read".to_string()]);
        };
        let mut program = None;
        let mut said = Vec::new();
        let find = |line: String| program = executable(&line, name).or(program.take());
        let tell = |line: String| {
            if !line.trim_start().starts_with("Finished") {
                // A closed channel is noticed by the run itself.
                let _ = events.send(Event::Build {
                    line: line.trim().to_string(),
                });
            }
            said.push(line);
        };
        tokio::join!(lines(out, find), lines(err, tell));
        match (group.wait().await, program) {
            (Ok(status), Some(program)) if status.success() => Ok(program),
            _ => Err(said),
        }
    }

    /// Waits until no other build is going on, and tells meanwhile how far that one is.
    async fn turn(&self, events: &UnboundedSender<Event>) -> MutexGuard<'_, ()> {
        let mut progress = self.progress.subscribe();
        let mut turn = pin!(self.one.lock());
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return turn,
                _ = progress.changed() => {
                    let line = progress.borrow_and_update().clone();
                    if !line.is_empty() {
                        let _ = events.send(Event::Build { line });
                    }
                }
            }
        }
    }
}

/// The program's path, if this line of cargo's JSON is about this example.
fn executable(line: &str, name: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let target = message.get("target")?;
    let is_it = message.get("reason")? == "compiler-artifact"
        && target.get("name")? == name
        && target
            .get("kind")?
            .as_array()?
            .iter()
            .any(|kind| kind == "example");
    if !is_it {
        return None;
    }
    Some(PathBuf::from(message.get("executable")?.as_str()?))
}

async fn lines(from: impl AsyncRead + Unpin, mut each: impl FnMut(String)) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        each(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["example"],"name":"hello"},"executable":"/t/hello"}"#;
        assert_eq!(executable(line, "hello"), Some(PathBuf::from("/t/hello")));
        assert_eq!(executable(line, "other"), None);
        assert_eq!(executable("Compiling", "hello"), None);
    }
}
