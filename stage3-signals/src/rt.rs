//! The internals that later stages and the exercises build on: the rooms of stages 1 and 2, and
//! what this stage adds. What stage 1's `rt` says of safety holds here, too.
//!
//! Tests: `asynchronous`, which calls what is here by its name.

pub use stage2_sysmon::rt::{
    arch, gmp, last_words, life, netpoll, os, queues, sched, stack, stage, sync, syscall, sysmon,
    timers, trace, word,
};

/// SIGURG and its handler.
pub mod signal {
    pub use crate::signal::initsig::{BeforeMain, SIG_PREEMPT, before_main};
    pub use crate::signal::start::{minit, unminit};
    pub use crate::table::context::Context;
}

/// Requests that go to a thread.
pub mod ask {
    pub use crate::ask::off::{Off, off};
    pub use crate::ask::preempt_m::preempt_m;
    pub use crate::ask::retry::{AGAIN_FIRST_NS, AGAIN_LAST_NS, again};
    pub use crate::table::signalword::{Sender, SignalWord};
}

/// Where a goroutine may be stopped.
pub mod safepoint {
    pub use crate::safepoint::decode::{Point, Program, Why, Words, functions, points};
    pub use crate::safepoint::loaded::Loaded;
    pub use crate::safepoint::processor::pretend_shadow_stack;
    pub use crate::safepoint::unsafe_points::{Place, init, look_up};
    pub use crate::safepoint::vetoes::{
        AMX, G0, NO_FUNCTION, NOT_GOTEXT, SHADOW_STACK, STACK, STATUS, THREAD, VETOES,
        async_preempt_stack, is_async_safe_point, refused,
    };
    pub use crate::safepoint::want::want_async_preempt;
}

/// The call that an interrupted goroutine has not made.
pub mod inject {
    pub use crate::inject::async_preempt::async_preempt;
    pub use crate::inject::async_preempt2::gopreempt_m;
    pub use crate::inject::push_call::{RED_ZONE, push_call};
}

/// This stage's own rows, words and events, beside those of stage 2.
pub mod table {
    pub use crate::ROWS;
    pub use crate::table::events::{
        KINDS, SIGNAL_LANDED, SIGNAL_LANDED_AGAIN, SIGNAL_REFUSED, SIGNAL_SENT, SIGNAL_SENT_AGAIN,
    };
    pub use crate::table::rows::{Rows, rows};
    pub use crate::table::words::{Own, async_safe_point, own};
    pub use stage2_sysmon::rt::table as stage2;
}
