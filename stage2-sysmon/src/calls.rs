//! System calls that programs make, on top of `syscall`: what a call answered, as Rust says
//! it, and one call that does nothing but block. Nothing in Go's runtime corresponds to this
//! file; its package `syscall` does.

use crate::syscall::syscall;
use std::io;
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
    syscall(|| stage1_coop::rt::usleep(us));
}
