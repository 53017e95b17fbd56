//! The events that this stage adds to a trace: system calls, Ps that are taken away, and what
//! the network poller finds.

use crate::words::{m_syscalltick, oldp, syscalltick};
use stage1_coop::rt::{Kind, M, P, allm, emit, on};
use std::ptr::eq;

macro_rules! kinds {
    ($( $id:ident $name:literal $form:literal $doc:literal $leaves:literal; )+) => {
        $(
            #[doc = $doc]
            pub static $id: Kind = Kind { name: $name, form: $form, doc: $doc, leaves: $leaves };
        )+
        /// The kinds that this stage registers.
        pub static KINDS: &[&Kind] = &[$(&$id),+];
    };
}

kinds! {
    GO_SYS_CALL "GoSysCall" "" "The goroutine enters a system call. From here on its P can be taken away." false;
    GO_SYS_BLOCK "GoSysBlock" "" "The call is known to block: the M gives its P away at once." false;
    GO_SYS_EXIT "GoSysExit" "" "The goroutine is back from its call and runs on, with the P that the column shows." false;
    GO_SYS_EXIT_BLOCKED "GoSysExit" "blocked" "It is back, and there is no P for it: it has to queue, and its M sleeps." true;
    PROC_STEAL "ProcSteal" "p{n} m{n}" "Somebody takes this P away from that M, whose system call takes long." false;
    NET_POLL "NetPoll" "{s} n={n}" "Descriptors are ready for this many goroutines. Who asked: `findrunnable`, the last idle thread (`sleeper`), or `sysmon`." false;
}

/// Records an event without arguments.
#[inline]
pub(crate) fn event(kind: &'static Kind) {
    if on() {
        outlined(kind, [0; 3]);
    }
}

/// The caller has taken `pp` out of a system call.
#[inline]
pub(crate) fn proc_steal(pp: &'static P) {
    if on() {
        // Who is in the call is only asked for the trace; Go's M leaves no address either.
        // An M that lost the P earlier may still be in its call; its tick is another one.
        let left = |m: &&M| {
            oldp(m).is_some_and(|p| eq(p, pp)) && m_syscalltick(m).get() == syscalltick(pp).get()
        };
        let from = allm().find(left).map_or(0, |m| m.id.get());
        outlined(&PROC_STEAL, [pp.id.get() as u64, from as u64, 0]);
    }
}

/// The poller has found `n` goroutines that can go on.
#[inline]
pub(crate) fn net_poll(by: &'static str, n: usize) {
    if n != 0 && on() {
        outlined(&NET_POLL, [by.as_ptr() as u64, by.len() as u64, n as u64]);
    }
}

#[cold]
#[inline(never)]
fn outlined(kind: &'static Kind, args: [u64; 3]) {
    emit(kind, args, 0);
}
