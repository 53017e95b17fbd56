//! `GODEBUG=schedtrace=X`: a line about the scheduler every X milliseconds, printed by
//! sysmon; with `scheddetail=1` also a line for each P, M and G. Mirrors `schedtrace` of
//! `proc.go`, in the form of Go 1.15.
//!
//! The numbers are read while all threads go on changing them; they are a glance, not an
//! account.
//!
//! Tests: `sysmon::schedtrace_prints_go_s_line_again_and_again`.

use crate::asleep::deep_sleep::ATTENTION_SYSMON;
use crate::table::words::{ATTENTION_OVER, syscalltick};
use crate::timers::timers_of;
use stage1_coop::rt::gmp::{SCHED, SchedInner, allp, gomaxprocs, living, readgstatus};
use stage1_coop::rt::last_words::dying_on;
use stage1_coop::rt::life::GodebugKey;
use stage1_coop::rt::os::say_line;
use stage1_coop::rt::trace::{Escaped, WaitReason};
use stage1_coop::rt::word::Word;
use std::fmt::Write;
use std::sync::atomic::{
    AtomicI64,
    Ordering::{Acquire, Relaxed},
};

/// Milliseconds between two lines; 0 for none.
pub static SCHEDTRACE: GodebugKey = GodebugKey {
    name: "schedtrace",
    doc: "X: a line about the scheduler every X milliseconds",
    value: AtomicI64::new(0),
};

/// Whether each P, M and G gets a line, too.
pub static SCHEDDETAIL: GodebugKey = GodebugKey {
    name: "scheddetail",
    doc: "1: with `schedtrace`, also a line for each P, M and goroutine",
    value: AtomicI64::new(0),
};

/// Whether lines are wanted. Then sysmon never sleeps for long.
pub(crate) fn on() -> bool {
    SCHEDTRACE.value.load(Relaxed) > 0
}

/// When sysmon printed, on the run's clock.
#[derive(Default)]
pub(crate) struct Printed {
    first: Option<u64>,
    last: u64,
}

impl Printed {
    /// Prints a line if it is time.
    pub(crate) fn if_due(&mut self, now: u64) {
        let every = u64::try_from(SCHEDTRACE.value.load(Relaxed)).unwrap_or(0);
        let every = every.saturating_mul(1_000_000);
        if every == 0 || SCHED.attention.has(ATTENTION_OVER) {
            return;
        }
        let first = *self.first.get_or_insert(now);
        if now == first || now - self.last >= every {
            self.last = now;
            let detailed = SCHEDDETAIL.value.load(Relaxed) > 0;
            say_line(schedtrace(now - first, detailed));
        }
    }
}

/// The text, `ns` after the first one. Go's `schedtrace`.
fn schedtrace(ns: u64, detailed: bool) -> String {
    // Their lock comes before `sched.lock`.
    let timers: Vec<usize> = match detailed {
        true => allp().iter().map(timers_of).collect(),
        false => Vec::new(),
    };
    let sched = SCHED.lock();
    let mut text = format!(
        "SCHED {}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} idlethreads={} runqueue={}",
        ns / 1_000_000,
        gomaxprocs(),
        SCHED.npidle.load(Relaxed),
        sched.mcount(),
        SCHED.searchers.count(),
        sched.nmidle,
        SCHED.runqsize.load(Relaxed),
    );
    // Writing to a String cannot fail.
    let _ = match detailed {
        true => detail(&mut text, &sched, &timers),
        false => queues(&mut text),
    };
    text
}

/// How many goroutines wait in each P's queue.
fn queues(text: &mut String) -> std::fmt::Result {
    let lengths: Vec<String> = allp().iter().map(|p| p.runq.len().to_string()).collect();
    write!(text, " [{}]", lengths.join(" "))
}

/// Ps by number, Ms from the newest to the oldest, Gs in the order in which they were made. -1
/// stands for none. Nothing stops the world yet, so no thread waits for that.
fn detail(text: &mut String, sched: &SchedInner, timers: &[usize]) -> std::fmt::Result {
    let sysmonwait = u32::from(SCHED.attention.has(ATTENTION_SYSMON));
    write!(
        text,
        " gcwaiting=0 nmidlelocked={} stopwait=0 sysmonwait={sysmonwait}",
        sched.nmidlelocked
    )?;
    let id = |word: Option<&Word>| word.map_or(-1, |id| id.get() as i64);
    for (pp, timers) in allp().iter().zip(timers) {
        write!(
            text,
            "\n  P{}: status={} schedtick={} syscalltick={} m={} runqsize={} gfreecnt={} timerslen={timers}",
            pp.id.get(),
            pp.status.get(),
            pp.schedtick.load(Relaxed),
            syscalltick(pp).get(),
            id(pp.m.load(Acquire).map(|mp| &mp.id)),
            pp.runq.len(),
            pp.gfree_n.get(),
        )?;
    }
    for mp in living() {
        let (locks, mallocing) = mp.locks_and_mallocing(sched);
        let dying = u32::from(dying_on(mp));
        write!(
            text,
            "\n  M{}: p={} curg={} mallocing={mallocing} throwing={dying} preemptoff={} locks={locks} dying={dying} spinning={} blocked={} lockedg={}",
            mp.id.get(),
            id(mp.p.get().map(|pp| &pp.id)),
            id(mp.curg.load(Acquire).map(|gp| &gp.goid)),
            Escaped(mp.preemptoff.get()),
            mp.spinning.load(Relaxed),
            mp.blocked.load(Relaxed),
            id(mp.lockedg.get().map(|gp| &gp.goid)),
        )?;
    }
    for gp in &sched.allgs {
        write!(
            text,
            "\n  G{}: status={}({}) m={} lockedm={}",
            gp.goid.get(),
            readgstatus(gp),
            WaitReason::from_u8(gp.waitreason.load(Relaxed)).name(),
            id(gp.m.get().map(|mp| &mp.id)),
            id(gp.lockedm.get().map(|mp| &mp.id)),
        )?;
    }
    Ok(())
}
