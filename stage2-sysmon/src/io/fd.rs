//! A descriptor that several goroutines use at once: one of them reads, one writes, another
//! may close it. Mirrors `FD` and `fdMutex` of Go's package `internal/poll`.
//!
//! The descriptor is in the kernel's non-blocking form. Every operation tries first, and waits
//! in the poller only when the kernel says "not now": the goroutine parks, and no thread is
//! held. Off a goroutine the thread waits.
//!
//! # Why a try is no system call of ours
//!
//! Go makes each of these tries between `entersyscall` and `exitsyscall`. The pair is there
//! for calls that may block; these cannot. What a try can do is take long, as long as the
//! kernel needs to copy the bytes. A few thousand bytes are copied in about a microsecond, and
//! sysmon does not look more often than every 20; so up to [`PLAIN_MAX`] bytes the goroutine
//! keeps its P, and above that the pair's dozen nanoseconds do not show any more.
//!
//! Tests: `netpoll`.

use crate::io::users::Users;
use crate::netpoll::deadline::Mode;
use crate::netpoll::polldesc::{PollDesc, closed};
use crate::syscall::enter::syscall;
use stage1_coop::rt::arch::on_goroutine;
use stage1_coop::rt::os::{READ, WRITE, wait_fd};
use stage1_coop::{Mutex, prologue};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Bytes that a try may move without `entersyscall`.
const PLAIN_MAX: usize = 16 << 10;
/// Milliseconds between two looks of a thread that waits off a goroutine: it cannot be woken.
const THREAD_LOOKS_MS: u64 = 10;

/// See the module. Go's `poll.FD`.
pub struct Fd {
    /// It knows the descriptor's number, too: handles stay small, and so do frames with several.
    pd: &'static PollDesc,
    /// How many are in an operation. The last one out closes the descriptor: its number must
    /// not get a new meaning while a user is about to use it.
    users: Users,
    /// One reads and one writes; others queue.
    reading: Mutex<()>,
    writing: Mutex<()>,
}

/// A goroutine or a thread that is in an operation.
struct User<'a>(&'a Fd);

impl Drop for User<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.0.users.leave() {
            self.0.destroy();
        }
    }
}

impl Fd {
    /// Takes a descriptor, which must be in the non-blocking form.
    #[inline(never)]
    pub(crate) fn new(fd: OwnedFd) -> Fd {
        prologue!();
        let fd = fd.into_raw_fd();
        Fd {
            pd: PollDesc::open(fd),
            users: Users::new(),
            reading: Mutex::new(()),
            writing: Mutex::new(()),
        }
    }

    /// The descriptor's number, which means something while the caller is a user.
    #[inline]
    fn fd(&self) -> RawFd {
        self.pd.fd()
    }

    #[inline]
    fn enter(&self) -> io::Result<User<'_>> {
        if self.users.enter() {
            return Ok(User(self));
        }
        Err(closed())
    }

    /// Closes the descriptor: a goroutine that waits for it wakes with an error. Go's `FD.Close`.
    ///
    /// # Errors
    /// If it is closed already.
    #[inline(never)]
    pub(crate) fn close(&self) -> io::Result<()> {
        prologue!();
        self.shut()
    }

    /// As [`close`](Self::close), without a check: dropping a descriptor is no place to yield.
    fn shut(&self) -> io::Result<()> {
        let _user = match self.enter() {
            Ok(user) => user,
            Err(closed) => {
                if self.users.forget_lost() {
                    self.destroy();
                }
                return Err(closed);
            }
        };
        if !self.users.close() {
            return Err(closed());
        }
        self.pd.evict();
        Ok(())
    }

    /// It has no users any more, or only goroutines of a run that is over.
    fn destroy(&self) {
        // First: once it is free, the description is another descriptor's.
        let fd = self.fd();
        self.pd.free();
        // SAFETY: the descriptor is ours, and this is the only place that closes it: the
        // last user of a closed one comes here, once (`Users`).
        unsafe { libc::close(fd) };
    }

    /// Deadlines from now on; `None` takes one away.
    #[inline(never)]
    pub(crate) fn set_deadline(&self, mode: Mode, time: Option<Duration>) -> io::Result<()> {
        prologue!();
        let _user = self.enter()?;
        self.pd.set_deadline(mode, time);
        Ok(())
    }

    /// Does `f` with the descriptor, which stays open meanwhile.
    pub(crate) fn with<R>(&self, f: impl FnOnce(RawFd) -> io::Result<R>) -> io::Result<R> {
        prologue!();
        let _user = self.enter()?;
        f(self.fd())
    }

    /// Does `f` with the descriptor, borrowed: it stays open as long as `f` takes, even if it is
    /// closed meanwhile. (A borrow that outlives this call could not promise that, because
    /// `close` needs no more than a reference.)
    pub(crate) fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        // SAFETY: open while we are a user of it, and the borrow cannot leave `f`.
        self.with(|fd| Ok(f(unsafe { BorrowedFd::borrow_raw(fd) })))
    }

    // ANCHOR: attempt
    /// Tries until the kernel has something else to say than "not now", and waits between
    /// two tries. Go's `FD.Read`, its loop.
    #[inline]
    fn attempt<R>(&self, mode: Mode, mut f: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        self.pd.prepare(mode)?;
        loop {
            match f() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(mode)?,
                result => return result,
            }
        }
    }
    // ANCHOR_END: attempt

    /// Reads what is there, up to the buffer's length; 0 is the end. Go's `FD.Read`.
    #[inline(never)]
    pub(crate) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        prologue!();
        let _user = self.enter()?;
        let _turn = lock(&self.reading)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        self.attempt(Mode::Read, || try_read(self.fd(), bytes))
    }

    /// Writes as much as there is room for, at least something. Go's `FD.Write`, one round.
    #[inline(never)]
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        prologue!();
        let _user = self.enter()?;
        let _turn = lock(&self.writing)?;
        self.attempt(Mode::Write, || try_write(self.fd(), bytes))
    }

    /// Writes everything; what others write comes before or behind. Go's `FD.Write`.
    #[inline(never)]
    pub(crate) fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        prologue!();
        let _user = self.enter()?;
        let _turn = lock(&self.writing)?;
        while !bytes.is_empty() {
            let n = self.attempt(Mode::Write, || try_write(self.fd(), bytes))?;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    /// Takes a connection. Go's `FD.Accept`.
    pub(crate) fn accept(
        &self,
        mut f: impl FnMut(RawFd) -> io::Result<OwnedFd>,
    ) -> io::Result<OwnedFd> {
        prologue!();
        let _user = self.enter()?;
        let _turn = lock(&self.reading)?;
        loop {
            match self.attempt(Mode::Read, || f(self.fd())) {
                // It was gone before we took it: the next one.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                result => return result,
            }
        }
    }

    /// Waits until the descriptor can be written: a connection is being made.
    pub(crate) fn wait_for_connection(
        &self,
        mut f: impl FnMut(RawFd) -> io::Result<()>,
    ) -> io::Result<()> {
        let _user = self.enter()?;
        let _turn = lock(&self.writing)?;
        self.pd.prepare(Mode::Write)?;
        loop {
            self.wait(Mode::Write)?;
            match f(self.fd()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// The kernel has said "not now".
    fn wait(&self, mode: Mode) -> io::Result<()> {
        if on_goroutine() {
            self.pd.wait(mode)
        } else {
            self.wait_as_a_thread(mode)
        }
    }

    /// Off a goroutine the thread waits, and looks now and then whether it still should.
    #[cold]
    fn wait_as_a_thread(&self, mode: Mode) -> io::Result<()> {
        let wanted = match mode {
            Mode::Read => READ,
            Mode::Write => WRITE,
        };
        loop {
            self.pd.check(mode)?;
            if !wait_fd(self.fd(), wanted, Some(THREAD_LOOKS_MS * 1_000_000)) {
                continue;
            }
            let mut one = libc::pollfd {
                fd: self.fd(),
                events: wanted,
                revents: 0,
            };
            // SAFETY: one entry, ours.
            if unsafe { libc::poll(&mut one, 1, THREAD_LOOKS_MS as i32) } > 0 {
                return Ok(());
            }
        }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // Closed already is fine.
        let _ = self.shut();
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd()
    }
}

/// The goroutine's turn. A thread that is not on a goroutine cannot queue.
#[inline]
fn lock(turn: &Mutex<()>) -> io::Result<stage1_coop::MutexGuard<'_, ()>> {
    if let Some(guard) = turn.try_lock() {
        return Ok(guard);
    }
    if on_goroutine() {
        return Ok(turn.lock());
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "a goroutine is at this descriptor already, and a thread cannot queue behind it",
    ))
}

fn try_read(fd: RawFd, bytes: &mut [u8]) -> io::Result<usize> {
    let len = bytes.len();
    // SAFETY: the buffer is borrowed for the call.
    let call = || unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), len) };
    if len > PLAIN_MAX {
        return syscall(|| answer(call));
    }
    answer(call)
}

fn try_write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the buffer is borrowed for the call.
    let call = || unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    if bytes.len() > PLAIN_MAX {
        return syscall(|| answer(call));
    }
    answer(call)
}

/// Makes a call that answers with a number, again if a signal interrupted it. Never inlined:
/// `errno` is the thread's, so a goroutine's own code must not come between the call and the
/// look at it.
#[inline(never)]
pub(crate) fn answer(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        let n = call();
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
