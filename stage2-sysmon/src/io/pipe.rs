//! Pipes whose ends park the goroutine and not the thread. Mirrors `os.Pipe`; what is common
//! to all that wait in the poller is in `fd.rs`.
//!
//! Tests: `netpoll::closing::a_pipe_ends_when_its_other_end_does` and others.

use crate::io::fd::{Fd, answer};
use crate::io::net::{handles, reads, writes};
use crate::netpoll::deadline::Mode;
use stage1_coop::prologue;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The end of a pipe that is read. It is at its end when no writer is left.
pub struct PipeReader {
    fd: Fd,
}

/// The end of a pipe that is written. A write fails when the reader is gone.
pub struct PipeWriter {
    fd: Fd,
}

/// A pipe: what is written to one end is read at the other. Go's `os.Pipe`.
///
/// # Errors
/// The kernel's.
#[inline(never)]
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let mut fds = [0; 2];
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: room for two descriptors.
    let made = || unsafe { libc::pipe2(fds.as_mut_ptr(), flags) } as isize;
    if let Err(error) = answer(made) {
        // `Fd::new` has the checks of a pipe that is made. A loop that retries has this one.
        prologue!();
        return Err(error);
    }
    // SAFETY: the kernel has just made them, for us.
    let [r, w] = fds.map(|fd| Fd::new(unsafe { OwnedFd::from_raw_fd(fd) }));
    Ok((PipeReader { fd: r }, PipeWriter { fd: w }))
}

impl PipeReader {
    /// Takes a descriptor that can be read and that the kernel can watch: a pipe, a socket, a
    /// terminal, but no ordinary file. For a program that shares it, it does not block any more either.
    /// Go's `os.NewFile`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<PipeReader> {
        let fd = non_blocking(fd.into())?;
        Ok(PipeReader { fd })
    }

    /// Until when a read may take: this long from now; `None` for ever. One that takes longer
    /// ends with [`TimedOut`](io::ErrorKind::TimedOut), and so do those that follow, until
    /// there is another deadline. Go's `SetReadDeadline`.
    ///
    /// # Errors
    /// If it is closed.
    pub fn set_read_deadline(&self, time: Option<Duration>) -> io::Result<()> {
        self.fd.set_deadline(Mode::Read, time)
    }
}

impl PipeWriter {
    /// As [`PipeReader::new`], for a descriptor that can be written.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(fd: impl Into<OwnedFd>) -> io::Result<PipeWriter> {
        let fd = non_blocking(fd.into())?;
        Ok(PipeWriter { fd })
    }

    /// As [`PipeReader::set_read_deadline`], for writes. Go's `SetWriteDeadline`.
    ///
    /// # Errors
    /// If it is closed.
    pub fn set_write_deadline(&self, time: Option<Duration>) -> io::Result<()> {
        self.fd.set_deadline(Mode::Write, time)
    }

    /// Closes it: the reader comes to the end. A goroutine that waits for it wakes with an error. Go's
    /// `Close`; dropping does it too.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn close(&self) -> io::Result<()> {
        self.fd.close()
    }
}

#[inline(never)]
fn non_blocking(fd: OwnedFd) -> io::Result<Fd> {
    prologue!();
    let number = fd.as_raw_fd();
    // SAFETY: plain numbers.
    let flags = answer(|| unsafe { libc::fcntl(number, libc::F_GETFL) } as isize)?;
    let flags = flags as i32 | libc::O_NONBLOCK;
    // SAFETY: plain numbers.
    answer(|| unsafe { libc::fcntl(number, libc::F_SETFL, flags) } as isize)?;
    Ok(Fd::new(fd))
}

reads!(PipeReader);
writes!(PipeWriter);
handles!(PipeWriter);
