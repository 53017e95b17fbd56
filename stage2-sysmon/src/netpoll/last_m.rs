//! The last M without work does not sleep for ever: it sleeps in the network poller, until a
//! descriptor is ready or the next timer is due. Mirrors the end of `findrunnable` of `proc.go`.
//!
//! One M does this for all. How it and the goroutines that set earlier timers do not miss each
//! other is told in `asleep/sleeper.rs`.
//!
//! Tests: `timers::firing::an_m_that_was_woken_and_has_no_cpu_holds_up_no_timer`,
//! `handoff::the_last_p_in_use_gets_an_m_if_nobody_sleeps_for_the_timers`; loom:
//! `tests/loom/src/poller.rs`.

use crate::asleep::deep_sleep::wake_sysmon;
use crate::asleep::eventfd::wake_net_poller;
use crate::asleep::sleeper::SLEEPER;
use crate::netpoll::{Found, netpoll};
use crate::timers::{NEVER, checktimers, time_sleep_until};
use stage1_coop::rt::gmp::{ATTENTION_STOP, M, SCHED, SchedGuard, allp};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::{Slow, acquirep, pidleget};

// ANCHOR: before_stopm
/// The row `before_stopm` of this stage: an M found nothing and has given its P up.
pub fn before_stopm(mp: &'static M) -> Slow {
    let until = time_sleep_until();
    if until == NEVER && !SLEEPER.any_waiters() {
        return Slow::Continue;
    }
    if !SLEEPER.lie_down() {
        // There is a sleeper already. It may sleep for too long, if the timer is newer.
        if until != NEVER {
            wake_net_poller(until);
        }
        return Slow::Continue;
    }
    // From here on a goroutine that sets an earlier timer wakes us; so ask again.
    let until = time_sleep_until();
    if until == NEVER && !SLEEPER.any_waiters() {
        // What there was to wait for is gone: see `one_reason_less`.
        SLEEPER.get_up(nanotime());
        return Slow::Continue;
    }
    SLEEPER.sleeps_until(until);
    let now = nanotime();
    let wait = (until != NEVER).then(|| until.saturating_sub(now));
    let found = netpoll(wait, "sleeper");
    SLEEPER.get_up(nanotime());

    let sched = SCHED.lock();
    if SCHED.attention.has(ATTENTION_STOP) {
        return Slow::Over;
    }
    go_on(mp, sched, &found)
}
// ANCHOR_END: before_stopm

/// The sleeper is awake, and has no P.
fn go_on(mp: &'static M, mut sched: SchedGuard, found: &Found) -> Slow {
    let Some(pp) = pidleget(&mut sched) else {
        // All Ps are in use again: each will ask for its timers, and the next M without work
        // sleeps in the poller.
        drop(sched);
        found.inject();
        return Slow::Continue;
    };
    wake_sysmon(&mut sched);
    drop(sched);
    // SAFETY: this thread is mp; the P came from the idle list.
    unsafe { acquirep(mp, pp) };
    if let Some(gp) = found.first_and_inject() {
        return Slow::Run(gp);
    }
    // A timer is what we slept for. The P whose timer it is may have an M that was woken and has
    // no CPU yet; then no other M runs its timers, and if that M counts as searching, we do not
    // search. Without this we would come back here at once, again and again, and keep it off
    // the CPU.
    for pp in allp() {
        checktimers(pp);
    }
    Slow::Again
}
