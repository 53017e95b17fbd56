//! The events that this stage adds to a trace: system calls, Ps that are taken away, and what
//! the network poller finds.
//!
//! Tests: `traces`, `gotrace`.

use crate::table::words::{m_syscalltick, oldp, syscalltick};
use stage1_coop::rt::gmp::{M, P, living};
use stage1_coop::rt::trace::gov2::{Gov2, PROC_START};
use stage1_coop::rt::trace::{Event, Kind, emit, on};
use std::ptr::eq;

macro_rules! kinds {
    ($( $id:ident $name:literal $form:literal $doc:literal $leaves:literal $($takes:ident)? $(=> $go:ident)?; )+) => {
        $(
            #[doc = $doc]
            pub static $id: Kind = Kind {
                name: $name,
                form: $form,
                doc: $doc,
                leaves: $leaves,
                takes: kinds!(@takes $($takes)?),
                go: kinds!(@ $($go)?),
            };
        )+
        /// The kinds that this stage adds.
        pub const KINDS: &[&Kind] = &[$(&$id),+];
    };
    (@takes) => { false };
    (@takes takes) => { true };
    (@) => { stage1_coop::rt::trace::gov2::log };
    (@ $go:ident) => { $go };
}

kinds! {
    GO_SYS_CALL "GoSysCall" "" "The goroutine enters a system call. From here on its P can be taken away." false => in_go_enter;
    GO_SYS_BLOCK "GoSysBlock" "" "The call is known to block: the M gives its P away at once." false => in_go_block;
    GO_SYS_EXIT "GoSysExit" "" "The goroutine is back from its call and runs on, with the P that the column shows." false => in_go_exit;
    GO_SYS_EXIT_BLOCKED "GoSysExit" "blocked" "It is back, and there is no P for it: it has to queue, and its M sleeps." true => in_go_exit_blocked;
    PROC_STEAL "ProcSteal" "p{n} m{n}" "Somebody takes this P away from that M, whose system call takes long." false takes => in_go_steal;
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
        // The M in the call is only looked for because of the trace; Go's M leaves no address either.
        // An M that lost the P earlier may still be in its call; its tick is another one.
        let left = |m: &&M| {
            oldp(m).is_some_and(|p| eq(p, pp)) && m_syscalltick(m).get() == syscalltick(pp).get()
        };
        let from = living().find(left).map_or(0, |m| m.id.get());
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

// What these events are in Go's form of a trace. There the P of an M in a call is known by
// its number: as long as nothing happens to the P, the call is the same one. Number 0 is
// none.

const PROC_STEAL_IN_GO: u8 = 12;
const GO_SYSCALL_BEGIN: u8 = 22;
const GO_SYSCALL_END: u8 = 23;
const GO_SYSCALL_END_BLOCKED: u8 = 24;
const NO_CALL: [u64; 2] = [0, 0];

fn in_go_enter(w: &mut Gov2, e: &Event) {
    let p = e.p as u64;
    let args = [w.next_p_seq(p), w.stack(u64::from(e.g))];
    w.event(GO_SYSCALL_BEGIN, &args);
    w.track().ext = [p, args[0]];
    w.track().runs = None;
}

/// The M stops its P by itself, which is an event of its own.
fn in_go_block(w: &mut Gov2, _: &Event) {
    w.track().ext = NO_CALL;
}

fn in_go_exit(w: &mut Gov2, e: &Event) {
    let p = e.p as u64;
    let same = [p, w.p_seq(p)];
    if std::mem::replace(&mut w.track().ext, NO_CALL) == same {
        w.event(GO_SYSCALL_END, &[]);
        w.track().runs = Some(u64::from(e.g));
    } else {
        w.event(GO_SYSCALL_END_BLOCKED, &[]);
        w.start(u64::from(e.g));
    }
}

fn in_go_exit_blocked(w: &mut Gov2, _: &Event) {
    let [p, seq] = std::mem::replace(&mut w.track().ext, NO_CALL);
    if seq != 0 && w.p_seq(p) == seq {
        // At the end of a run it was not taken, and the M must not take it. In Go's form it has to be
        // gone, so the M takes it from itself.
        steal(w, p, w.m());
    }
    w.event(GO_SYSCALL_END_BLOCKED, &[]);
}

fn in_go_steal(w: &mut Gov2, e: &Event) {
    let p = e.args[0];
    let call = [p, w.p_seq(p)];
    let Some(from) = w.find(|m| m.ext == call) else {
        // Left by its M at the end of a run, as above.
        return;
    };
    steal(w, p, from);
    if e.p as u64 == p {
        let seq = w.next_p_seq(p);
        w.event(PROC_START, &[p, seq]);
    }
}

fn steal(w: &mut Gov2, p: u64, from: usize) {
    let seq = w.next_p_seq(p);
    w.event(PROC_STEAL_IN_GO, &[p, seq, from as u64]);
}
