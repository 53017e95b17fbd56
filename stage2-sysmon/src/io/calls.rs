//! System calls that programs make, on top of `syscall`: what a call answered, as Rust says
//! it; files whose reads and writes really block; and one call that does nothing else. Nothing
//! in Go's runtime corresponds to this file; its package `syscall` does.
//!
//! Tests: `sysmon::calls::a_call_that_a_signal_interrupts_is_made_again`,
//! `sysmon::calls::a_call_s_error_is_what_errno_says`.

use crate::syscall::enter::syscall;
use stage1_coop::rt::os::{READ, WRITE, in_lockstep, wait_fd};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// What a function of libc returns: a number, negative when it failed and left the reason
/// in `errno`.
pub trait Answer: Copy {
    /// Whether the call failed.
    fn failed(self) -> bool;
}

macro_rules! answers {
    ($($t:ty),+) => {
        $(impl Answer for $t {
            #[inline]
            fn failed(self) -> bool {
                self < 0
            }
        })+
    };
}
answers!(i32, i64, isize);

/// Makes a call of libc's as a [`syscall`]; repeats it when a signal interrupted it. Go's
/// `ignoringEINTR`.
///
/// ```no_run
/// # let (fd, mut bytes) = (0, [0_u8; 64]);
/// // SAFETY: the buffer lives until the call is over.
/// let n = stage2_sysmon::libc_call(|| unsafe {
///     libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len())
/// });
/// ```
///
/// # Errors
/// What `errno` says.
pub fn libc_call<T: Answer>(mut f: impl FnMut() -> T) -> io::Result<T> {
    syscall(|| {
        loop {
            let answer = f();
            if !answer.failed() {
                return Ok(answer);
            }
            // The thread's own, so it is read before the goroutine can change threads.
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    })
}

/// Sleeps in the kernel, with the thread: a call that blocks for a known time. It stands for
/// all those that block for an unknown one. In lockstep the thread sleeps in virtual time.
pub fn nanosleep(time: Duration) {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    syscall(|| stage1_coop::rt::os::usleep(us));
}

/// A file, a pipe or a terminal in the kernel's ordinary form: a read or write may block, and
/// then it keeps the thread. The P goes to another M, when sysmon has noticed. Go's
/// `os.File`, for what the network poller cannot watch.
///
/// ```no_run
/// # use std::{fs, io::Read};
/// let mut file = stage2_sysmon::File::new(fs::File::open("/etc/hostname").unwrap());
/// let mut text = String::new();
/// file.read_to_string(&mut text).unwrap();
/// ```
pub struct File(OwnedFd);

impl File {
    /// Takes anything that is a descriptor. Go's `os.NewFile`.
    pub fn new(fd: impl Into<OwnedFd>) -> File {
        File(fd.into())
    }
}

impl Read for &File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let fd = self.0.as_raw_fd();
        let n = libc_call(|| {
            wait_fd(fd, READ, None);
            // SAFETY: the buffer is borrowed for the call.
            unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) }
        })?;
        Ok(n.unsigned_abs())
    }
}

impl Write for &File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fd = self.0.as_raw_fd();
        // In lockstep, as much as always fits when there is room at all: there only `wait_fd`
        // may wait for more room, and not the call itself.
        let most = if in_lockstep() {
            libc::PIPE_BUF
        } else {
            usize::MAX
        };
        let len = bytes.len().min(most);
        let n = libc_call(|| {
            wait_fd(fd, WRITE, None);
            // SAFETY: the buffer is borrowed for the call.
            unsafe { libc::write(fd, bytes.as_ptr().cast(), len) }
        })?;
        Ok(n.unsigned_abs())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self).read(bytes)
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
