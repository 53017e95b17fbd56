//! A program in a process group of its own, which is gone when this value is.
//!
//! A program may start others; killing the group ends them all. Where there are no process
//! groups, the program alone is killed.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// A running program and all that it started.
#[derive(Debug)]
pub struct Group {
    child: Child,
    /// The group's number, until the program was waited for: later the number may belong
    /// to somebody else.
    #[cfg(unix)]
    id: Option<nix::unistd::Pid>,
}

impl Group {
    /// Starts the program with its output piped and no input.
    pub fn spawn(command: &mut Command) -> io::Result<Group> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        Ok(Group {
            #[cfg(unix)]
            id: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(nix::unistd::Pid::from_raw),
            child,
        })
    }

    /// Both outputs. Each can be taken once.
    pub fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Waits for the program, then ends what it left behind in its group.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.kill();
        #[cfg(unix)]
        {
            self.id = None;
        }
        status
    }

    /// Ends the whole group at once.
    pub fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            // An error says that nobody is left in the group.
            let _ = nix::sys::signal::killpg(id, nix::sys::signal::Signal::SIGKILL);
        }
        #[cfg(not(unix))]
        let _ = self.child.start_kill();
    }

    /// Sends SIGINT to the program alone, not to its group.
    pub fn interrupt(&self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            // An error says that the program has just ended.
            let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
