//! Builds examples with cargo, one build at a time.
//!
//! A reader who presses Run waits for that one example and nothing else. Until then the
//! examples are built in the background: first the one that the book shows first, then, with
//! the lowest priority, all others. Run ends such a build (what it had finished stays
//! finished), unless it is of the very example that is wanted, and it goes on afterwards.

use std::path::PathBuf;
use std::pin::pin;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex, MutexGuard, watch};

use super::Event;
use super::group::Group;

/// Package and name of an example.
pub type Name = (String, String);

/// Cargo in this workspace.
#[derive(Debug)]
pub struct Cargo {
    program: PathBuf,
    root: PathBuf,
    /// Held by the build that is going on.
    one: Mutex<()>,
    /// The example that a reader waits for.
    wanted: watch::Sender<Option<Name>>,
    /// The build in the background and its latest line; empty when there is none.
    progress: watch::Sender<(Option<Name>, String)>,
}

/// One build in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The example that will probably be wanted first.
    First(Name),
    /// All of a stage, when there is nothing better to do.
    Stage(String),
}

impl Cargo {
    /// Nothing is built yet.
    pub fn new(program: PathBuf, root: PathBuf) -> Cargo {
        Cargo {
            program,
            root,
            one: Mutex::new(()),
            wanted: watch::Sender::new(None),
            progress: watch::Sender::default(),
        }
    }

    /// The latest line of the background build, while there is one.
    pub fn progress(&self) -> Option<String> {
        Some(self.progress.borrow().1.clone()).filter(|line| !line.is_empty())
    }

    /// Carries out these builds whenever no reader waits for another one. Errors are not told
    /// here: they come again, with their text, when the reader asks for an example that they
    /// concern.
    pub async fn background(&self, steps: &[Step]) {
        let mut wanted = self.wanted.subscribe();
        for step in steps {
            let in_the_way = |name: &Option<Name>| match (name, step) {
                (None, _) => false,
                (Some(name), Step::First(first)) => name != first,
                (Some(_), Step::Stage(_)) => true,
            };
            loop {
                turned(&mut wanted, Option::is_none).await;
                let _one = self.one.lock().await;
                let done = tokio::select! {
                    () = self.carry_out(step) => true,
                    () = turned(&mut wanted, in_the_way) => false,
                };
                self.progress.send_replace((None, String::new()));
                if done {
                    break;
                }
            }
        }
    }

    async fn carry_out(&self, step: &Step) {
        let name = match step {
            Step::First(name) => Some(name.clone()),
            Step::Stage(_) => None,
        };
        let say = |line| self.progress.send_replace((name.clone(), line));
        say("building the examples".to_string());
        let mut plain = Command::new(&self.program);
        // `nice` is there on every Unix; where it is not, the build runs as usual.
        let mut nice = Command::new("nice");
        nice.args(["-n", "19"]).arg(&self.program);
        for command in [&mut plain, &mut nice] {
            command.arg("build");
            match step {
                Step::First((pkg, name)) => command.args(["-p", pkg, "--example", name]),
                Step::Stage(stage) => command.args(["-p", stage, "--examples"]),
            };
            self.settle(command);
        }
        let group = match step {
            Step::First(_) => Group::spawn(&mut plain),
            Step::Stage(_) => Group::spawn(&mut nice).or_else(|_| Group::spawn(&mut plain)),
        };
        if let Ok(mut group) = group
            && let Some((out, err)) = group.outputs()
        {
            let tell = |line: String| {
                if let Some(line) = worth_telling(&line) {
                    say(line);
                }
            };
            tokio::join!(lines(out, |_| ()), lines(err, tell));
            let _ = group.wait().await;
        }
    }

    /// Builds one example and says where its program is. On failure: what the compiler said.
    pub async fn example(
        &self,
        pkg: &str,
        name: &str,
        events: &UnboundedSender<Event>,
    ) -> Result<PathBuf, Vec<String>> {
        let wish = (pkg.to_string(), name.to_string());
        self.wanted.send_replace(Some(wish.clone()));
        let _wanted = Wanted(&self.wanted);
        let _one = self.turn(&wish, events).await;
        let mut command = Command::new(&self.program);
        command
            .args(["build", "-p", pkg, "--example", name])
            .arg("--message-format=json-render-diagnostics");
        self.settle(&mut command);
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
            if let Some(line) = worth_telling(&line) {
                // A closed channel is noticed by the run itself.
                let _ = events.send(Event::Build { line });
            }
            if !is_progress(&line) {
                said.push(line);
            }
        };
        tokio::join!(lines(out, find), lines(err, tell));
        match (group.wait().await, program) {
            (Ok(status), Some(program)) if status.success() => Ok(program),
            _ => Err(said),
        }
    }

    /// What all builds have in common. Cargo counts its steps only where it is told how wide
    /// the line is.
    fn settle(&self, command: &mut Command) {
        command
            .current_dir(&self.root)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "100");
    }

    /// Waits until no other build is going on, and tells meanwhile how far that one is if it is
    /// of the same example.
    async fn turn(&self, wish: &Name, events: &UnboundedSender<Event>) -> MutexGuard<'_, ()> {
        let mut progress = self.progress.subscribe();
        progress.mark_changed();
        let mut turn = pin!(self.one.lock());
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return turn,
                _ = progress.changed() => {
                    let (name, line) = progress.borrow_and_update().clone();
                    if name.as_ref() == Some(wish) {
                        let _ = events.send(Event::Build { line });
                    }
                }
            }
        }
    }
}

/// Waits until this holds of what a reader waits for. It cannot fail: `Cargo` holds the sender.
async fn turned(wanted: &mut watch::Receiver<Option<Name>>, holds: impl Fn(&Option<Name>) -> bool) {
    let _ = wanted.wait_for(holds).await;
}

/// Takes the wish back when the build is over, however it ends.
struct Wanted<'a>(&'a watch::Sender<Option<Name>>);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
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

/// Cargo's line `Building [==> ] 3/20: libc, nix`, which it overwrites.
fn is_progress(line: &str) -> bool {
    line.trim_start().starts_with("Building [")
}

/// What a reader who waits wants to know: how far it is, and what else cargo says.
fn worth_telling(line: &str) -> Option<String> {
    let line = line.trim();
    if !is_progress(line) {
        return (!line.is_empty() && !line.starts_with("Finished")).then(|| line.to_string());
    }
    let (_, count) = line.split_once("] ")?;
    let (done, of) = count.split_once('/')?;
    let (all, now) = of.split_once(": ").unwrap_or((of, ""));
    let now = if now.is_empty() {
        String::new()
    } else {
        format!(" ({now})")
    };
    Some(format!("step {done} of {all}{now}"))
}

/// Calls `each` for each line. A line that cargo is going to overwrite ends with a return.
async fn lines(mut from: impl AsyncRead + Unpin, mut each: impl FnMut(String)) {
    let mut buffer = [0; 8192];
    let mut line = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        for byte in &buffer[..length] {
            match byte {
                b'\n' | b'\r' if line.is_empty() => {}
                b'\n' | b'\r' => {
                    each(String::from_utf8_lossy(&line).to_string());
                    line.clear();
                }
                byte => line.push(*byte),
            }
        }
    }
    if !line.is_empty() {
        each(String::from_utf8_lossy(&line).to_string());
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

    #[test]
    fn what_a_reader_is_told() {
        for (line, told) in [
            ("   Compiling libc v0.2.1", Some("Compiling libc v0.2.1")),
            ("    Finished `dev` profile", None),
            (
                "    Building [===>    ] 3/20: libc, nix",
                Some("step 3 of 20 (libc, nix)"),
            ),
            ("    Building [===>    ] 3/20", Some("step 3 of 20")),
            ("", None),
        ] {
            assert_eq!(worth_telling(line).as_deref(), told, "{line}");
        }
    }
}
