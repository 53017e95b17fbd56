//! The few system calls that the laboratory needs: a futex word to wait on, a signal mask
//! to wait behind, and handlers.
//!
//! Tests: `determinism`, `last_words::runs::handlers_masks_and_signal_stacks_are_put_back`.

use std::sync::atomic::{AtomicU32, Ordering::*};

/// Sleeps while `word` is `expected`, at most `ms` milliseconds, which are less than a
/// second. Spurious returns are fine. Returns false when the time ran out.
pub fn futex_wait(word: &AtomicU32, expected: u32, ms: i64) -> bool {
    let timeout = libc::timespec {
        tv_sec: 0,
        tv_nsec: ms * 1_000_000,
    };
    // SAFETY: the word lives for the whole call (it is borrowed), the timespec too, and
    // FUTEX_WAIT reads nothing else.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            &timeout,
        )
    };
    // SAFETY: `__errno_location` gives this thread's errno, valid while the thread lives.
    !(rc == -1 && unsafe { *libc::__errno_location() } == libc::ETIMEDOUT)
}

/// Wakes the one thread that sleeps on `word`.
pub fn futex_wake(word: &AtomicU32) {
    // SAFETY: FUTEX_WAKE uses the address as a key only.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
        );
    }
}

/// Blocks every signal of this thread and returns the mask that was. The raw system call,
/// because glibc's wrapper leaves two of its own signals open.
pub fn block_signals() -> u64 {
    let (all, mut old) = (!0u64, 0u64);
    // SAFETY: both pointers are to 8-byte masks, the size that is passed.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &all, &mut old, 8) };
    old
}

/// Puts back a mask from [`block_signals`]. Pending signals arrive before this returns.
pub fn restore_signals(old: u64) {
    // SAFETY: as above; no old mask is asked for.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &old,
            std::ptr::null_mut::<u64>(),
            8,
        )
    };
}

/// Puts `errno` back when it is dropped. The code that a handler interrupts may stand between
/// a system call and its look at the error.
pub struct KeepErrno(i32);

impl KeepErrno {
    /// Remembers the calling thread's.
    #[allow(clippy::new_without_default)]
    pub fn new() -> KeepErrno {
        // SAFETY: `__errno_location` gives this thread's errno, valid while the thread lives.
        KeepErrno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        // SAFETY: as above; a handler ends on the thread on which it began.
        unsafe { *libc::__errno_location() = self.0 };
    }
}

/// Installs `handler` with every signal blocked while it runs, on the alternate stack, and
/// returns what was there.
///
/// # Errors
/// One line: the kernel, or a filter in front of it, refuses.
pub fn install(
    signal: i32,
    handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void),
) -> Result<libc::sigaction, String> {
    // SAFETY: a zeroed sigaction is a valid value of the type (SIG_DFL, empty mask).
    let (mut new, mut old): (libc::sigaction, libc::sigaction) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    new.sa_sigaction = handler as *const () as usize;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: both structs are ours, and the handlers passed here are async-signal-safe.
    let refused = unsafe {
        libc::sigfillset(&mut new.sa_mask);
        libc::sigaction(signal, &new, &mut old) != 0
    };
    if refused {
        let error = std::io::Error::last_os_error();
        return Err(format!(
            "lockstep needs a handler for signal {signal}, and the system refuses it: {error}"
        ));
    }
    Ok(old)
}

/// Puts back what [`install`] returned.
pub fn reinstall(signal: i32, old: &libc::sigaction) {
    // SAFETY: `old` was filled in by the kernel.
    unsafe { libc::sigaction(signal, old, std::ptr::null_mut()) };
}

/// The interrupted program counter of a handler's context.
///
/// # Safety
/// `context` must be the third argument of a running SA_SIGINFO handler.
pub unsafe fn pc(context: *mut libc::c_void) -> usize {
    // SAFETY: the caller passes a live ucontext_t.
    unsafe {
        (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }
}

/// A register of a handler's context, for reading.
///
/// # Safety
/// As for [`pc`].
pub unsafe fn reg(context: *mut libc::c_void, which: libc::c_int) -> u64 {
    // SAFETY: the caller passes a live ucontext_t.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[which as usize] as u64 }
}

/// The tracer of this process, if there is one: its command name, or its number if the name
/// cannot be read.
pub fn tracer() -> Option<Result<String, String>> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let pid = status
        .lines()
        .find_map(|l| l.strip_prefix("TracerPid:"))?
        .trim();
    if pid == "0" {
        return None;
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    Some(match name {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(_) => Err(pid.to_owned()),
    })
}

/// Orders the words that the baton protects: a hand-over is a release by the giver ...
pub fn publish(word: &AtomicU32, value: u32) {
    word.store(value, Release);
}

/// ... and an acquire by the taker.
pub fn observe(word: &AtomicU32) -> u32 {
    word.load(Acquire)
}

/// Waits until one of these descriptors has what is wanted of it, at most `ms` milliseconds.
/// Returns whether one has; a signal counts as the end of the time.
pub fn poll(fds: &mut [libc::pollfd], ms: i32) -> bool {
    // SAFETY: pointer and length are those of a slice that is borrowed for the call.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, ms) > 0 }
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

/// Nanoseconds of processor time that a thread of this process has used; 0 if there is none
/// with this number.
pub fn processor_time(thread: i32) -> u64 {
    // How the kernel names the clock of a thread's scheduled time.
    const PER_THREAD_SCHED: i32 = 6;
    let clock = (!thread) << 3 | PER_THREAD_SCHED;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours; a clock that does not exist is an error.
    match unsafe { libc::clock_gettime(clock, &mut time) } {
        0 => time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        _ => 0,
    }
}

/// Whether a thread of this process sleeps in the kernel. What cannot be found out counts as
/// sleep: then its processor time has to decide. Allocates nothing.
pub fn sleeps(thread: i32) -> bool {
    let mut path = *b"/proc/self/task/0000000000/stat\0";
    let mut rest = thread;
    for digit in path[16..26].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // The kernel takes no zeros in front.
    let zeros = path[16..25].iter().take_while(|&&b| b == b'0').count();
    path.copy_within(16 + zeros.., 16);
    let mut text = [0_u8; 512];
    // SAFETY: the path ends with a zero byte, and the buffer is as long as we say; what was
    // opened is closed.
    let n = unsafe {
        let fd = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return true;
        }
        let n = libc::read(fd, text.as_mut_ptr().cast(), text.len());
        libc::close(fd);
        n
    };
    // The name stands in parentheses, and may hold some itself; then a blank and the state.
    let text = &text[..usize::try_from(n).unwrap_or(0)];
    let state = text
        .iter()
        .rposition(|&b| b == b')')
        .and_then(|at| text.get(at + 2));
    !matches!(state, Some(b'R' | b'T' | b't'))
}
