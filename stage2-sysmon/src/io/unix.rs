//! Sockets that have a path instead of an address and a port. Mirrors `UnixListener` and
//! `UnixConn` of Go's package `net`; see `net.rs` for what holds for all sockets.
//!
//! Tests: `netpoll::paths::connections_arrive_at_a_path` and the one after it.

use crate::io::fd::{Fd, answer};
use crate::io::net::{handles, once, owned, reads, streams, writes};
use crate::io::sockaddr::RawAddr;
use crate::netpoll::deadline::Mode;
use crate::syscall::enter::syscall;
use stage1_coop::prologue;
use stage1_coop::rt::os::outside_world;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// A socket with a path, at which connections arrive. Go's `UnixListener`.
///
/// ```no_run
/// # use stage2_sysmon::{Runtime, STAGE, UnixListener, UnixStream, go};
/// # use std::io::{Read, Write};
/// # unsafe { Runtime::new(&STAGE).run(|| {
/// let listener = UnixListener::bind("/tmp/example.sock").expect("a path that is free");
/// go("client", || {
///     let mut stream = UnixStream::connect("/tmp/example.sock").expect("a connection");
///     stream.write_all(b"hello").expect("room");
/// });
/// let mut stream = listener.accept().expect("a connection");
/// let mut text = String::new();
/// stream.read_to_string(&mut text).expect("all of it");
/// assert_eq!(text, "hello");
/// # }) };
/// ```
pub struct UnixListener {
    fd: Fd,
    path: PathBuf,
    /// Closing it removes the path.
    unlinks: AtomicBool,
}

impl UnixListener {
    /// Makes a socket at this path, where nothing may be yet. Closing the listener removes the
    /// path again. Go's `net.ListenUnix`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        prologue!();
        outside_world();
        let path = path.as_ref().to_owned();
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        // As many connections may wait as the system allows: a connect that finds no room fails.
        let number = listener.as_raw_fd();
        // SAFETY: plain numbers; the kernel cuts the second one down to its own limit.
        answer(|| unsafe { libc::listen(number, i32::MAX) } as isize)?;
        Ok(UnixListener {
            fd: Fd::new(OwnedFd::from(listener)),
            path,
            unlinks: AtomicBool::new(true),
        })
    }

    /// Waits for the next connection and returns it. Go's `Accept`.
    ///
    /// # Errors
    /// The kernel's, for example when the process has no descriptor left. The listener can be
    /// used on: the connection still waits.
    pub fn accept(&self) -> io::Result<UnixStream> {
        let none = std::ptr::null_mut();
        let fd = self.fd.accept(|fd| {
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: null means that the peer's address is not wanted.
            owned(|| unsafe { libc::accept4(fd, none, std::ptr::null_mut(), flags) })
        })?;
        Ok(UnixStream { fd: Fd::new(fd) })
    }

    /// Until when an accept may take: this long from now; `None` for ever. One that takes
    /// longer ends with [`TimedOut`](io::ErrorKind::TimedOut). Go's `SetDeadline`.
    ///
    /// # Errors
    /// If it is closed.
    pub fn set_deadline(&self, time: Option<Duration>) -> io::Result<()> {
        self.fd.set_deadline(Mode::Read, time)
    }

    /// Whether closing it removes the path (true from the beginning). Go's `SetUnlinkOnClose`.
    #[inline(never)]
    pub fn set_unlink_on_close(&self, yes: bool) {
        prologue!();
        self.unlinks.store(yes, Relaxed);
    }

    /// Removes the path and stops listening. An accept that waits ends with an error. Go's
    /// `Close`; dropping does it too.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn close(&self) -> io::Result<()> {
        // The path first, as in Go: afterwards it could be another listener's.
        if self.unlinks.swap(false, Relaxed) {
            let _ = syscall(|| std::fs::remove_file(&self.path));
        }
        self.fd.close()
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        // No `syscall`: dropping is no place to yield. The descriptor closes itself.
        if *self.unlinks.get_mut() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A connection without a network: from [`UnixListener`], or one end of a pair. Go's `UnixConn`.
pub struct UnixStream {
    fd: Fd,
}

impl UnixStream {
    /// Connects to the listener at this path. Go's `net.DialUnix`.
    ///
    /// # Errors
    /// The kernel's: there is no path, no listener, or no room in its queue.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        prologue!();
        outside_world();
        let raw = RawAddr::unix(path.as_ref())?;
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain numbers.
        let fd = owned(|| unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
        let number = fd.as_raw_fd();
        // It never has to wait: the other end's queue has room at once, or this is an error.
        // SAFETY: the address lives for the call, and the length is its own.
        once(|| unsafe { libc::connect(number, raw.as_ptr(), raw.len) } as isize)?;
        Ok(UnixStream { fd: Fd::new(fd) })
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// The kernel's.
    #[inline(never)]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        prologue!();
        let ours = |s: std::os::unix::net::UnixStream| {
            s.set_nonblocking(true)?;
            let fd = Fd::new(OwnedFd::from(s));
            Ok::<_, io::Error>(UnixStream { fd })
        };
        let (a, b) = std::os::unix::net::UnixStream::pair()?;
        Ok((ours(a)?, ours(b)?))
    }
}

streams!(UnixStream);
handles!(UnixListener);
