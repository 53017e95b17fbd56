//! What the runtime says on stderr. Words must not hurt the speaker: std's `eprintln!` panics
//! when its output cannot be written, waits for a lock that a goroutine may hold, and writes
//! to wherever a test harness catches what a thread prints. So the runtime has its own way,
//! and no crate of it may use std's (`clippy::print_stderr` is denied).
//!
//! A pipe that is not read is full at some point, and then a write waits. A program that
//! runs may wait for its reader, as it would anywhere else. One that dies may not: from
//! [`last_words`] on each write asks for room first, and the first one that gets none within
//! `PATIENCE_MS` is the last.
//!
//! Tests: below; `bad_input::stderr`, `last_words::readers`.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

/// As `eprintln!`, but it never panics and takes no lock.
#[doc(hidden)]
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {
        $crate::say_line(::std::format!($($words)*))
    };
}

/// Lines that were said.
static SAID: AtomicU32 = AtomicU32::new(0);
/// The process dies: no write may wait for long.
static LAST: AtomicBool = AtomicBool::new(false);
/// There was no room for the last words: the rest is not said.
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// Milliseconds that last words wait for room.
pub const PATIENCE_MS: i32 = 2_000;
/// Bytes that a pipe takes without waiting if it has any room: `PIPE_BUF`, a page.
const AT_ONCE: usize = 4_096;

/// How many lines `say!` has written: the clock that watches over a dump sees that it
/// goes on. Async-signal-safe.
pub fn said() -> u32 {
    SAID.load(Relaxed)
}

/// The process dies. From here on no word waits for longer than `PATIENCE_MS`, and after
/// the first that found no room there are no more. Async-signal-safe.
pub fn last_words() {
    LAST.store(true, SeqCst);
}

/// Writes the line to stderr, in one piece. Without a stderr it is lost.
#[doc(hidden)]
pub fn say_line(mut line: String) {
    line.push('\n');
    say_bytes(line.as_bytes());
}

/// Writes bytes to stderr. Async-signal-safe.
pub fn say_bytes(mut rest: &[u8]) {
    while !rest.is_empty() {
        let last = LAST.load(Relaxed);
        if last && !room() {
            return;
        }
        let piece = if last {
            rest.len().min(AT_ONCE)
        } else {
            rest.len()
        };
        // SAFETY: the bytes are borrowed for the call.
        let n = unsafe { libc::write(2, rest.as_ptr().cast(), piece) };
        match usize::try_from(n) {
            Ok(n) if n > 0 => rest = &rest[n..],
            Err(_) => match Error::last_os_error().kind() {
                ErrorKind::Interrupted => {}
                // The descriptor has been made a non-blocking one.
                ErrorKind::WouldBlock if room() => {}
                _ => break,
            },
            _ => break,
        }
    }
    SAID.fetch_add(1, Relaxed);
}

/// Waits until stderr takes a few bytes, for a limited time. An error counts as room: the
/// write that follows will report it.
fn room() -> bool {
    if UNHEARD.load(Relaxed) {
        return false;
    }
    let mut left = PATIENCE_MS;
    while left > 0 {
        let mut stderr = libc::pollfd {
            fd: 2,
            events: libc::POLLOUT,
            revents: 0,
        };
        // Interrupted again and again, it still ends: each look takes its part of the time.
        let look = left.min(100);
        // SAFETY: one entry, which is ours for the call.
        if unsafe { libc::poll(&mut stderr, 1, look) } > 0 {
            return true;
        }
        left -= look;
    }
    if LAST.load(Relaxed) {
        UNHEARD.store(true, Relaxed);
    }
    false
}

#[cfg(test)]
mod tests {
    /// The writers of a run may be slow; `LAST` and `UNHEARD` are tested in child processes.
    #[test]
    fn lines_are_counted() {
        let before = super::said();
        crate::say!("a line of a test");
        assert!(super::said() > before);
    }
}
