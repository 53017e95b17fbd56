//! The internals that later stages and the exercises build on: the rooms of stage 1, and what
//! this stage adds. What stage 1's `rt` says of safety holds here, too.
//!
//! Tests: `handoff`, `sysmon`, which call what is here by its name.

pub use stage1_coop::rt::{
    arch, gmp, last_words, life, os, queues, sched, stack, stage, sync, trace, word,
};

/// The monitor: its sleep, the time slices and calls it watches, and what it reports.
pub mod sysmon {
    pub use crate::SLICE_ENDS;
    pub use crate::asleep::deep_sleep::{ATTENTION_SYSMON, DEEP_SLEEP, schedule_slow};
    pub use crate::checkdead::{checkdead, m_idle};
    pub use crate::sysmon::retake::{
        FORCE_PREEMPT_NS, SYSCALL_NS, Sysmontick, retake, retake_syscall, sysmontick,
    };
    pub use crate::sysmon::schedtrace::SCHEDTRACE;
    pub use crate::sysmon::slices::P_ATTENTION_SLICES;
    pub use crate::sysmon::start::main_start;
    pub use crate::sysmon::{DELAY_MAX, DELAY_MIN, IDLE_ROUNDS, sysmon_delay};
}

/// Into a system call and out of it, and what happens to the P meanwhile.
pub mod syscall {
    pub use crate::syscall::callg::{Held, HeldStatus};
    pub use crate::syscall::callp::CallStatus;
    pub use crate::syscall::enter::{reentersyscall, reentersyscallblock, syscall_slow};
    pub use crate::syscall::exit::{exitsyscall, exitsyscall0};
    pub use crate::syscall::handoff::{handoffp, injectglist, injectglist_split};
    pub use crate::syscall::wired::{exitsyscall_wired, reentersyscall_wired};
    pub use crate::table::rows::Side;
}

/// Timers, and the sleep that stands on them.
pub mod timers {
    pub use crate::table::reasons::SLEEP;
    pub use crate::timers::heap::{Heap, Placed};
    pub use crate::timers::tick::ASYNCTIMERCHAN;
    pub use crate::timers::{
        NEVER, P_ATTENTION_TIMERS, Timers, checktimers, first_of, p_slow, stealwork,
        time_sleep_until,
    };
}

/// Goroutines that wait for a file descriptor.
pub mod netpoll {
    pub use crate::asleep::eventfd::{netpoll_break, wake_net_poller};
    pub use crate::netpoll::deadline::Mode;
    pub use crate::netpoll::epoll::poll_break;
    pub use crate::netpoll::last_m::before_stopm;
    pub use crate::netpoll::poll;
    pub use crate::netpoll::polldesc::PollDesc;
    pub use crate::netpoll::pollword::PollWord;
    pub use crate::table::reasons::IO_WAIT;
}

/// This stage's own rows, words and events.
pub mod table {
    pub use crate::ROWS;
    pub use crate::sysmon::start::minit;
    pub use crate::table::events::{
        GO_SYS_BLOCK, GO_SYS_CALL, GO_SYS_EXIT, GO_SYS_EXIT_BLOCKED, KINDS, NET_POLL, PROC_STEAL,
    };
    pub use crate::table::reasons::WAIT_REASONS;
    pub use crate::table::rows::{Rows, rows};
    pub use crate::table::words::{m_syscalltick, oldp, syscalltick};
}
