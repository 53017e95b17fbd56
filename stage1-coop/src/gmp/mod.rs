//! G, M and P: the three structures that everything else is about.
//!
//! A **G** is a goroutine: a stack and the place where it stopped. An **M** is a machine: a
//! thread of the operating system. A **P** is a processor: the right to run goroutines, and
//! the queue of those that wait for it. Exactly GOMAXPROCS Ps exist; an M must hold one to
//! run a G. Mirrors `runtime2.go`; the chapter *P, queues, stealing* draws them.
//!
//! All three live for ever once made, so the rest of the runtime passes `&'static` references
//! around. (Go frees the M of a thread that has ended; here its record stays.) Every field is an
//! atomic; its comment says who writes it:
//!
//! * *owner*: for a G the M that runs it, or who took it off its queue; for a P the M that
//!   holds it; for an M its own thread.
//! * *lock*: under [`SCHED`]'s lock.
//! * *anybody*: with the ordering that the field's comment names.

mod g;
mod m;
mod p;
mod sched;
pub(crate) mod status;

pub use g::{
    ENTRY_WORDS, EXT_WORDS, Entry, G, GCOPYSTACK, GDEAD, GENQUEUE, GIDLE, GMORIBUND, GPREEMPTED,
    GRUNNABLE, GRUNNING, GSCAN, GSYSCALL, GWAITING, Gobuf, STACK_FORK, STACK_PREEMPT, Stack,
    gstatus_name,
};
pub use m::{M, StartFn, UnlockFn};
pub use p::{P, PDEAD, PGCSTOP, PIDLE, PRUNNING, PSYSCALL, STACK_CACHE};
pub use sched::{
    ATTENTION_FREEZE, ATTENTION_LEAVE, ATTENTION_STOP, MAX_THREADS, SCHED, Sched, SchedGuard,
    SchedInner, allm, allp, gomaxprocs, living,
};
pub(crate) use sched::{make_allp, steal_order};

/// A structure whose fields are declared together with what they hold at first, and the
/// function that makes one.
macro_rules! record {
    (
        $(#[$attr:meta])*
        pub struct $name:ident {
            $( $(#[$doc:meta])* pub $field:ident: $type:ty = $first:expr, )+
        }
        $(#[$new_doc:meta])*
        $vis:vis fn new($($arg:ident: $arg_type:ty)?);
    ) => {
        $(#[$attr])*
        pub struct $name {
            $( $(#[$doc])* pub $field: $type, )+
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
