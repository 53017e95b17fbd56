//! Stage 3 of Safepoint: the signal that stops a goroutine where it stands.
//!
//! In stages 1 and 2 a request to yield waits to be found. A loop that calls nothing never looks.
//! Here the thread that runs it gets a signal; the handler decides whether the goroutine may be
//! stopped at this very instruction, and if so makes it believe that it called a function, which
//! saves every register and yields.
//!
//! | idea | file | Go |
//! |---|---|---|
//! | SIGURG gets its handler, and who else has one | `signal/initsig.rs` | `initsig` |
//! | the G that a handler runs as | `signal/gsignal.rs` | `gsignal` |
//! | a thread comes, and goes | `signal/start.rs` | `minit`, `unminit` |
//! | a signal has landed | `signal/handler.rs` | `sigtrampgo`, `doSigPreempt` |
//! | an interrupted function is made to call another | `inject/push_call.rs` | `pushCall` |
//! | every register, and back | `inject/async_preempt.rs` | `asyncPreempt` |
//! | and meanwhile it yields | `inject/async_preempt2.rs` | `asyncPreempt2` |
//! | a request goes to a thread | `ask/preempt_m.rs` | `preemptM` |
//! | refused is asked again soon | `ask/retry.rs` | |
//! | or not at all | `ask/off.rs` | `asyncpreemptoff` |
//! | is there a request? | `safepoint/want.rs` | `wantAsyncPreempt` |
//! | may it be stopped here? | `safepoint/vetoes.rs` | `isAsyncSafePoint` |
//! | which functions may not | `safepoint/unsafe_points.rs`, read by `safepoint/decode.rs` and `safepoint/loaded.rs` | `PCDATA_UnsafePoint` |
//! | what the processor may have in the way | `safepoint/processor.rs` | |
//! | one signal in flight, and its acknowledgement | `table/signalword.rs` | `signalPending`, `preemptGen` |
//! | the registers in a handler's hands | `table/context.rs` | `sigctxt` |
//! | rows, words of an M, events | `table/` | `runtime2.go`, `trace.go` |
//!
//! A folder knows only those after it: `signal/` is on top, then `inject/`, `ask/`, `safepoint/`,
//! and at the bottom `table/`. No file imports one that imports it, not even through others.
//!
//! Everything of the stages before is here too, under the same names.
//!
//! Tests: `wings::stage_3_has_no_circle`, `diagnostics::the_loop_is_the_same_program_in_every_stage`.
// Words must not kill the speaker: the runtime speaks by `say!`.
#![deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro)]
// Each file says what it takes, and from which room.
#![deny(clippy::wildcard_imports)]

mod ask;
mod inject;
pub mod rt;
mod safepoint;
mod signal;
mod table;

pub use stage2_sysmon::*;

use ask::{preempt_m, retry};
use inject::{async_preempt, async_preempt2, push_call};
use safepoint::{vetoes, want};
use signal::start;
use table::events;
use table::rows::Rows;

// ANCHOR: stage
/// Stage 3 is stage 2 plus these rows.
pub const STAGE: Stage = Stage {
    name: "stage3-signals",
    minit: start::minit,                    // a G for the handler, and a timer
    unminit: start::unminit,                // and none of it any more
    preempt_m: preempt_m::preempt_m,        // the flag is up: and a signal, one at a time
    preempted: async_preempt2::gopreempt_m, // at a check, or in the middle of the code
    kinds: &[
        stage2_sysmon::rt::trace::KINDS,
        stage2_sysmon::rt::table::KINDS,
        events::KINDS,
    ],
    more: &[&ROWS, &stage2_sysmon::ROWS], // and the rows of this stage's own
    ..stage2_sysmon::STAGE
};

/// The rows that this stage adds to the table.
pub const ROWS: Rows = Rows {
    want_async_preempt: want::want_async_preempt, // is it asked to yield?
    is_async_safe_point: vetoes::is_async_safe_point, // may it be stopped here?
    push_call: push_call::push_call,              // as if it had called ...
    async_preempt: async_preempt::async_preempt,  // ... this
    refused: retry::again,                        // no: then once more, soon
};
// ANCHOR_END: stage
