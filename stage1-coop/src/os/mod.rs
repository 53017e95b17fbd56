//! All that touches time, threads and memory, in two forms: free-running on the machine's
//! clock, or in lockstep on a virtual one. The scheduler calls these names and does not
//! know which form runs. Mirrors `os_linux.go` and `lock_futex.go`; the chapter
//! *What lockstep is, and what it hides* says more.
//!
//! Tests: below; `determinism`.

mod action;
mod chained;
mod futex;
pub mod last_resort;
mod lock;
pub(crate) mod mem;
mod note;
mod noteword;
mod signal;
mod thread;

pub use action::Handler;
pub use chained::Chained;
pub(crate) use futex::{futex_wait, futex_wake};
pub use lock::Lock;
pub use note::Note;
#[cfg(test)]
pub(crate) use signal::ctrl_c_note;
pub use signal::handle_during_run;
pub(crate) use signal::{
    Hands, NoSignalStack, SignalStack, block_all_signals, initsig, minit_signals, restore_mask,
    set_mask, unminit_signals,
};
pub(crate) use signal::{ctrl_c_count, restoresig, unwatch_ctrl_c, watch_ctrl_c};
pub use thread::never_block;
pub(crate) use thread::{ends, newosproc, note_timer_slack, room_for_a_stack, this_thread_id};
pub(crate) use thread::{may_be_changed, note_mask, run_mask, set_thread_body};

use safepoint_lockstep as lab;
pub use safepoint_lockstep::{READ, WRITE};
use std::sync::atomic::{AtomicUsize, Ordering::*};

/// Whether the calling thread runs on the laboratory's clock. A thread that the runtime did
/// not make keeps the machine's, even in lockstep.
fn in_lockstep() -> bool {
    lab::enabled() && lab::me().is_some()
}

/// Nanoseconds of the run's clock: monotonic, or virtual. Go's `nanotime`.
pub fn nanotime() -> u64 {
    if in_lockstep() {
        return lab::clock_read();
    }
    monotonic()
}

/// Nanoseconds of the machine's monotonic clock, whatever the mode.
pub(crate) fn monotonic() -> u64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}

/// Sleeps for microseconds without giving up the P. Go's `usleep`.
pub fn usleep(us: u64) {
    if in_lockstep() {
        return lab::sleep(us.saturating_mul(1_000));
    }
    let until = monotonic().saturating_add(us.saturating_mul(1_000));
    let until = libc::timespec {
        tv_sec: (until / 1_000_000_000) as i64,
        tv_nsec: (until % 1_000_000_000) as i64,
    };
    // Until a moment, and not for a time: interrupted, the kernel says how much of a time is
    // left, and adds its slack of 50 us. A signal every 20 us made such a sleep endless.
    loop {
        // SAFETY: the time is ours for the call, and nothing is written.
        let error = unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &until,
                std::ptr::null_mut(),
            )
        };
        if error != libc::EINTR {
            return;
        }
    }
}

/// Lets other threads run. Go's `osyield`.
pub fn osyield() {
    if in_lockstep() {
        return lab::osyield();
    }
    std::thread::yield_now();
}

/// To be called before a system call that may block for the descriptor `fd`: waits until it
/// can be read, or written ([`READ`], [`WRITE`]), or `ns` nanoseconds have passed; returns
/// false in the second case. Free-running it returns true at once, because the call itself
/// will wait. In lockstep others run meanwhile, and the clock goes on.
pub fn wait_fd(fd: i32, wanted: i16, ns: Option<u64>) -> bool {
    !in_lockstep() || lab::wait_fd(fd, wanted, ns)
}

/// From here on the run deals with the world outside the process (or the kernel's own
/// threads), which cannot be repeated: in lockstep the trace says so.
pub fn outside_world() {
    if in_lockstep() {
        lab::not_portable(lab::Portable::Outside);
    }
}

/// Waits for a few dozen cycles. Go's `procyield`.
pub fn procyield(turns: u32) {
    if in_lockstep() {
        lab::advance(u64::from(turns) * 10);
        return lab::pass();
    }
    for _ in 0..turns {
        std::hint::spin_loop();
    }
}

/// Bits that lift an ordinary guard above every stack pointer in lockstep, where each check
/// must enter the slow path to tick the clock; 0 otherwise. Stacks are aligned so that the
/// lifted guard never equals `STACK_PREEMPT` or `STACK_FORK`.
static GUARD_LIFT: AtomicUsize = AtomicUsize::new(0);

/// The value to store into `stackguard0` for an ordinary guard at `guard`.
#[inline(always)]
pub fn guard_word(guard: usize) -> usize {
    guard | GUARD_LIFT.load(Relaxed)
}

/// Called by the slow path of each check, before it looks at anything.
pub(crate) fn at_check() {
    if lab::enabled() {
        lab::check();
    }
}

/// Whether the process runs in lockstep and the calling thread is no part of it.
pub(crate) fn outside_lockstep() -> bool {
    lab::enabled() && lab::me().is_none()
}

/// Lifts the guards (lockstep) or not.
pub(crate) fn lift_guards(yes: bool) {
    GUARD_LIFT.store(if yes { 0xffff_ffff_ffff_f000 } else { 0 }, Relaxed);
}

/// A number that differs from process to process, except in lockstep.
pub(crate) fn random_seed() -> u64 {
    if lab::enabled() {
        return 0;
    }
    let mut seed = [0; 8];
    // SAFETY: pointer and length are those of an array of ours.
    let n = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), libc::GRND_NONBLOCK) };
    if n == seed.len() as isize {
        u64::from_ne_bytes(seed)
    } else {
        // It only decides in which order a thief looks.
        monotonic()
    }
}

/// Ends the process at once, without running anything more. Go's `exit`.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes no pointer and does not return.
    unsafe { libc::_exit(status) }
}
