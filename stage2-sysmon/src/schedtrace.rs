//! `GODEBUG=schedtrace=X`: a line about the scheduler every X milliseconds, printed by
//! sysmon. Mirrors `schedtrace` of `proc.go`, in the form of Go 1.15.
//!
//! The numbers are read while everybody goes on changing them; they are a glance, not an
//! account.

use crate::syscall::OVER;
use stage1_coop::rt::*;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering::*};

/// Milliseconds between two lines; 0 for none.
pub static SCHEDTRACE: GodebugKey = GodebugKey {
    name: "schedtrace",
    doc: "X: print a line about the scheduler every X milliseconds",
    value: AtomicI64::new(0),
};

/// The keys of this stage, and those of the stage before.
static KEYS: &[&GodebugKey] = &[&ASYNCPREEMPTOFF, &SCHEDTRACE];

/// What the stage's table holds.
pub fn godebug() -> &'static [&'static GodebugKey] {
    KEYS
}

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
        let every = u64::try_from(SCHEDTRACE.value.load(Relaxed)).unwrap_or(0) * 1_000_000;
        if every == 0 || SCHED.attention.load(Relaxed) & OVER != 0 {
            return;
        }
        let first = *self.first.get_or_insert(now);
        if now == first || self.last + every <= now {
            self.last = now;
            eprintln!("{}", line(now - first));
        }
    }
}

/// The line, `ns` after the first one.
fn line(ns: u64) -> String {
    let sched = SCHED.lock();
    let mut line = format!(
        "SCHED {}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} idlethreads={} runqueue={}",
        ns / 1_000_000,
        gomaxprocs(),
        SCHED.npidle.load(Relaxed),
        sched.mnext as i32 - sched.nmfreed,
        SCHED.nmspinning.load(Relaxed),
        sched.nmidle,
        SCHED.runqsize.load(Relaxed),
    );
    drop(sched);
    for (i, pp) in allp().iter().enumerate() {
        let _ = write!(line, "{}{}", if i == 0 { " [" } else { " " }, pp.runq.len());
    }
    line.push(']');
    line
}
