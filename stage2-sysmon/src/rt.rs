//! The internals that later stages and the exercises build on: the rooms of stage 1, and what
//! this stage adds. What stage 1's `rt` says of safety holds here, too.

pub use stage1_coop::rt::{
    arch, gmp, last_words, life, os, queues, sched, stack, stage, sync, trace, word,
};

/// The monitor: its sleep, the time slices and calls it watches, and what it reports.
pub mod sysmon {
    pub use crate::checkdead::{checkdead, m_idle};
    pub use crate::retake::{FORCE_PREEMPT_NS, SYSCALL_NS, Sysmontick, retake, retake_syscall};
    pub use crate::schedtrace::SCHEDTRACE;
    pub use crate::slices::{P_ATTENTION_SLICES, SLICE_ENDS};
    pub use crate::sysmon::{
        ATTENTION_SYSMON, DEEP_SLEEP, DELAY_MAX, DELAY_MIN, IDLE_ROUNDS, main_start, schedule_slow,
        sysmon_delay,
    };
}

/// Into a system call and out of it, and what happens to the P meanwhile.
pub mod syscall {
    pub use crate::exitsyscall::{exitsyscall, exitsyscall0};
    pub use crate::handoff::{handoffp, injectglist, injectglist_split};
    pub use crate::syscall::{Side, reentersyscall, reentersyscallblock, syscall_slow};
    pub use crate::wired::{exitsyscall_wired, reentersyscall_wired};
}

/// Timers, and the sleep that stands on them.
pub mod timers {
    pub use crate::heap::{Heap, Placed};
    pub use crate::sleep::SLEEP;
    pub use crate::tick::ASYNCTIMERCHAN;
    pub use crate::timers::{
        NEVER, P_ATTENTION_TIMERS, Timers, checktimers, first_of, p_slow, stealwork,
        time_sleep_until,
    };
}

/// Goroutines that wait for a file descriptor.
pub mod netpoll {
    pub use crate::netpoll::{net_poll_break, poll, poll_break};
    pub use crate::polldesc::{IO_WAIT, Mode, PollDesc};
    pub use crate::poller::{before_stopm, wake_net_poller};
    pub use crate::pollword::PollWord;
}

/// This stage's own rows, words and events.
pub mod table {
    pub use crate::kinds::{
        GO_SYS_BLOCK, GO_SYS_CALL, GO_SYS_EXIT, GO_SYS_EXIT_BLOCKED, KINDS, NET_POLL, PROC_STEAL,
    };
    pub use crate::rows::{ROWS, Rows, rows};
    pub use crate::sleep::WAIT_REASONS;
    pub use crate::words::{POthers, m_syscalltick, minit, oldp, others, syscalltick};
}
