//! A runner that is killed cannot end what it started. Its direct child dies with it, but a
//! compiler that cargo started would go on. So the first thing a runner starts is a copy of
//! itself that does nothing but read which process groups run, from a socket. Its other end
//! closes when the runner ends, however that happened, and then the copy ends those groups.
//!
//! A message is a number of four bytes: that of a group which begins, or its negative when
//! the group is over. The group's first process sends it itself before it becomes what it
//! is to be, so there is no moment at which it runs and the keeper does not know.

use std::collections::BTreeSet;
use std::io::{Read, Result, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The name of the command that [`keep`] is.
pub const COMMAND: &str = "keeper";

enum Keeper {
    /// None is wanted: tests run many groups at once, and clean up for themselves.
    None,
    /// The program that is one, not started yet.
    Wanted(PathBuf),
    Runs(Child, UnixStream),
}

static KEEPER: Mutex<Keeper> = Mutex::new(Keeper::None);

/// From now on what this process starts is ended when this process ends. `own`: the program
/// whose command [`COMMAND`] calls [`keep`].
pub fn want(own: &Path) {
    *KEEPER.lock().unwrap_or_else(PoisonError::into_inner) = Keeper::Wanted(own.to_owned());
}

/// Where a group is announced, if there is a keeper; starts the one that is wanted.
pub(super) fn line() -> Option<RawFd> {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Keeper::Wanted(own) = &*keeper {
        *keeper = start(own).unwrap_or(Keeper::None);
    }
    match &*keeper {
        Keeper::Runs(_, line) => Some(line.as_raw_fd()),
        _ => None,
    }
}

/// In the child, between fork and exec: this process leads a group. Async-signal-safe.
pub(super) fn announce(line: RawFd) {
    // SAFETY: getpid has no arguments; the message is ours for the length of the call. A
    // keeper that is gone is no reason not to go on.
    unsafe {
        let group = libc::getpid().to_ne_bytes();
        libc::send(line, group.as_ptr().cast(), group.len(), libc::MSG_NOSIGNAL);
    }
}

/// A group is over.
pub(super) fn over(group: i32) {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Keeper::Runs(_, line) = &mut *keeper {
        let _ = line.write_all(&(-group).to_ne_bytes());
    }
}

fn start(own: &Path) -> Result<Keeper> {
    // A socket and no pipe: a keeper that was killed must not end us by a signal.
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(own)
        .arg(COMMAND)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C of the terminal is not for it.
        .process_group(0)
        .spawn()?;
    Ok(Keeper::Runs(child, ours))
}

/// At the end of a runner: its keeper ends, and leaves no zombie.
pub fn dismiss() {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Keeper::Runs(mut child, line) = std::mem::replace(&mut *keeper, Keeper::None) {
        drop(line);
        let _ = child.wait();
    }
}

/// The command: reads groups from stdin until its end, and then kills those that still run.
pub fn keep() {
    let mut groups = BTreeSet::new();
    let (mut stdin, mut message) = (std::io::stdin().lock(), [0; 4]);
    while stdin.read_exact(&mut message).is_ok() {
        match i32::from_ne_bytes(message) {
            group @ 2.. => drop(groups.insert(group)),
            over => drop(groups.remove(&over.wrapping_neg())),
        }
    }
    for group in groups {
        // SAFETY: kill takes no pointers. The number is that of a group which the runner had
        // not yet collected, so it belongs to what the runner started.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}
