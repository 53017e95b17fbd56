//! What the kinds of this stage are in Go's form of a trace: see `gov2.rs`. A later stage
//! says the same of its own kinds where they are.

use super::Event;
use super::gov2::{Gov2, PROC_START};
use crate::stage::stage;
use crate::word::str_from_words;

const PROC_STOP: u8 = 11;
const GO_CREATE: u8 = 14;
const GO_DESTROY: u8 = 17;
const GO_STOP: u8 = 19;
const GO_BLOCK: u8 = 20;

pub(crate) fn proc_start(w: &mut Gov2, e: &Event) {
    let seq = w.next_p_seq(e.args[0]);
    w.event(PROC_START, &[e.args[0], seq]);
}

pub(crate) fn proc_stop(w: &mut Gov2, _: &Event) {
    w.event(PROC_STOP, &[]);
}

pub(crate) fn go_create(w: &mut Gov2, e: &Event) {
    let name = w.text(str_from_words(e.args[1] as usize, e.args[2] as usize));
    w.made(e.args[0], name);
    let maker = w.stack(u64::from(e.g));
    w.event(GO_CREATE, &[e.args[0], name, maker]);
}

pub(crate) fn go_start(w: &mut Gov2, e: &Event) {
    w.start(e.args[0]);
}

pub(crate) fn go_end(w: &mut Gov2, e: &Event) {
    w.event(GO_DESTROY, &[]);
    w.ended(u64::from(e.g));
}

pub(crate) fn go_sched(w: &mut Gov2, e: &Event) {
    go_stop(w, e, "runtime.Gosched");
}

pub(crate) fn go_preempt(w: &mut Gov2, e: &Event) {
    go_stop(w, e, "preempted");
}

fn go_stop(w: &mut Gov2, e: &Event, why: &str) {
    let args = [w.text(why), w.stack(u64::from(e.g))];
    w.event(GO_STOP, &args);
}

pub(crate) fn go_block(w: &mut Gov2, e: &Event) {
    let why = str_from_words(e.args[0] as usize, e.args[1] as usize);
    let args = [w.text(reason(why)), w.stack(u64::from(e.g))];
    w.sleeps(u64::from(e.g));
    w.event(GO_BLOCK, &args);
}

pub(crate) fn go_unblock(w: &mut Gov2, e: &Event) {
    w.wake(e.args[0]);
}

/// Go's tracer calls some reasons to wait by another name than its dumps do.
fn reason(dump: &str) -> &str {
    let later = stage().wait_reasons_traced;
    match later.iter().find(|(name, _)| *name == dump) {
        Some((_, traced)) => traced,
        None if dump.starts_with("sync.") => "sync",
        // A channel that is no channel, a select of nothing.
        None if dump.ends_with(')') => "forever",
        None => dump,
    }
}
