//! Stage 2 of Safepoint: sysmon, the thread without a P.
//!
//! In stage 1 somebody has to raise the flag by hand. Here a thread that needs no processor
//! does it: it watches how long each goroutine has been running, and takes Ps away from
//! threads that sit in a system call. What is still missing to take a goroutine off that
//! never looks is stage 3.
//!
//! | idea | file | Go |
//! |---|---|---|
//! | who looks although nobody called | `sysmon.rs` | `sysmon` |
//! | time slices, Ps in long calls | `retake.rs` | `retake` |
//! | another policy for slices | `slices.rs` | |
//! | into a system call, and back | `syscall.rs`, `exitsyscall.rs` | `entersyscall`, `exitsyscall` |
//! | a P whose M cannot use it; many goroutines at once | `handoff.rs` | `handoffp`, `injectglist` |
//! | the same as Go 1.26 does it | `wired.rs` | `entersyscall` |
//! | timers, each with its P | `heap.rs`, `timers.rs`, `sleep.rs` | `time.go` |
//! | timers that a program holds | `tick.rs` | `time.Timer`, `time.Ticker` |
//! | work that is no longer wanted | `context.rs` | `context` |
//! | goroutines that wait for descriptors, and no thread | `netpoll.rs` | `netpoll_epoll.go` |
//! | who waits for which descriptor, until when | `pollword.rs`, `polldesc.rs` | `netpoll.go` |
//! | the last idle thread sleeps in the poller | `poller.rs` | `findrunnable`, `wakeNetPoller` |
//! | a descriptor that many goroutines share | `fd.rs`, `users.rs` | `internal/poll` |
//! | pipes, sockets, files | `pipe.rs`, `net.rs`, `unix.rs`, `sockaddr.rs`, `calls.rs` | `os`, `net` |
//! | nobody is left | `checkdead.rs` | `checkdead` |
//! | a glance at the scheduler | `schedtrace.rs` | `schedtrace` |
//! | Ctrl-\\: where is everybody? | `sigquit.rs` | `sighandler` |
//! | the rows that this stage adds | `rows.rs` | |
//! | its words in a G, M and P | `words.rs` | `runtime2.go` |
//! | its events | `vocabulary.rs`, `kinds.rs` | `trace.go` |
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
//! * **Who waits for a thread that the runtime does not know waits in [`syscall`].** In a
//!   channel he counts as asleep, and the stranger who would send does not count at all: when
//!   all others sleep too, the process ends with `all goroutines are asleep - deadlock!`,
//!   although help was near. And a plain blocking call without `syscall` is no mistake, only
//!   dear: it keeps its P until it returns.
//! * **No time is a promise but the earliest.** A goroutine that sleeps does not run before
//!   its time; how long after it depends on the others. Somebody has to look: the P that has
//!   the timer, between two goroutines; one that has nothing to do; or sysmon, which is up to
//!   10 ms late and needs an idle P. While all Ps are in loops that come to no check, no
//!   timer fires.
//! * **SIGQUIT belongs to the run.** Ctrl-\\ prints all goroutines and ends the process with
//!   status 2, and while it does so SIGALRM is its clock. A handler of the program's own stays.
//! * **At the end of a run a call has a second to return.** Then one line names the goroutine
//!   in it, and the process ends with status 0.
//!
//! The right way to wait for a stranger:
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
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]
// Each file says what it takes, and from which room.
#![deny(clippy::wildcard_imports)]

mod calls;
mod checkdead;
mod context;
mod exitsyscall;
mod fd;
mod handoff;
mod heap;
mod kinds;
mod net;
mod netpoll;
mod pipe;
mod polldesc;
mod poller;
mod pollword;
mod retake;
mod rows;
pub mod rt;
mod schedtrace;
mod sigquit;
mod sleep;
mod slices;
mod sockaddr;
mod syscall;
mod sysmon;
mod tick;
mod timers;
mod unix;
mod users;
mod vocabulary;
mod wired;
mod words;

pub use calls::{Answer, File, libc_call, nanosleep};
pub use context::{Cancel, Context, ContextError};
pub use net::{TcpListener, TcpStream};
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use sleep::sleep;
pub use stage1_coop::*;
pub use syscall::{syscall, syscall_block};
pub use tick::{Ticker, Timer, after, after_func};
pub use unix::{UnixListener, UnixStream};
pub use wired::syscall_wired;

/// Stage 2 is stage 1 plus these rows.
pub const STAGE: Stage = Stage {
    name: "stage2-sysmon",
    minit: words::minit,                         // what each P has besides
    main_start: sysmon::main_start,              // a thread that looks on
    schedule_slow: sysmon::schedule_slow,        // it sleeps while no P is in use: wake it
    p_slow: timers::p_slow,                      // timers that are due, before the queue
    stealwork: timers::stealwork,                // the same four passes, and then their timers
    poll: netpoll::poll,                         // descriptors that are ready
    before_stopm: poller::before_stopm,          // sleep for descriptors, and for the next timer
    poll_break: netpoll::poll_break,             // and do not oversleep the end
    m_idle: checkdead::m_idle,                   // is anybody left who could do anything?
    handoffp: handoff::handoffp,                 // a P that comes out of a system call
    castatus_contended: wired::wait_for_the_bit, // a thief takes a P out of a call
    wait_reasons: sleep::WAIT_REASONS,
    wait_reasons_traced: &[("IO wait", "network")],
    kinds: &[stage1_coop::rt::trace::KINDS, kinds::KINDS],
    godebug: schedtrace::godebug,
    more: &[&rows::ROWS], // and the rows of this stage's own
    ..stage1_coop::STAGE
};
