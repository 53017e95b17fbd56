//! Traces: what an event *is*, and everything that reads events.
//!
//! The runtime records events ([`Record`]), and a [`Writer`] makes a file of them in one of
//! three forms. The text form can be read again ([`Trace::parse`]). Whatever the reader is
//! after, one fold follows the events: the [`World`], which knows after each event who runs, who
//! waits, and which P is whose. It goes by what the event's [`Kind`] says that it does
//! ([`Effect`]), so an event of a later stage is one line there, and none here.
//!
//! | part | file |
//! |---|---|
//! | kinds, and what they do | `kinds.rs` |
//! | an event as the runtime keeps it, and as a line | `record.rs`, `escape.rs` |
//! | an event as a reader has it; a whole trace | `parse.rs`, `trace.rs`, `names.rs`, `portable.rs` |
//! | who runs, who waits | `world.rs` |
//! | slices, calls, totals | `slices.rs`, `totals.rs` |
//! | what must hold | `invariants.rs`, `flights.rs`, `bounds.rs` |
//! | the forms of a file | `forms.rs`, `text.rs`, `chrome.rs`, `gov2.rs` |
//!
//! No stage and no operating system is needed here. *How to read a trace* explains the text form.
//! Tests: `stage1-coop/trace/tests/later.rs`, `traces`, `trace_of`, `invariants`, `chrome`, `gotrace`.

mod bounds;
mod chrome;
mod escape;
mod flights;
mod forms;
mod gov2;
mod invariants;
mod kinds;
mod names;
mod parse;
mod portable;
mod record;
mod slices;
mod text;
mod totals;
mod trace;
mod world;

pub use escape::{Escaped, breaks_a_line};
pub use forms::{Costs, Cut, Form, Header, Writer};
pub use kinds::{
    Count, Effect, GO_BLOCK, GO_CREATE, GO_END, GO_PREEMPT, GO_SCHED, GO_START, GO_START_NEXT,
    GO_UNBLOCK, KINDS, Kind, Kinds, Next, POLL_HIT, PREEMPT, PROC_START, PROC_STOP, STACK_GROW,
    STEAL, THREAD_START, USER_LOG, legend,
};
pub use portable::Portable;
pub use record::{Millis, Record, words, write_line};
pub use slices::{Slice, SysCall};
pub use trace::{Broken, Event, Replay, Trace};
pub use world::{Call, Run, State, Step, World};
