//! Another policy for time slices: sysmon sleeps until the earliest of them ends. It is no
//! part of Go; it shows what Go's policy costs, and that a policy is a row or two.
//!
//! Go's sysmon samples. It sees a slice for the first time up to 10 ms after it began, and
//! counts from then, so a slice lasts up to 20 ms. To do better one must know when a slice
//! began. Here each P writes that down itself whenever it chooses a goroutine, which costs a
//! look at the clock each time. Then sysmon needs to wake only once in a slice, as in Go.
//!
//! Tests: `sysmon`, `wired::with_the_other_policy_everybody_has_a_turn`.

use crate::sysmon::retake::{FORCE_PREEMPT_NS, sysmontick};
use crate::sysmon::{DELAY_MAX, start, sysmon_delay};
use crate::timers::checktimers;
use stage1_coop::rt::gmp::{P, PRUNNING, SCHED, allp};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::GLOBAL_EVERY;
use std::sync::atomic::Ordering::Relaxed;

/// `p.attention`: the P writes down when a slice begins.
pub const P_ATTENTION_SLICES: u32 = 2;
/// Microseconds from a request to the end of the next slice. That one does not begin quite
/// at once: without the addition sysmon would wake just before its end, and then again.
const WHOLE_SLICE: u32 = (FORCE_PREEMPT_NS / 1_000) as u32 + 500;

/// The row `main_start` of this policy: sysmon, and a bit for each P.
pub(crate) fn main_start() {
    start::main_start();
    for pp in allp() {
        pp.attention.raise(P_ATTENTION_SLICES);
    }
}

/// The row `p_slow` of this policy. An M that chooses a goroutine begins a slice, unless it
/// takes the one in `runnext`, which goes on with the slice that runs. If sysmon looks at this
/// very moment, it finds an old tick and stamps the slice itself, later.
pub(crate) fn slice_begins_now(pp: &'static P) {
    checktimers(pp);
    let tick = pp.schedtick.load(Relaxed);
    let global_first = tick.is_multiple_of(GLOBAL_EVERY) && SCHED.runqsize.load(Relaxed) > 0;
    if pp.runq.next().is_none() || global_first {
        let seen = sysmontick(pp);
        seen.schedwhen.store(nanotime(), Relaxed);
        seen.schedtick.set(tick.wrapping_add(1) as usize);
    }
}

/// The row `sysmon_delay` of this policy: as Go's, but not beyond the end of a slice.
pub(crate) fn until_a_slice_ends(idle: u32, delay: u32) -> u32 {
    let now = nanotime();
    let left = |pp: &'static P| {
        let began = sysmontick(pp).schedwhen.load(Relaxed);
        match (began + FORCE_PREEMPT_NS).saturating_sub(now) {
            // Sysmon has just asked: the next slice begins now.
            0 => WHOLE_SLICE,
            ns => ns.div_ceil(1_000) as u32,
        }
    };
    let running = allp().iter().filter(|pp| pp.status.get() == PRUNNING);
    let end = running.map(left).min().unwrap_or(WHOLE_SLICE);
    match sysmon_delay(idle, delay) {
        DELAY_MAX => end,
        goes => goes.min(end),
    }
}
