//! Stage 2 of Safepoint: sysmon, the thread without a P.
//!
//! In stage 1 the program has to set the flag itself. Here a thread that needs no processor
//! does it: it watches how long each goroutine has been running, and takes Ps away from
//! threads that are in a system call. What is still missing to take a goroutine off that
//! never looks is stage 3.
//!
//! | idea | file | Go |
//! |---|---|---|
//! | the thread that looks without being called | `sysmon/mod.rs` | `sysmon` |
//! | time slices, Ps in long calls | `sysmon/retake.rs` | `retake` |
//! | another policy for slices | `sysmon/slices.rs` | |
//! | a glance at the scheduler | `sysmon/schedtrace.rs` | `schedtrace` |
//! | Ctrl-\\: where are all goroutines? | `sysmon/sigquit.rs` | `sighandler` |
//! | into a system call, and back | `syscall/enter.rs`, `syscall/exit.rs`; whose the P is meanwhile: `syscall/callp.rs` | `entersyscall`, `exitsyscall` |
//! | the same as Go 1.26 does it | `syscall/wired.rs`; whose the P is meanwhile: `syscall/callg.rs` | `entersyscall` |
//! | a P whose M cannot use it; many goroutines at once | `syscall/handoff.rs` | `handoffp`, `injectglist` |
//! | timers, each with its P | `timers/mod.rs`, `timers/heap.rs`, `timers/sleep.rs` | `time.go` |
//! | timers that a program holds | `timers/tick.rs` | `time.Timer`, `time.Ticker` |
//! | work that is no longer wanted | `timers/context.rs` | `context` |
//! | goroutines that wait for descriptors, and no thread | `netpoll/mod.rs`, `netpoll/epoll.rs` | `netpoll_epoll.go` |
//! | which goroutine waits for a descriptor, until when | `netpoll/pollword.rs`, `netpoll/polldesc.rs`, `netpoll/deadline.rs` | `netpoll.go` |
//! | the last M without work sleeps in the poller | `netpoll/last_m.rs` | `findrunnable` |
//! | a descriptor that many goroutines share | `io/fd.rs`, `io/users.rs` | `internal/poll` |
//! | pipes, sockets, files | `io/` | `os`, `net` |
//! | no M is left that could do anything | `checkdead.rs` | `checkdead` |
//! | the two threads that sleep for all, and how they are woken | `asleep/` | `sysmonwait`, `wakeNetPoller` |
//! | rows, words in an M and a P, events, reasons to wait | `table/` | `runtime2.go`, `trace.go` |
//!
//! A folder knows only those after it: `sysmon/` and `io/` are on top, then `netpoll/`, then
//! `syscall/` and `checkdead.rs`, then `timers/`, and at the bottom `asleep/` and `table/`. No
//! file imports one that imports it, not even through others.
//!
//! # What this stage adds to the contract of `Runtime::run`
//!
//! What [`Runtime::run`] asks of goroutines holds as it stands. Beside that:
//!
//! * **In [`syscall`] there is no scheduler.** The goroutine has no P there. To call a
//!   function of this crate, whether it would wait or not, or a `#[gofunc]` ends the process
//!   with `fatal error` (`stack split at bad time`, or a state that is `syscall` and not
//!   `running`), because such a function may yield, and there is no P to yield. A frame of
//!   the call is a thread's, so a guard of std's may live in it: the goroutine cannot change
//!   threads before it is back.
//! * **A goroutine that waits for a thread that the runtime does not know must wait in
//!   [`syscall`].** In a channel it counts as asleep, and the thread that would send does not
//!   count at all: when all others sleep too, the process ends with `all goroutines are asleep -
//!   deadlock!`, although a value was to come. A plain blocking call without `syscall` is
//!   correct but expensive: it keeps its P until it returns.
//! * **No time is a promise but the earliest.** A goroutine that sleeps does not run before
//!   its time; how long after it depends on the others. An M has to look: that of the P with
//!   the timer, between two goroutines; one that has nothing to do; or sysmon, which is up to
//!   10 ms late and needs an idle P. While all Ps are in loops that come to no check, no
//!   timer fires.
//! * **SIGQUIT belongs to the run.** Ctrl-\\ prints all goroutines and ends the process with
//!   status 2, and while it does so SIGALRM is its clock. A handler of the program's own stays.
//! * **At the end of a run a call has a second to return.** Then one line names the goroutine
//!   in it, and the process ends with status 0.
//!
//! The right way to wait for such a thread:
//!
//! ```no_run
//! use stage2_sysmon::{Chan, Runtime, STAGE, go, syscall};
//!
//! // SAFETY: nothing in these goroutines keeps anything that belongs to a thread.
//! unsafe {
//!     Runtime::new(&STAGE).procs(1).run(|| {
//!         let stranger = std::thread::spawn(|| 42);
//!         let answer = Chan::new(1);
//!         let send = answer.clone();
//!         go("waits", move || {
//!             let joined = syscall(|| stranger.join());
//!             send.send(joined.unwrap_or(0));
//!         });
//!         println!("{:?}", answer.recv());
//!     });
//! }
//! ```
//!
//! Everything of stage 1 is here too, under the same names.
//!
//! Tests: `printed`, `wings::stage_2_has_no_circle`, `heard`.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]
// Each file says what it takes, and from which room.
#![deny(clippy::wildcard_imports)]

mod asleep;
mod checkdead;
mod io;
mod netpoll;
pub mod rt;
mod syscall;
mod sysmon;
mod table;
mod timers;

pub use io::calls::{Answer, File, libc_call, nanosleep};
pub use io::net::{TcpListener, TcpStream};
pub use io::pipe::{PipeReader, PipeWriter, pipe};
pub use io::unix::{UnixListener, UnixStream};
pub use stage1_coop::*;
pub use syscall::enter::{syscall, syscall_block};
pub use syscall::wired::syscall_wired;
pub use timers::context::{Cancel, Context, ContextError};
pub use timers::sleep::sleep;
pub use timers::tick::{Ticker, Timer, after, after_func};

use asleep::deep_sleep;
use netpoll::{epoll, last_m};
use stage1_coop::rt::life::{ASYNCPREEMPTOFF, GodebugKey};
use stage1_coop::rt::trace::KINDS;
use syscall::{enter, exit, handoff, wired};
use sysmon::{retake, schedtrace, slices, start};
use table::rows::Rows;
use table::{events, reasons};
use timers::tick;

// ANCHOR: stage
/// Stage 2 is stage 1 plus these rows.
pub const STAGE: Stage = Stage {
    name: "stage2-sysmon",
    minit: start::minit,                      // what each M and P has besides
    main_start: start::main_start,            // a thread that looks on
    schedule_slow: deep_sleep::schedule_slow, // it sleeps while no P is in use: wake it
    p_slow: timers::p_slow,                   // timers that are due, before the queue
    stealwork: timers::stealwork,             // the same four passes, and then their timers
    poll: netpoll::poll,                      // descriptors that are ready
    before_stopm: last_m::before_stopm,       // sleep for descriptors, and for the next timer
    poll_break: epoll::poll_break,            // and do not oversleep the end
    m_idle: checkdead::m_idle,                // can any M still do anything?
    handoffp: handoff::handoffp,              // a P that comes out of a system call
    casgstatus_contended: wired::wait_for_the_bit, // a thief takes a P out of a call
    wait_reasons: reasons::WAIT_REASONS,
    wait_reasons_traced: reasons::WAIT_REASONS_TRACED,
    kinds: &[KINDS, events::KINDS],
    godebug: || GODEBUG,
    more: &[&ROWS], // and the rows of this stage's own
    ..stage1_coop::STAGE
};

/// The rows that this stage adds to the table.
pub const ROWS: Rows = Rows {
    sysmon_delay: sysmon::sysmon_delay, // 20 us, and longer and longer
    sysmon_tick: |_| {},                // jobs that are due by the clock: none yet
    retake: retake::retake,             // slices that are over, Ps in long calls
    retake_syscall: retake::retake_syscall, // is this P worth taking?
    syscall_slow: enter::syscall_slow,  // a bit is set when a call begins or ends
    exitsyscall_slow: exit::exitsyscall0, // back from a call, and no P
    handoffp_gc: |_| false,             // a reason to start an M for a P: none yet
    injectglist: handoff::injectglist_split, // many goroutines at once
};
// ANCHOR_END: stage

/// The keys of `GODEBUG` that this stage reads.
static GODEBUG: &[&GodebugKey] = &[
    &ASYNCPREEMPTOFF,
    &schedtrace::SCHEDTRACE,
    &schedtrace::SCHEDDETAIL,
    &tick::ASYNCTIMERCHAN,
];

/// Stage 2 with another policy for time slices, which is not Go's: `sysmon/slices.rs`.
pub const SLICE_ENDS: Stage = Stage {
    main_start: slices::main_start,
    p_slow: slices::slice_begins_now,
    more: &[&Rows {
        sysmon_delay: slices::until_a_slice_ends,
        ..ROWS
    }],
    ..STAGE
};
