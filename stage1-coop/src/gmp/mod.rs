//! G, M and P: the three structures that everything else is about.
//!
//! A **G** is a goroutine: a stack and the place where it stopped. An **M** is a machine: a
//! thread of the operating system. A **P** is a processor: the right to run goroutines, and
//! the queue of those that wait for it. Exactly GOMAXPROCS Ps exist; an M must hold one to
//! run a G. Mirrors `runtime2.go`; the chapter *P, queues, stealing* draws them.
//!
//! All three live for ever once made, so the rest of the runtime passes `&'static` references
//! around. (Go frees the M of a thread that has ended; here its record stays.) Every field is an
//! atomic; its comment says what writes it:
//!
//! * *owner*: for a G the M that runs it, or that took it off its queue; for a P the M that
//!   holds it; for an M its own thread.
//! * *lock*: under [`SCHED`]'s lock.
//! * *any*: every thread, with the ordering that the field's comment names.
//!
//! Tests: `states`, `waking::there_are_exactly_gomaxprocs_ps`.

mod attention;
pub(crate) mod casgstatus;
mod ext;
mod g;
mod gstatus;
mod m;
mod p;
mod pstatus;
mod sched;
mod searchers;

pub use attention::{ATTENTION_FREEZE, ATTENTION_LEAVE, ATTENTION_STOP, Attention};
pub use ext::{Each, Extended};
pub use g::{ENTRY_WORDS, EXT_WORDS, Entry, G, Gobuf, STACK_FORK, STACK_PREEMPT, Stack};
pub use gstatus::{
    GCOPYSTACK, GDEAD, GENQUEUE, GIDLE, GMORIBUND, GPREEMPTED, GRUNNABLE, GRUNNING, GSCAN,
    GSYSCALL, GStatus, GWAITING, gstatus_name, legal, legal_hold,
};
pub use m::{M, StartFn, UnlockFn};
pub use p::{P, STACK_CACHE};
pub use pstatus::{PDEAD, PGCSTOP, PIDLE, PRUNNING, PSYSCALL, PStatus, legal_p};
pub use sched::{
    MAX_THREADS, SCHED, Sched, SchedGuard, SchedInner, allm, allp, gomaxprocs, living,
};
pub(crate) use sched::{make_allp, steal_order};
pub use searchers::Searchers;

/// A structure whose fields are declared together with what they hold at first, and the
/// function that makes one. Of a structure that outlives a run, `=> each_run` marks the fields
/// that hold the same again when the next one begins: a method of the field's type, to which
/// `reset` hands what it holds.
macro_rules! record {
    (
        $(#[$attr:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* $field_vis:vis $field:ident: $type:ty = $first:expr
                $(=> $each_run:ident)?, )+
        }
        $(#[$new_doc:meta])*
        $vis:vis fn new();
        $(#[$reset_doc:meta])*
        $reset_vis:vis fn reset();
    ) => {
        $crate::gmp::record! {
            $(#[$attr])*
            pub struct $name {
                $( $(#[$doc])* $field_vis $field: $type = $first, )+
            }
            $(#[$new_doc])*
            $vis fn new();
        }

        impl $name {
            $(#[$reset_doc])*
            $reset_vis fn reset(&self) {
                $( $( self.$field.$each_run($first); )? )+
            }
        }
    };
    (
        $(#[$attr:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* $field_vis:vis $field:ident: $type:ty = $first:expr, )+
        }
        $(#[$new_doc:meta])*
        $vis:vis fn new($($arg:ident: $arg_type:ty)?);
    ) => {
        $(#[$attr])*
        pub struct $name {
            $( $(#[$doc])* $field_vis $field: $type, )+
        }

        impl $name {
            $(#[$new_doc])*
            $vis const fn new($($arg: $arg_type)?) -> $name {
                $name { $( $field: $first, )+ }
            }
        }
    };
}
pub(crate) use record;
