//! A program in a process group of its own, which is gone when this value is.
//!
//! A program may start others; killing the group ends them all. Where there are no process
//! groups, the program alone is killed.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, ChildStderr, ChildStdout, Command};

#[cfg(unix)]
use super::keeper;

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
    /// Starts the program with its output piped and no input. Call it in a task of the
    /// server's runtime: the program ends when the thread that starts it does.
    pub fn spawn(command: &mut Command) -> io::Result<Group> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(target_os = "linux")]
        die_with_us(command);
        let child = command.spawn()?;
        #[cfg(unix)]
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .map(nix::unistd::Pid::from_raw);
        #[cfg(unix)]
        if let Some(id) = id {
            keeper::add(id);
        }
        Ok(Group {
            #[cfg(unix)]
            id,
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
        self.forget();
        status
    }

    /// Ends the whole group at once.
    pub fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.id {
            // An error says that the group is empty.
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

    fn forget(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.id.take() {
            keeper::remove(id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        self.forget();
    }
}

/// The program gets SIGKILL when the thread that starts it ends; a thread of the runtime ends
/// with the process, even if that is killed.
#[cfg(target_os = "linux")]
fn die_with_us(command: &mut Command) {
    let parent = std::process::id();
    let ask = move || {
        // SAFETY: it changes one attribute of the calling process and touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // If the server died before the line above, no signal comes any more.
        if std::os::unix::process::parent_id() != parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    };
    // SAFETY: `ask` runs in the child between fork and exec, where only what is safe in a
    // signal handler may be done. It makes two bare system calls; what it moved in is a
    // number, and an `io::Error` of a code allocates nothing.
    unsafe {
        command.pre_exec(ask);
    }
}
