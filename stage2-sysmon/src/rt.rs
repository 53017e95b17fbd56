//! The internals that later stages and the exercises build on: those of stage 1, and what
//! this stage adds. What stage 1's `rt` says of safety holds here, too.

pub use crate::callg::{Held, HeldStatus};
pub use crate::callp::CallStatus;
pub use crate::checkdead::{checkdead, m_idle};
pub use crate::exitsyscall::{exitsyscall, exitsyscall0};
pub use crate::handoff::{handoffp, injectglist, injectglist_split};
pub use crate::heap::{Heap, Placed};
pub use crate::kinds::{
    GO_SYS_BLOCK, GO_SYS_CALL, GO_SYS_EXIT, GO_SYS_EXIT_BLOCKED, KINDS, NET_POLL, PROC_STEAL,
};
pub use crate::netpoll::{net_poll_break, poll, poll_break};
pub use crate::polldesc::{IO_WAIT, Mode, PollDesc};
pub use crate::poller::{before_stopm, wake_net_poller};
pub use crate::pollword::PollWord;
pub use crate::retake::{FORCE_PREEMPT_NS, SYSCALL_NS, Sysmontick, retake, retake_syscall};
pub use crate::rows::{ROWS, Rows, rows};
pub use crate::schedtrace::SCHEDTRACE;
pub use crate::sleep::{SLEEP, WAIT_REASONS};
pub use crate::slices::{P_ATTENTION_SLICES, SLICE_ENDS};
pub use crate::syscall::{Side, reentersyscall, reentersyscallblock, syscall_slow};
pub use crate::sysmon::{
    ATTENTION_SYSMON, DEEP_SLEEP, DELAY_MAX, DELAY_MIN, IDLE_ROUNDS, main_start, schedule_slow,
    sysmon_delay,
};
pub use crate::tick::ASYNCTIMERCHAN;
pub use crate::timers::{
    NEVER, P_ATTENTION_TIMERS, Timers, checktimers, first_of, p_slow, stealwork, time_sleep_until,
};
pub use crate::wired::{exitsyscall_wired, reentersyscall_wired};
pub use crate::words::{POthers, m_syscalltick, minit, oldp, others, syscalltick};
pub use stage1_coop::rt::*;
