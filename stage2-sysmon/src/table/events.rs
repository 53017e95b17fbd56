//! Records the events that this stage adds to a trace: system calls, Ps that are taken away,
//! and what the network poller finds. Called by the module's name, as stage 1's `trace::`. What
//! these events do is in `vocabulary.rs`.
//!
//! Tests: `traces`, `gotrace`.

pub use crate::table::vocabulary::{
    GO_SYS_BLOCK, GO_SYS_CALL, GO_SYS_EXIT, GO_SYS_EXIT_BLOCKED, KINDS, NET_POLL, PROC_STEAL,
};
use crate::table::words::{find_of_m, of_p};
use stage1_coop::rt::gmp::{M, P, living};
use stage1_coop::rt::trace::{self, Kind, emit};

/// Records an event without arguments.
#[inline]
pub(crate) fn record(kind: &'static Kind) {
    if trace::on() {
        plain(kind);
    }
}

#[cold]
#[inline(never)]
fn plain(kind: &'static Kind) {
    emit(kind, [0; 3], 0);
}

/// The caller has taken `pp` out of a system call.
#[inline]
pub(crate) fn proc_steal(pp: &'static P) {
    if trace::on() {
        // The M in the call is only looked for because of the trace; Go's M leaves no address either.
        // An M that lost the P earlier may still be in its call; its tick is another one.
        let tick = of_p(pp).syscalltick.get();
        let left = |m: &&M| {
            find_of_m(m).is_some_and(|own| own.oldp.is(pp) && own.syscalltick.get() == tick)
        };
        let from = living().find(left).map_or(0, |m| m.id.get());
        outlined(&PROC_STEAL, [pp.id.get() as u64, from as u64, 0]);
    }
}

/// The poller has found `n` goroutines that can go on.
#[inline]
pub(crate) fn net_poll(by: &'static str, n: usize) {
    if n != 0 && trace::on() {
        outlined(&NET_POLL, [by.as_ptr() as u64, by.len() as u64, n as u64]);
    }
}

#[cold]
#[inline(never)]
fn outlined(kind: &'static Kind, args: [u64; 3]) {
    emit(kind, args, 0);
}
