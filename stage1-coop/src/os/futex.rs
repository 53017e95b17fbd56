//! The kernel's half of every lock and note: a thread sleeps on a word, and is woken by it.
//! Mirrors `futexsleep` and `futexwakeup` of `os_linux.go`.
//!
//! Tests: `waking::sleeping_threads_are_used_again`,
//! `waking::an_idle_program_uses_no_processor_time`.

use std::sync::atomic::AtomicU32;

/// Sleeps while `word` is `expected`, at most `ns` nanoseconds. Returns early at times.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, ns: Option<u64>) {
    let timeout = ns.map(|ns| libc::timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    });
    let timeout_ptr = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: word and timeout are borrowed for the call; FUTEX_WAIT reads nothing else.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            timeout_ptr,
        );
    }
}

/// Wakes so many threads that sleep on `word`.
pub(crate) fn futex_wake(word: &AtomicU32, count: i32) {
    // SAFETY: FUTEX_WAKE uses the address as a key only.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        );
    }
}
