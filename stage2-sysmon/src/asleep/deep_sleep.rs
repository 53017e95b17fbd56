//! Sysmon's deep sleep: while all Ps are idle there is nothing to watch, so sysmon sleeps until
//! a P is used again. Mirrors `sched.sysmonwait` and `sched.sysmonnote` of `proc.go`.
//!
//! # Protocol
//!
//! The word is the bit [`ATTENTION_SYSMON`] of `sched.attention`, written only under
//! `sched.lock`. Under the same lock a P enters and leaves the idle list.
//!
//! Sysmon ([`deep_sleep`]):
//!
//! 1. takes the lock, and goes on only if all Ps are on the idle list;
//! 2. sets the bit, and releases the lock;
//! 3. sleeps on its note;
//! 4. takes the lock, clears the bit and the note, and releases the lock.
//!
//! An M that takes a P from the idle list:
//!
//! 1. takes the P under the lock;
//! 2. clears the bit and wakes the note if the bit is set ([`wake_sysmon`]): at once, where it
//!    holds the lock anyway (a goroutine back from a call, the sleeper), or else in its next
//!    `schedule`, which looks at `sched.attention` before it runs anything
//!    ([`schedule_slow`]).
//!
//! Both take the lock, so one comes first: sysmon sees the P in use and does not sleep, or the
//! M finds the bit. The waker clears the bit and wakes in one section. So sysmon, once it has
//! the lock in step 4 and the bit is clear, knows that no wake-up is still on its way, and a
//! wake-up never ends a later sleep.
//!
//! Nothing is ordered by the bit itself, only by the lock; so its loads and stores are relaxed.
//!
//! Two more wake the note without the lock: the end of a run (`attention` says so, and sysmon
//! looks after its next short sleep) and the handler of SIGQUIT.
//!
//! Tests: `sysmon::sysmon_wakes_when_a_p_is_used_again`,
//! `sysmon::an_idle_process_does_not_wake_up`. No loom model: one lock covers both sides.

use stage1_coop::rt::gmp::{ATTENTION_LEAVE, ATTENTION_STOP, M, SCHED, SchedInner, gomaxprocs};
use stage1_coop::rt::os::nanotime;
use stage1_coop::rt::sched::Slow;
use stage1_coop::rt::word::Link;
use std::sync::atomic::Ordering::Relaxed;

/// Nanoseconds that sysmon sleeps at most when no P is in use. Go's is half of the time
/// after which a collection is forced.
pub const DEEP_SLEEP: u64 = 60_000_000_000;

/// `sched.attention`: sysmon sleeps because no P was in use; an M that uses one wakes it.
/// Among the bits for which an M gives up its search: it looks at them as soon as it has a
/// P again, before it runs anything.
pub const ATTENTION_SYSMON: u32 = 4;
const _: () = assert!(ATTENTION_SYSMON & ATTENTION_LEAVE != 0);

/// The M that is sysmon. Sysmon writes it, before it ever sets its bit.
static SYSMON: Link<M> = Link::none();

/// From now on this M is sysmon.
pub(crate) fn sysmon_is(mp: &'static M) {
    SYSMON.set(Some(mp));
}

/// Sleeps until a P is used, if all are idle, and at most until `until()`, which is asked after
/// the bit is set. Returns whether it slept.
pub(crate) fn deep_sleep(mp: &'static M, until: impl FnOnce() -> u64) -> bool {
    {
        let _sched = SCHED.lock();
        if SCHED.npidle.load(Relaxed) as usize != gomaxprocs()
            || SCHED.attention.has(ATTENTION_STOP)
        {
            return false;
        }
        SCHED.attention.raise(ATTENTION_SYSMON);
    }
    mp.park
        .tsleep(until().saturating_sub(nanotime()).min(DEEP_SLEEP));
    let _sched = SCHED.lock();
    SCHED.attention.lower(ATTENTION_SYSMON);
    mp.park.clear();
    true
}

/// A P is in use again: wakes sysmon if it sleeps for that. The caller holds `sched.lock`.
pub(crate) fn wake_sysmon(_sched: &mut SchedInner) {
    if !SCHED.attention.has(ATTENTION_SYSMON) {
        return;
    }
    SCHED.attention.lower(ATTENTION_SYSMON);
    if let Some(mp) = SYSMON.get() {
        mp.park.wakeup();
    }
}

/// The row `schedule_slow` of this stage: an M has a P, and a bit of `sched.attention` is set.
pub fn schedule_slow(mp: &'static M) -> Slow {
    if SCHED.attention.has(ATTENTION_SYSMON) {
        wake_sysmon(&mut SCHED.lock());
    }
    (stage1_coop::STAGE.schedule_slow)(mp)
}

/// Ends sysmon's sleep. Async-signal-safe.
pub(crate) fn wake_from_signal() {
    if let Some(mp) = SYSMON.get() {
        mp.park.wakeup_from_signal();
    }
}

/// The kernel's number of sysmon's thread, 0 if there is none. Async-signal-safe.
pub(crate) fn thread() -> i32 {
    SYSMON.get().map_or(0, |mp| mp.procid.load(Relaxed))
}
