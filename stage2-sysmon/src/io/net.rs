//! Sockets whose operations park the goroutine and not the thread. Mirrors `TCPListener`
//! and `TCPConn` of Go's package `net`. What is common to all descriptors is in `fd.rs`, and sockets
//! that have a path are in `unix.rs`.
//!
//! All methods take `&self`, so a stream that is shared (in an `Arc`) can be read by one
//! goroutine, written by another, and closed by a third. Reading and writing are those of
//! `std::io::Read` and `Write`, for a stream and for a reference to it.
//!
//! A descriptor may outlive its run and be used in the next one. One at which goroutines still
//! waited when their run was over can only be closed: they are lost, and keep their turn.
//!
//! Tests: `netpoll`.

use crate::io::fd::{Fd, answer};
use crate::io::sockaddr::RawAddr;
use crate::netpoll::deadline::Mode;
use stage1_coop::prologue;
use stage1_coop::rt::os::outside_world;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A socket at which connections arrive. Go's `TCPListener`.
pub struct TcpListener {
    fd: Fd,
}

impl TcpListener {
    /// Announces on the local address. Port 0 chooses a free one, which
    /// [`local_addr`](Self::local_addr) tells. Go's `net.Listen`.
    ///
    /// # Errors
    /// The kernel's.
    #[inline(never)]
    pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        prologue!();
        // The network has threads and clocks of its own.
        outside_world();
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        // As many connections may wait as the system allows, as in Go. The standard library says
        // 128; what comes beyond that is dropped, and tried again after a second.
        let number = listener.as_raw_fd();
        // SAFETY: plain numbers; the kernel cuts the second one down to its own limit.
        answer(|| unsafe { libc::listen(number, i32::MAX) } as isize)?;
        let fd = Fd::new(OwnedFd::from(listener));
        Ok(TcpListener { fd })
    }

    /// Waits for the next connection and returns it, with the address of its other end. Go's
    /// `Accept`.
    ///
    /// # Errors
    /// The kernel's, for example when the process has no descriptor left. The listener can be
    /// used on: the connection still waits.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut raw = RawAddr::room();
        let fd = self.fd.accept(|fd| {
            raw = RawAddr::room();
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let (addr, len) = ((&raw mut raw.storage).cast(), &raw mut raw.len);
            // SAFETY: room for every address, and its length.
            owned(|| unsafe { libc::accept4(fd, addr, len, flags) })
        })?;
        Ok((TcpStream::ours(fd), raw.get()?))
    }

    /// The address at which connections arrive.
    ///
    /// # Errors
    /// If it is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.with(|fd| as_std(fd).local_addr())
    }

    /// Until when an accept may take: this long from now; `None` for ever. One that takes
    /// longer ends with [`TimedOut`](io::ErrorKind::TimedOut). Go's `SetDeadline`.
    ///
    /// # Errors
    /// If it is closed.
    pub fn set_deadline(&self, time: Option<Duration>) -> io::Result<()> {
        self.fd.set_deadline(Mode::Read, time)
    }

    /// Stops listening. A goroutine in an accept wakes with an error. Go's `Close`; dropping
    /// does it too.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn close(&self) -> io::Result<()> {
        self.fd.close()
    }
}

/// How often in a row the kernel may connect a socket to itself. Go's is 3, too.
const SELF_CONNECTS: u32 = 3;

/// A TCP connection. Go's `TCPConn`.
pub struct TcpStream {
    fd: Fd,
}

impl TcpStream {
    /// Small writes leave at once, as in Go: see [`set_nodelay`](Self::set_nodelay).
    fn ours(fd: OwnedFd) -> TcpStream {
        let stream = TcpStream { fd: Fd::new(fd) };
        // A peer that has gone already is noticed by the first operation.
        let _ = stream.set_nodelay(true);
        stream
    }

    /// Connects to an address. Go's `net.Dial`.
    ///
    /// # Errors
    /// The kernel's: there is no listener, or no way to it.
    pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::dial(addr, None)
    }

    /// As [`connect`](Self::connect), but it may take no longer than this. Go's
    /// `net.DialTimeout`.
    ///
    /// # Errors
    /// Those of `connect`, and [`TimedOut`](io::ErrorKind::TimedOut).
    pub fn connect_timeout(addr: SocketAddr, time: Duration) -> io::Result<TcpStream> {
        TcpStream::dial(addr, Some(time))
    }

    /// A port without a listener may be the very one that the kernel chooses for our end:
    /// then the connection is one to itself, which stands and answers. Go's `selfConnect`.
    #[inline(never)]
    fn dial(addr: SocketAddr, time: Option<Duration>) -> io::Result<TcpStream> {
        prologue!();
        for _ in 0..SELF_CONNECTS {
            let stream = TcpStream::dial_once(addr, time)?;
            match (stream.local_addr(), stream.peer_addr()) {
                (Ok(local), Ok(peer)) if local == peer => {}
                _ => return Ok(stream),
            }
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn dial_once(addr: SocketAddr, time: Option<Duration>) -> io::Result<TcpStream> {
        outside_world();
        let raw = RawAddr::of(addr);
        let family = i32::from(raw.storage.ss_family);
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: plain numbers.
        let fd = owned(|| unsafe { libc::socket(family, kind, 0) })?;
        let number = fd.as_raw_fd();
        let stream = TcpStream::ours(fd);
        // SAFETY: the address lives for the call, and the length is its own.
        let call = || unsafe { libc::connect(number, raw.as_ptr(), raw.len) } as isize;
        // Not `answer`: a connect that a signal interrupted goes on by itself.
        match once(call) {
            Ok(_) => return Ok(stream),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {}
            Err(e) => return Err(e),
        }
        if time.is_some() {
            stream.set_write_deadline(time)?;
        }
        stream.fd.wait_for_connection(|fd| {
            let socket = as_std(fd);
            match socket.take_error()? {
                Some(error) => Err(error),
                // The kernel said "writable" and means that there is no connection yet.
                None if socket.peer_addr().is_err() => Err(io::ErrorKind::WouldBlock.into()),
                None => Ok(()),
            }
        })?;
        if time.is_some() {
            stream.set_write_deadline(None)?;
        }
        Ok(stream)
    }

    /// The address of the other end. Go's `RemoteAddr`.
    ///
    /// # Errors
    /// The kernel's; or if it is closed.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.fd.with(|fd| as_std(fd).peer_addr())
    }

    /// The address of this end. Go's `LocalAddr`.
    ///
    /// # Errors
    /// The kernel's; or if it is closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.fd.with(|fd| as_std(fd).local_addr())
    }

    /// Another handle to the same connection: each is closed by itself, and the connection ends
    /// with the last one. Deadlines are the handle's own. Go's `File`, without the file.
    ///
    /// # Errors
    /// The kernel's; or if it is closed.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        let fd = self.fd.with_fd(|fd| fd.try_clone_to_owned())??;
        Ok(TcpStream { fd: Fd::new(fd) })
    }

    /// Whether small writes leave at once (true from the beginning, as in Go) or wait for
    /// more. Go's `SetNoDelay`.
    ///
    /// # Errors
    /// The kernel's; or if it is closed.
    pub fn set_nodelay(&self, yes: bool) -> io::Result<()> {
        self.fd.with(|fd| as_std(fd).set_nodelay(yes))
    }
}

/// What is common to connections.
macro_rules! streams {
    ($name:ident) => {
        impl $name {
            /// Ends one direction or both, with the descriptor still open: the peer reads to
            /// the end of what was written. Go's `CloseRead` and `CloseWrite`.
            ///
            /// # Errors
            /// The kernel's; or if it is closed.
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.fd.with(|fd| $crate::io::net::as_std(fd).shutdown(how))
            }

            /// Until when a read may take: this long from now; `None` for ever. One that takes
            /// longer ends with [`TimedOut`](io::ErrorKind::TimedOut), and so do those that
            /// follow, until there is another deadline. Go's `SetReadDeadline`.
            ///
            /// # Errors
            /// If it is closed.
            pub fn set_read_deadline(&self, time: Option<Duration>) -> io::Result<()> {
                self.fd.set_deadline(Mode::Read, time)
            }

            /// The same for writes. Go's `SetWriteDeadline`.
            ///
            /// # Errors
            /// If it is closed.
            pub fn set_write_deadline(&self, time: Option<Duration>) -> io::Result<()> {
                self.fd.set_deadline(Mode::Write, time)
            }

            /// The same for both. Go's `SetDeadline`.
            ///
            /// # Errors
            /// If it is closed.
            pub fn set_deadline(&self, time: Option<Duration>) -> io::Result<()> {
                self.set_read_deadline(time)?;
                self.set_write_deadline(time)
            }
        }

        reads!($name);
        writes!($name);
    };
}

/// What can be read.
macro_rules! reads {
    ($name:ident) => {
        impl $name {
            /// Closes it. A goroutine that waits for it wakes with an error. Go's `Close`; dropping does it
            /// too.
            ///
            /// # Errors
            /// If it is closed already.
            pub fn close(&self) -> io::Result<()> {
                self.fd.close()
            }
        }

        impl Read for &$name {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                self.fd.read(bytes)
            }
        }

        impl Read for $name {
            fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
                self.fd.read(bytes)
            }
        }

        handles!($name);
    };
}

/// What can be written. `write_all` is one operation: no other bytes come in between.
macro_rules! writes {
    ($name:ident) => {
        impl Write for &$name {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.fd.write(bytes)
            }
            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.fd.write_all(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Write for $name {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.fd.write(bytes)
            }
            fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
                self.fd.write_all(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}

/// The descriptor itself, for what is not here: options of the kernel's.
macro_rules! handles {
    ($name:ident) => {
        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.fd.as_raw_fd()
            }
        }

        impl $name {
            /// Does `f` with the descriptor, which stays open meanwhile. There is no `as_fd`:
            /// `close` takes a reference, so a borrow could outlive the descriptor.
            ///
            /// # Errors
            /// If it is closed.
            pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
                self.fd.with_fd(f)
            }
        }
    };
}

pub(crate) use {handles, reads, streams, writes};

streams!(TcpStream);
handles!(TcpListener);

/// The standard library's socket, borrowed for a question that does not block.
pub(crate) fn as_std(fd: RawFd) -> ManuallyDrop<std::net::TcpStream> {
    // SAFETY: the descriptor is open (the callers are in `Fd::with` or the like), and the
    // stream is never dropped, so it closes nothing.
    ManuallyDrop::new(unsafe { std::net::TcpStream::from_raw_fd(fd) })
}

/// A call that makes a descriptor.
pub(crate) fn owned(mut call: impl FnMut() -> i32) -> io::Result<OwnedFd> {
    let fd = answer(|| call() as isize)?;
    // SAFETY: the kernel has just made it, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A call that is not repeated. Never inlined, see [`answer`].
#[inline(never)]
pub(crate) fn once(call: impl FnOnce() -> isize) -> io::Result<()> {
    if call() < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
