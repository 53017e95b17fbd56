//! A second process that cleans up if this one is killed.
//!
//! When the server ends, it ends what it started. A process that is killed, or crashes, ends
//! nothing: an example, cargo and what they started would go on. So the server starts its own
//! program a second time, as `book keep`, and writes to its input which process groups there
//! are. The end of that input is the end of the server, however it came, and `keep` then ends
//! the groups that are left. A program that the server had not announced yet is covered by
//! the death signal that it was started with (see `group`).

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

static KEEPER: OnceLock<Mutex<(Child, ChildStdin)>> = OnceLock::new();

/// Starts the second process. Without one the book works as well, until it is killed.
pub fn start() {
    use std::os::unix::process::CommandExt;
    let child = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .arg("keep")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: what ends the book from the terminal must not end this.
            .process_group(0)
            .spawn()
    });
    if let Ok(mut child) = child
        && let Some(input) = child.stdin.take()
    {
        // There is one server in a process, so this is the first and only one.
        let _ = KEEPER.set(Mutex::new((child, input)));
    }
}

/// A group was started.
pub fn add(group: Pid) {
    tell('+', group);
}

/// A group is gone.
pub fn remove(group: Pid) {
    tell('-', group);
}

fn tell(what: char, group: Pid) {
    if let Some(keeper) = KEEPER.get() {
        let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
        // If it is gone, there is nothing to tell any more.
        let _ = writeln!(keeper.1, "{what}{group}");
    }
}

/// The second process: follows the groups until the input ends, and ends those that are left.
pub fn keep(input: impl BufRead) {
    let mut groups = BTreeSet::new();
    for line in input.lines().map_while(io::Result::ok) {
        let Some((what, group)) = line.split_at_checked(1) else {
            continue;
        };
        match (what, group.parse::<i32>()) {
            // 0 and 1 would be our own group and everything.
            ("+", Ok(group @ 2..)) => {
                groups.insert(group);
            }
            ("-", Ok(group)) => {
                groups.remove(&group);
            }
            _ => {}
        }
    }
    for group in groups {
        // An error says that the group is gone.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    crate::scratch::sweep();
}
