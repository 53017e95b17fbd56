//! Is any M left that could do anything? If every M sleeps, no goroutine will ever become
//! runnable again: all of them wait for each other. Then the process says so and ends.
//! Mirrors `checkdead` and `incidlelocked` of `proc.go`.
//!
//! No thread polls for this. An M that goes to sleep, or ends, asks whether it was the last
//! one; those are all the moments at which the answer can change. An M in a system call
//! counts as awake, because the call may return. A thread that the runtime does not know
//! does not count: a goroutine that waits for one must wait in a system call (the crate's
//! head shows how).
//!
//! Tests: `sysmon::deadlock::whoever_is_the_last_one_finds_that_nobody_is_left`,
//! `sysmon::deadlock::nobody_is_declared_dead_too_early`; loom: `tests/loom/src/checkdead.rs`.

use crate::table::words::ATTENTION_OVER;
use crate::timers::{NEVER, time_sleep_until};
use stage1_coop::rt::gmp::{
    GPREEMPTED, GRUNNABLE, GRUNNING, GSCAN, GSYSCALL, GWAITING, M, SCHED, readgstatus,
};
use stage1_coop::rt::last_words::{dying, throw};
use stage1_coop::rt::os::say;

/// The row `m_idle` of this stage.
pub fn m_idle(_mp: &'static M) {
    checkdead();
}

/// Pretends that `n` Ms more wait for the goroutine that is locked to them, and looks whether
/// all Ms sleep then. Go's `incidlelocked`.
pub(crate) fn incidlelocked(n: i32) {
    SCHED.lock().nmidlelocked += n;
    if n > 0 {
        checkdead();
    }
}

// ANCHOR: checkdead
/// Ends the process if no M can ever do anything again. Takes `sched.lock`.
pub fn checkdead() {
    let sched = SCHED.lock();
    if SCHED.attention.has(ATTENTION_OVER) || dying() {
        // The run ends already, one way or the other.
        return;
    }
    let mcount = sched.mnext as i32 - sched.nmfreed;
    let idle = sched.nmidle as i32;
    let awake = mcount - idle - sched.nmidlelocked - sched.nmsys;
    if awake > 0 {
        return;
    }
    if awake < 0 {
        let (locked, sys) = (sched.nmidlelocked, sched.nmsys);
        drop(sched);
        say!("runtime: checkdead: nmidle={idle} nmidlelocked={locked} mcount={mcount} nmsys={sys}");
        throw("checkdead: inconsistent counts");
    }
    let mut waiting = 0;
    for gp in &sched.allgs {
        match readgstatus(gp) & !GSCAN {
            GWAITING | GPREEMPTED => waiting += 1,
            status @ (GRUNNABLE | GRUNNING | GSYSCALL) => {
                let goid = gp.goid.get();
                drop(sched);
                say!("runtime: checkdead: find g {goid} in status {status}");
                throw("checkdead: runnable g");
            }
            _ => {}
        }
    }
    drop(sched);
    if waiting == 0 {
        throw("no goroutines (main called runtime.Goexit) - deadlock!");
    }
    if time_sleep_until() != NEVER {
        // The sleeper, or sysmon, minds the timers, and then a goroutine may wake.
        return;
    }
    throw("all goroutines are asleep - deadlock!");
}
// ANCHOR_END: checkdead
